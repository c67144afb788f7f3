"""Key lanes: per key strictly in order, keys in parallel; a failing key waits outside the slots, the rest flows."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from towpath.clock import Clock
from towpath.delivery.deadletters import PARKED, Failure
from towpath.errors import DataError, FencedError, OutcomeUnknownError, RetryableError
from towpath.records import Record

log = structlog.get_logger(__name__)

LONGEST_BACKOFF = 10.0
BUG_ATTEMPTS = 3


class Handler(Protocol):
    """What a lane does with a record."""

    async def handle(self, record: Record) -> None:
        """Do what the record asks, idempotently; errors are those of towpath.errors."""
        ...

    async def give_up(self, record: Record, failure: Failure) -> None:
        """Store the record as a dead letter or parked; returns once Kafka has it."""
        ...


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """How many calls at once, and how long a passing failure is retried before the record parks (seconds)."""

    in_flight: int = 16
    retry_seconds: float = 60.0


class Lanes:
    """Runs a handler over records; `finished(record)` is called once for each that is done with, in any order across keys.

    A fault of the whole system blames no record: it is retried for as long as it lasts.
    """

    def __init__(self, handler: Handler, clock: Clock, limits: LaneLimits, finished: Callable[[Record], None]) -> None:
        self._handler, self._clock, self._limits = handler, clock, limits
        self._finished = finished
        self._slots = asyncio.Semaphore(limits.in_flight)
        self._lanes: dict[bytes, deque[Record]] = {}
        self._tasks: dict[bytes, asyncio.Task[None]] = {}
        self._random = random.Random()  # noqa: S311 - jitter
        self.failure: BaseException | None = None
        self.retries = 0

    @property
    def pending(self) -> int:
        """Return how many records are taken and not finished."""
        return sum(map(len, self._lanes.values()))

    def submit(self, record: Record) -> None:
        """Append a record to its key's lane; one without a key is a lane of its own."""
        key = record.key if record.key is not None else b"\0%s-%d-%d" % (record.topic.encode(), record.partition, record.offset)
        lane = self._lanes.setdefault(key, deque())
        lane.append(record)
        if key not in self._tasks:
            task = asyncio.create_task(self._run(key, lane), name=f"lane {key!r}")
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))

    def drop(self, unwanted: Callable[[Record], bool]) -> None:
        """Forget records that another process owns now; a call under way is cancelled and left to the ledger."""
        for key, lane in list(self._lanes.items()):
            if lane and unwanted(lane[0]):
                self._tasks[key].cancel()

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - a bound on leaving, not on one call
        """Wait until calls under way are done, at most `timeout` seconds, then cancel what is left; nothing new is started."""
        for lane in self._lanes.values():
            while len(lane) > 1:
                lane.pop()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=timeout)
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _ended(self, key: bytes, task: asyncio.Task[None]) -> None:
        self._tasks.pop(key, None)
        self._lanes.pop(key, None)
        if not task.cancelled() and task.exception() is not None:
            self.failure = task.exception()

    async def _run(self, key: bytes, lane: deque[Record]) -> None:
        while lane:
            try:
                await self._play(lane[0])
            except FencedError as error:
                log.info("lane left to another owner", key=key.decode("utf-8", "replace"), reason=str(error))
                return
            self._finished(lane.popleft())

    async def _play(self, record: Record) -> None:
        trouble_since, attempts, bugs = None, 0, 0
        while True:
            attempts += 1
            try:
                async with self._slots:
                    await self._handler.handle(record)
                return
            except DataError as error:
                failure = Failure.of(error)
            except (RetryableError, OutcomeUnknownError) as error:
                self.retries += 1
                told = error.retry_after if isinstance(error, RetryableError) else None
                if isinstance(error, RetryableError) and (error.throttled or error.system_wide):
                    trouble_since = None
                else:
                    trouble_since = trouble_since or self._clock.monotonic()
                if trouble_since is None or self._clock.monotonic() - trouble_since < self._limits.retry_seconds:
                    await self._back_off(attempts, told)
                    continue
                failure = Failure(str(error), "passing", state=PARKED, attempts=attempts)
            except FencedError:
                raise
            except Exception as error:  # a bug must not stop the other keys: the record is kept with what is known
                bugs += 1
                log.exception("unexpected error", topic=record.topic, partition=record.partition, offset=record.offset)
                if bugs < BUG_ATTEMPTS:
                    await self._back_off(attempts, None)
                    continue
                failure = Failure(f"unexpected {type(error).__name__}", "bug", attempts=attempts)
            await self._store(record, failure)
            return

    async def _store(self, record: Record, failure: Failure) -> None:
        """Give the record up; Kafka's own trouble is retried for ever, for nothing may be lost."""
        attempts = 0
        while True:
            try:
                await self._handler.give_up(record, failure)
                return
            except RetryableError as error:
                attempts += 1
                log.warning("storing a dead letter again", reason=str(error))
                await self._back_off(attempts, error.retry_after)

    async def _back_off(self, attempts: int, told: float | None) -> None:
        ceiling = min(LONGEST_BACKOFF, 0.2 * 2 ** min(attempts, 10))
        await self._clock.sleep(told if told is not None else self._random.uniform(ceiling / 2, ceiling))
