"""Records as they reach the index, and putting them there without Kafka."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Engine

from towpath.codec import default_codec
from towpath.events import AGGREGATES, Event
from towpath.index.rows import Rows
from towpath.index.store import store
from towpath.records import Output, Record


def placed(output: Output, offset: int = 0, *, partition: int = 0, at: float = 0.0) -> Record:
    """Return what was sent as it is read at this place."""
    return Record(output.topic, partition, offset, at, output.key, output.value, output.headers)


def of_event(kind: str, value: Any) -> Output:  # noqa: ANN401 - any typed dictionary of an event
    """Return the event as the adapter sends it."""
    event = Event(kind, value)
    return Output(f"received.{AGGREGATES[kind]}", event.record_key, default_codec().encode(kind, value))


def index_records(engine: Engine, records: Iterable[Record], *, foreign: frozenset[str] = frozenset()) -> None:
    """Index the records, in one transaction; in the topics `foreign` they are dead letters of others."""
    rows = Rows(foreign=foreign)
    for record in records:
        rows.add(record, default_codec())
    with engine.begin() as connection:
        store(connection, rows)
