"""A new database that several open at once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL

from towpath.delivery.database import open_engine


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
