"""What the index holds longer than its topics is bounded, and what is open is never forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from towpath.codec import default_codec
from towpath.delivery.deadletters import Failure, Registrar, Subject
from towpath.events import micros
from towpath.index import store
from towpath.index.store import forget_before
from towpath.index.tables import closings, letters, xref
from towpath.records import Record
from towpath.testing.index import index_records, placed

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
REGISTRAR = Registrar(default_codec(), "sink", "sink.erp", frozenset({"erp"}))


def written(number: int, *, closes: str = "") -> Record:
    """Return the receipt of an order that was written so many minutes after noon, and maybe closes a dead letter."""
    subject = Subject("erp", f"shop/order/{number}", operation="create_order", effect_key=f"shop/order/{number}")
    at = NOON + timedelta(minutes=number)
    return placed(REGISTRAR.receipt("applied", subject, at, external_id=f"SO-{number}", dead_letter_id=closes), number)


def forget(engine: Engine, minute: int) -> int:
    with engine.begin() as connection:
        return forget_before(connection, micros(NOON + timedelta(minutes=minute)))


def held(engine: Engine, table: sa.Table) -> int:
    with engine.begin() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def test_cross_references_are_forgotten_after_their_time(engine: Engine) -> None:
    index_records(engine, [written(number) for number in range(10)])
    assert 4 == forget(engine, 4)
    assert (6, 0) == (held(engine, xref), forget(engine, 4))


def test_what_closes_a_dead_letter_stays_while_that_letter_does(engine: Engine) -> None:
    letter_id, letter = REGISTRAR.dead_letter(Record("deliver.erp", 0, 7, 0.0, b"k", b"v"), Failure("because"), Subject("erp"), NOON)
    index_records(engine, [placed(letter), written(1, closes=letter_id), written(2, closes="long-gone")])
    forget(engine, 60)
    assert (1, 1) == (held(engine, closings), held(engine, letters))
    with engine.begin() as connection:
        assert [letter_id] == list(connection.execute(sa.select(closings.c.dead_letter_id)).scalars())


def test_it_forgets_a_bounded_number_at_a_time(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "FORGOTTEN_AT_ONCE", 3)
    index_records(engine, [written(number) for number in range(10)])
    assert [3, 3, 3, 1, 0] == [forget(engine, 60) for _ in range(5)]
