"""The lane runner over a real Kafka: how far it says to be behind."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from confluent_kafka import Consumer

from towpath import kafka as kafka_module
from towpath.clock import SystemClock
from towpath.delivery import runner as runner_module
from towpath.delivery.lanes import LaneLimits, Lanes
from towpath.delivery.runner import LaneRunner
from towpath.kafka import KafkaSettings, make_producer
from towpath.metrics import LAG, Metrics
from towpath.records import Record
from towpath.testing.records import ScriptedHandler
from towpath.testing.waiting import until
from towpath.topic_setup import ensure
from towpath.topics import TopicSpec

PARTITIONS = 4


class Place:
    """A topic with records, and members of one group that read it; they finish nothing until they are let go."""

    def __init__(self, kafka: KafkaSettings, topic: str) -> None:
        self.kafka, self.topic = kafka, topic
        self.release, self.takes = asyncio.Event(), 0.0
        ensure(kafka, [TopicSpec(topic, PARTITIONS, "delete", 3_600_000)])

    def produce(self, each: int, value: bytes = b"v") -> None:
        """Append so many records to every partition."""
        producer = make_producer(self.kafka, compression_type="none")
        for number in range(each * PARTITIONS):
            producer.produce(self.topic, value, b"%d" % number, number % PARTITIONS)
        assert producer.flush(20) == 0

    async def hold(self, _record: Record, _attempt: int) -> None:
        await self.release.wait()
        await asyncio.sleep(self.takes)

    @asynccontextmanager
    async def member(self) -> AsyncIterator[Metrics]:
        metrics, stop = Metrics(), asyncio.Event()
        runner = LaneRunner(
            self.kafka,
            group=f"{self.topic}.group",
            topic=self.topic,
            handler=ScriptedHandler(self.hold),
            clock=SystemClock(),
            limits=LaneLimits(),
            connection="erp",
            metrics=metrics,
        )
        running = asyncio.create_task(runner.run(stop))
        try:
            yield metrics
        finally:
            stop.set()
            await asyncio.wait_for(running, 30)

    async def until_lag(self, metrics: Metrics, expected: Sequence[float | None]) -> None:
        """Return once the partitions' figures, in any order, are these."""

        async def holds() -> bool:
            return sorted(map(str, expected)) == sorted(map(str, self.lag(metrics)))

        await until(holds, seconds=30, what=f"a lag of {expected}")

    def lag(self, metrics: Metrics) -> list[float | None]:
        return [metrics.registry.get_sample_value(LAG.name, {"topic": self.topic, "partition": str(number)}) for number in range(PARTITIONS)]


@pytest.fixture
def place(kafka_settings: KafkaSettings, topic_name: Callable[[str], str]) -> Place:
    return Place(kafka_settings, topic_name("records"))


async def test_the_lag_is_what_is_not_committed_and_stays_known_over_a_restart(place: Place) -> None:
    place.produce(10)
    async with place.member() as metrics:
        await place.until_lag(metrics, [10.0] * PARTITIONS)
        place.release.set()
        await place.until_lag(metrics, [0.0] * PARTITIONS)
    assert place.lag(metrics) == [None] * PARTITIONS
    async with place.member() as metrics:
        await place.until_lag(metrics, [0.0] * PARTITIONS)  # nothing is read again: the group's commit is asked for
    place.release.clear()
    place.produce(3)
    async with place.member() as metrics:
        await place.until_lag(metrics, [3.0] * PARTITIONS)
        place.release.set()


async def test_a_backlog_is_fetched_little_by_little_and_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    each, size = 2_500, 2_000

    def watched(config: dict[str, Any], logger: logging.Logger) -> Consumer:
        return Consumer(config | {"statistics.interval.ms": 100, "stats_cb": told.append}, logger=logger)

    def fetched() -> int:
        return sum(broker["rxbytes"] for broker in json.loads(told[-1])["brokers"].values())

    monkeypatch.setattr(kafka_module, "Consumer", watched)
    monkeypatch.setattr(runner_module, "MOST_PENDING", 500)
    place.produce(each, bytes(size))
    place.takes = 0.003
    async with place.member() as metrics:
        await place.until_lag(metrics, [float(each)] * PARTITIONS)
        first = len(told)
        await until(lambda: asyncio.sleep(0, len(told) > first + 10), what="a second went by")
        assert fetched() < 4 * 2**20
        place.release.set()
        await place.until_lag(metrics, [0.0] * PARTITIONS)
    assert each * size * PARTITIONS < fetched() < 1.2 * each * size * PARTITIONS


async def test_partitions_that_another_member_owns_are_told_by_that_one_alone(place: Place) -> None:
    place.produce(10)
    async with place.member() as one:
        await place.until_lag(one, [10.0] * PARTITIONS)
        async with place.member() as other:
            await place.until_lag(other, [10.0, 10.0, None, None])
            await place.until_lag(one, [10.0, 10.0, None, None])
            place.release.set()
            await place.until_lag(one, [0.0, 0.0, None, None])
            await place.until_lag(other, [0.0, 0.0, None, None])


async def test_the_lag_grows_while_the_runner_has_as_much_as_it_can_hold(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "MOST_PENDING", 8)
    place.produce(10)
    async with place.member() as metrics:
        await place.until_lag(metrics, [10.0] * PARTITIONS)
        place.produce(10)
        await place.until_lag(metrics, [20.0] * PARTITIONS)
        place.release.set()
        await place.until_lag(metrics, [0.0] * PARTITIONS)


async def test_what_is_at_work_is_counted_only_in_the_thread_that_changes_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    threads, own = set[int](), vars(Lanes)["pending"]

    def noted(lanes: Lanes) -> int:
        threads.add(threading.get_ident())
        return int(own.fget(lanes))

    monkeypatch.setattr(Lanes, "pending", property(noted))
    place.release.set()
    place.produce(10)
    async with place.member() as metrics:
        await place.until_lag(metrics, [0.0] * PARTITIONS)
    assert threads == {threading.get_ident()}
