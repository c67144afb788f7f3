"""A new database that several open at once, and one that is no longer there."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL

from towpath.delivery.alone import MARK, client_id_of
from towpath.delivery.database import GIVEN_UP, open_engine


@pytest.mark.parametrize("turn", range(40))
def test_who_opens_a_new_file_while_others_do_is_not_refused(tmp_path: Path, turn: int) -> None:
    together, modes = threading.Barrier(4), list[str]()

    def open_it() -> None:
        engine = open_engine(URL.create("sqlite", database=str(tmp_path / f"{turn}.db")))
        together.wait()
        with engine.connect() as connection:
            modes.append(connection.execute(sa.text("PRAGMA journal_mode")).scalar_one())
        engine.dispose()

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ["wal"] * 4 == modes


def test_a_postgresql_that_is_no_longer_there_is_given_up_within_a_minute(postgres: URL) -> None:
    def bounds(url: URL) -> dict[str, int]:
        engine = open_engine(url)
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            told = {name: int(value) for name, value in driver.info.get_parameters().items() if name in GIVEN_UP}
        engine.dispose()
        return told

    assert GIVEN_UP == bounds(postgres)
    assert GIVEN_UP["keepalives_idle"] + GIVEN_UP["keepalives_interval"] * GIVEN_UP["keepalives_count"] < 60
    assert {**GIVEN_UP, "keepalives_idle": 300} == bounds(postgres.update_query_dict({"keepalives_idle": "300"})), "whoever says otherwise is heard"


def test_a_row_of_postgresql_is_neither_kept_nor_waited_for_for_long(postgres: URL) -> None:
    def bounds(url: URL, *, patient: bool = False) -> list[str]:
        engine = open_engine(url, patient=patient)
        with engine.connect() as connection:
            told = [connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in ("idle_in_transaction_session_timeout", "lock_timeout")]
        engine.dispose()
        return told

    assert ["10s", "5s"] == bounds(postgres)
    assert ["1min", "7s"] == bounds(postgres.update_query_dict({"options": "-clock_timeout=7s -cidle_in_transaction_session_timeout=60s"}))
    own = bounds(postgres.update_query_dict({"options": "-csearch_path=public"}))
    assert ["1min", own[1]] == bounds(postgres, patient=True), "waits as long as the server lets it"


def test_who_opens_one_file_says_so_to_kafka_alike_and_who_opens_another_does_not(tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "towpath.db").touch()
    (tmp_path / "as mounted elsewhere").symlink_to(tmp_path / "ours")
    ours, again, theirs = (
        client_id_of(URL.create("sqlite", database=str(tmp_path / name / "towpath.db"))) for name in ("ours", "as mounted elsewhere", "theirs")
    )
    assert ours == again != theirs
    elsewhere, by_address = (client_id_of(URL.create("postgresql+psycopg", host=host, database="towpath")) for host in ("db.example", "10.0.0.7"))
    assert elsewhere == by_address != ours, "one server has many addresses"
    assert [True, True] == [one.startswith(MARK) for one in (elsewhere, ours)]
