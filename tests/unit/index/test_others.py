"""A dead letter of others is open until it is closed itself, whatever times they write: Kafka Connect writes that of the original record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from towpath.cli._dlq_closing import closing
from towpath.delivery.deadletters import DISCARDED
from towpath.delivery.foreign import REPLAYED
from towpath.index.queries import Letter, find_letters
from towpath.index.tables import open_index
from towpath.records import Record
from towpath.testing.index import index_records, placed

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TWO_DAYS_AGO = NOW - timedelta(days=2)
TOPIC = "orders-sink.dlq"
HEADERS = [
    ("__connect.errors.topic", b"orders"),
    ("__connect.errors.partition", b"0"),
    ("__connect.errors.offset", b"4711"),
    ("__connect.errors.connector.name", b"warehouse-sink"),
]


def failed(offset: int, *, partition: int = 0) -> Record:
    """Return what the connector writes of an order of two days ago, whenever it fails at it."""
    return Record(TOPIC, partition, offset, TWO_DAYS_AGO.timestamp(), None, b"{}", HEADERS)


def found(engine: Engine, *records: Record, everything: bool = False) -> list[Letter]:
    index_records(engine, records, foreign=frozenset({TOPIC}))
    with engine.begin() as connection:
        return find_letters(connection, everything=everything)


@pytest.mark.parametrize(("outcome", "at"), [(REPLAYED, TWO_DAYS_AGO), (DISCARDED, NOW)])
@pytest.mark.parametrize("partition", [0, 1])
def test_what_fails_again_after_it_was_closed_is_open_though_its_time_is_the_same(engine: Engine, outcome: str, at: datetime, partition: int) -> None:
    (first,) = found(engine, failed(7))
    receipt = placed(closing(first.told, outcome, "a test", at))
    assert [] == found(engine, receipt)
    again = failed(3 if partition else 8, partition=partition)
    (second,) = found(engine, again)
    assert ((TOPIC, partition, again.offset), TWO_DAYS_AGO) == ((*second.place, second.offset), second.told["last_at"])
    told = [[(one.told["stands_at"], one.told["outcome"]) for one in found(engine, everything=True)]]
    for order in permutations([failed(7), receipt, again]):
        anew = open_index(make_url("sqlite://"))
        told.append([(one.told["stands_at"], one.told["outcome"]) for one in found(anew, *order, everything=True)])
        anew.dispose()
    assert [told[0]] * 7 == told, "built anew, the index says the same"


def test_what_is_read_twice_of_one_place_is_one(engine: Engine) -> None:
    assert 1 == len(found(engine, failed(7), failed(7)))
