"""What is swapped in the production modules while a world runs: time, threads, chance, Kafka's clients, and nothing that decides anything."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any, Final

import structlog

import processors.engines.native_changelog
import processors.engines.native_group
import processors.engines.native_loop
import processors.engines.native_offsets
import processors.engines.outbox
import sinks.later
import sinks.resume
import towpath.acked
import towpath.delivery.committer
import towpath.delivery.lanes
import towpath.delivery.ledger
import towpath.delivery.parking
import towpath.delivery.runner
import towpath.http
from towpath.kafka import record_of
from towpath.simulation import threads
from towpath.simulation.clients import Consumer, Producer
from towpath.simulation.log import Log
from towpath.topic_reader import Batch, Extent, Place

_logs: list[Log] = []

THREADING: Final = SimpleNamespace(Thread=threads.Thread, Event=threads.Event)
QUEUE: Final = SimpleNamespace(SimpleQueue=threads.SimpleQueue)
TIME: Final = SimpleNamespace(monotonic=threads.monotonic)
RANDOM: Final = SimpleNamespace(Random=threads.jitter, uniform=threads.uniform)


def _consumer(_settings: object, group: str, **_overrides: object) -> Consumer:
    return Consumer(threads.here(), _logs[-1], {"group.id": group, "session.timeout.ms": 3_000})


def _configured(config: Mapping[str, Any]) -> Consumer:
    return Consumer(threads.here(), _logs[-1], config)


def _producer(*_settings: object, **_overrides: object) -> Producer:
    return Producer(threads.here(), _logs[-1])


def _made(_engine: object) -> None:
    """Make no tables: those of the world's database are there from its beginning."""


class _Reader:
    """`TopicReader`, of what stands in the log now; nothing is ever past its retention."""

    def __init__(self, _kafka: object) -> None:
        pass

    def extents(self, topics: Iterable[str]) -> dict[Place, Extent]:
        """Return how far each partition goes."""
        log = _logs[-1]
        places = [Place(topic, partition) for topic in topics for partition in range(log.partitions)]
        return {place: Extent(place.topic, 0, len(log.at(place))) for place in places}

    def read(self, spans: Mapping[Place, tuple[int, int]]) -> Iterator[Batch]:
        """Yield what stands between the two offsets of each place."""
        for place, (start, end) in spans.items():
            yield Batch([record_of(message) for message in _logs[-1].at(place)[start:end]], {place: end})  # type: ignore[arg-type]

    def close(self) -> None:
        """Do nothing."""


SWAPPED: Final[tuple[tuple[ModuleType, str, object], ...]] = (
    (towpath.delivery.ledger, "make_tables", _made),
    (towpath.delivery.parking, "make_tables", _made),
    (towpath.delivery.committer, "threading", THREADING),
    (towpath.delivery.committer, "queue", QUEUE),
    (towpath.delivery.runner, "time", TIME),
    (towpath.delivery.runner, "make_consumer", _consumer),
    (towpath.delivery.runner, "POLL_SECONDS", 0.5),
    (towpath.delivery.lanes, "random", RANDOM),
    (towpath.http, "random", RANDOM),
    (towpath.acked, "make_producer", _producer),
    (towpath.acked, "IDLE_SECONDS", 0.5),
    (sinks.later, "TopicReader", _Reader),
    (sinks.resume, "TopicReader", _Reader),
    (sinks.resume, "TICK_SECONDS", 3.0),
    (processors.engines.native_loop, "threading", THREADING),
    (processors.engines.native_group, "time", TIME),
    (processors.engines.native_group, "Consumer", _configured),
    (processors.engines.native_offsets, "time", TIME),
    (processors.engines.native_changelog, "time", TIME),
    (processors.engines.native_changelog, "Consumer", _configured),
    (processors.engines.outbox, "Producer", _producer),
)
"""Module, name, and what stands there while a world runs. The numbers only spare turns: how long the idle wait for news."""


@contextlib.contextmanager
def swapped() -> Iterator[None]:
    """Have the production modules find the world's ports, and say nothing to the log."""
    kept = [(module, name, getattr(module, name)) for module, name, _ in SWAPPED]
    known, disabled = structlog.get_config(), logging.root.manager.disable
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL), cache_logger_on_first_use=False)
    logging.disable(logging.CRITICAL)
    try:
        for module, name, port in SWAPPED:
            setattr(module, name, port)
        yield
    finally:
        for module, name, port in kept:
            setattr(module, name, port)
        logging.disable(disabled)
        structlog.configure(**known)


@contextlib.contextmanager
def within(log: Log) -> Iterator[None]:
    """Have the ports lead to this log and its world."""
    threads.enter(log.world)
    _logs.append(log)
    try:
        yield
    finally:
        _logs.pop()
        threads.leave()
