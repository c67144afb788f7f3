"""One consumer group over one topic: records into lanes, offsets committed up to the lowest unfinished, memory bounded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Final

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from towpath.acked import AckedProducer
from towpath.clock import Clock
from towpath.delivery.lanes import Handler, LaneLimits, Lanes
from towpath.delivery.offsets import OffsetTracker
from towpath.errors import ConfigError, RetryableError
from towpath.failpoints import Failpoints
from towpath.kafka import KafkaSettings, make_consumer, record_of
from towpath.metrics import LAG, Metrics
from towpath.records import Record
from towpath.runtime.health import Health

log = structlog.get_logger(__name__)

MOST_PENDING = 2_000
AT_ONCE = 200
POLL_SECONDS = 0.1
IDLE_SECONDS = 0.5
COMMIT_SECONDS = 0.5
DRAIN_SECONDS = 5.0
ASK_SECONDS = 1.0
STUCK_SECONDS = 1.0
AHEAD: Final[Mapping[str, Any]] = {"queued_max_messages_kbytes": 1024, "fetch_message_max_bytes": 65_536, "fetch_queue_backoff_ms": 10}
"""What librdkafka fetches ahead of the lanes: 1 MiB, 64 KiB of a partition at once, and more within 10 ms where that was too much. By itself it
would hold 64 MiB, and fill the lanes with the few keys of one partition."""


class LaneRunner:
    """Feeds one topic to a handler, as a member of a consumer group; librdkafka is called from one thread of its own."""

    def __init__(
        self,
        kafka: KafkaSettings,
        *,
        group: str,
        topic: str,
        handler: Handler,
        clock: Clock,
        limits: LaneLimits,
        connection: str,
        metrics: Metrics,
    ) -> None:
        self.client_id = "towpath"
        """What Kafka tells others of who this is."""
        self.group, self.topic = group, topic
        self.assigned = asyncio.Event()
        self.on_assigned: Callable[[], object] = lambda: None
        """Is called whenever partitions came here, before any of their records is handled."""
        self._kafka = kafka
        self._metrics = metrics
        self._lanes = Lanes(handler, clock, limits, self._finished, connection=connection, metrics=metrics)
        self._trackers: dict[int, OffsetTracker] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"kafka-{group}")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._consumer: Consumer | None = None
        self._paused = False
        self._had_room_at = time.monotonic()
        self._room = asyncio.Event()
        self._failpoints = Failpoints.from_environment()

    @property
    def pending(self) -> int:
        """Return how many records are read and not finished."""
        return self._lanes.pending

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then finish the calls under way and commit; raises what ended a lane by surprise."""
        self._loop = asyncio.get_running_loop()
        consumer = self._consumer = make_consumer(self._kafka, self.group, session_timeout_ms=10_000, client_id=self.client_id, **AHEAD)
        consumer.subscribe([self.topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)
        committed_at = time.monotonic()
        try:
            while not stop.is_set():
                if self._lanes.failure is not None:
                    raise self._lanes.failure
                for message in await self._read():
                    self._take(message)
                if time.monotonic() - committed_at >= COMMIT_SECONDS:
                    await self._commit()
                    await self._call(self._tell_lag)
                    committed_at = time.monotonic()
            await self._lanes.drain(DRAIN_SECONDS)
            await self._commit()
        finally:
            if self._consumer is not None:
                await self._call(self._consumer.close)
            self._thread.shutdown(wait=False)

    async def _read(self) -> list[Message]:
        """Return what was read within a tenth of a second, or half of one where there is nothing to do.

        Nothing is read while the lanes are full. Partitions are paused only where they stay so, for the sake of a rebalance, which is told by a poll:
        librdkafka 2 throws away what it fetched of a paused one, and takes up to a second to fetch again.
        """
        now, full = time.monotonic(), self.pending >= MOST_PENDING
        if full and not self._paused and now - self._had_room_at < STUCK_SECONDS:
            self._room.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._room.wait(), POLL_SECONDS)
            return []
        if not full:
            self._had_room_at = now
        seconds = POLL_SECONDS if self.pending or self._committable() else IDLE_SECONDS
        return await self._call(partial(self._poll, self.pending, seconds))  # counted here: lanes change while the thread works

    async def _call(self, work: Callable[[], list[Message] | None]) -> list[Message]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work) or []

    def _poll(self, pending: int, seconds: float) -> list[Message]:
        assert self._consumer is not None  # noqa: S101 - run() makes it first
        self._keep_bounded(pending)
        first = self._consumer.poll(seconds)
        return [] if first is None else [first, *self._consumer.consume(AT_ONCE, 0)]

    def _keep_bounded(self, pending: int) -> None:
        assert self._consumer is not None  # noqa: S101 - run() makes it first
        full = pending >= MOST_PENDING
        if full and not self._paused:
            self._consumer.pause(self._consumer.assignment())
        elif self._paused and pending < MOST_PENDING // 2:
            self._consumer.resume(self._consumer.assignment())
        self._paused = full or (self._paused and pending >= MOST_PENDING // 2)

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._FATAL:  # noqa: SLF001 - librdkafka names its own errors so
                self._consumer = None  # its `close` would never return
                raise RetryableError(f"reading {self.topic}: {error.str()}", system_wide=True)
            log.warning("reading", topic=self.topic, reason=error.str())
            return
        record = record_of(message)
        tracker = self._trackers.get(record.partition)
        if tracker is None:  # revoked while the message was on its way here
            return
        tracker.start(record.offset)
        self._lanes.submit(record)

    def _finished(self, record: Record) -> None:
        tracker = self._trackers.get(record.partition)
        if tracker is not None:
            tracker.finish(record.offset)
        if self.pending < MOST_PENDING * 9 // 10:  # for a batch, not for each record
            self._room.set()

    async def _commit(self) -> None:
        offsets = self._committable()
        if not offsets:
            return
        self._failpoints.hit("sink.before_commit")
        await self._call(lambda: self._commit_now(offsets))

    def _committable(self) -> list[TopicPartition]:
        due = [(partition, tracker.committable()) for partition, tracker in self._trackers.items()]
        return [TopicPartition(self.topic, partition, offset) for partition, offset in due if offset is not None]

    def _commit_now(self, offsets: list[TopicPartition]) -> None:
        assert self._consumer is not None  # noqa: S101 - run() makes it first
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:  # committed again half a second later, or by the next owner
            if error.args[0].code() != KafkaError._NO_OFFSET:  # noqa: SLF001 - librdkafka names its own errors so
                log.warning("committing", group=self.group, reason=error.args[0].str())
            return
        for done in offsets:
            if done.partition in self._trackers:
                self._trackers[done.partition].committed(done.offset)

    def _tell_lag(self) -> None:
        assert self._consumer is not None  # noqa: S101 - run() makes it first
        for partition, tracker in self._trackers.items():
            place = TopicPartition(self.topic, partition)
            try:
                if tracker.last_committed is None:
                    (known,) = self._consumer.committed([place], ASK_SECONDS)
                    tracker.committed(max(known.offset, self._consumer.get_watermark_offsets(place, ASK_SECONDS)[0]))
                _, end = self._consumer.get_watermark_offsets(place, ASK_SECONDS, cached=not self._paused)  # a pause ends the fetches
            except KafkaException:  # poll tells of brokers that are away
                return
            if end >= 0 and tracker.last_committed is not None:
                self._metrics.set(LAG, end - tracker.last_committed, topic=self.topic, partition=str(partition))

    def _on_assign(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for one in partitions:
            self._trackers[one.partition] = OffsetTracker()
        self._paused = False
        self._in_loop(self.on_assigned)
        self._in_loop(self.assigned.set)

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._let_go(partitions)
        if offsets := [offset for offset in self._committable() if offset.partition in {one.partition for one in partitions}]:
            self._commit_now(offsets)
        self._forget(partitions)

    def _on_lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._let_go(partitions)
        self._forget(partitions)

    def _let_go(self, partitions: list[TopicPartition]) -> None:
        gone = {one.partition for one in partitions}
        self._in_loop(lambda: self._lanes.drop(lambda record: record.partition in gone))

    def _forget(self, partitions: list[TopicPartition]) -> None:
        for one in partitions:
            self._trackers.pop(one.partition, None)
            self._metrics.forget(LAG, topic=self.topic, partition=str(one.partition))

    def _in_loop(self, work: Callable[[], object]) -> None:
        """Run in the event loop, which is free while it waits for this thread, and return when it is done."""
        if self._loop is None or self._loop.is_closed():
            return

        async def call() -> None:
            work()

        asyncio.run_coroutine_threadsafe(call(), self._loop).result(5)


async def run_all(
    runners: Sequence[LaneRunner], producer: AckedProducer, stop: asyncio.Event, health: Health, *beside: Coroutine[Any, Any, None]
) -> None:
    """Run every runner, and what works `beside` them, until `stop` is set; the role is ready once each runner has partitions.

    The first that fails ends all, and so does a producer that can send no more. Raises ConfigError where that is what one of them raised.
    """
    health.set_ready("partitions", ok=False, detail="waiting for partitions")

    async def tell() -> None:
        await asyncio.gather(*(runner.assigned.wait() for runner in runners))
        health.set_ready("partitions", ok=True)

    telling = asyncio.create_task(tell())
    try:
        async with asyncio.TaskGroup() as group:
            for runner in runners:
                group.create_task(runner.run(stop))
            for work in beside:
                group.create_task(work)
            group.create_task(producer.serve_until(stop))
    except ExceptionGroup as failed:
        if (wrong := failed.subgroup(ConfigError)) is not None:  # which no restart mends
            raise next(iter(wrong.exceptions)) from None
        raise
    finally:
        telling.cancel()
