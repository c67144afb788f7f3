"""Key lanes: per key strictly in order, keys in parallel; a failing key waits outside the slots, the rest flows."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from towpath.clock import Clock
from towpath.delivery.deadletters import DEAD, PARKED, Failure
from towpath.delivery.lane import Lane, Played, State
from towpath.errors import DataError, DependencyError, FencedError, OutcomeUnknownError, RetryableError
from towpath.metrics import IN_FLIGHT, RETRIES, Metrics
from towpath.records import Record

log = structlog.get_logger(__name__)

LONGEST_BACKOFF = 10.0
LONGEST_TOLD = 60.0  # a lane asks again after a minute, whatever it was told: the target may be well long before
BUG_ATTEMPTS = 3
WAIT_ATTEMPTS = 2  # how long a lane rests in which all wait for something else: as after so many tries


Known = DataError | RetryableError | OutcomeUnknownError | FencedError
KNOWN = (DataError, RetryableError, OutcomeUnknownError, FencedError)


class Handler(Protocol):
    """What a lane does with a record."""

    async def handle(self, record: Record) -> None:
        """Do what the record asks, idempotently; errors are those of towpath.errors."""
        ...

    async def give_up(self, record: Record, failure: Failure) -> None:
        """Store the record as a dead letter or parked; returns once Kafka has it."""
        ...

    def state_of(self, record: Record) -> State | None:
        """Return which state the record puts and in which version, None where it is no state of which only the newest counts."""
        ...

    async def supersede(self, record: Record) -> None:
        """Tell that a newer record makes this one needless."""
        ...


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """How many calls at once, and how long a passing failure, or what a record depends on, is waited for before it parks (seconds)."""

    in_flight: int = 16
    retry_seconds: float = 60.0
    dependency_seconds: float = 10.0


class Lanes:
    """Runs a handler over records; `finished(record)` is called once for each that is done with, in any order across keys.

    A fault of the whole system, or an effect that another process works on, blames no record: it is retried for as long as it lasts.
    """

    def __init__(
        self,
        handler: Handler,
        clock: Clock,
        limits: LaneLimits,
        finished: Callable[[Record], None],
        *,
        connection: str = "",
        metrics: Metrics | None = None,
    ) -> None:
        self._connection, self._metrics = connection, metrics or Metrics()
        self._handler, self._clock, self._limits = handler, clock, limits
        self._finished = finished
        self._slots = asyncio.Semaphore(limits.in_flight)
        self._lanes: dict[bytes, Lane] = {}
        self._tasks: dict[asyncio.Task[None], Lane] = {}
        self._draining = False
        self._pending = self._trying = 0
        self._metrics.follow(IN_FLIGHT, lambda: self._trying, connection=connection)
        self._random = random.Random()  # noqa: S311 - jitter
        self.failure: BaseException | None = None

    @property
    def pending(self) -> int:
        """Return how many records are taken and not finished."""
        return self._pending

    def submit(self, record: Record) -> None:
        """Append a record to its key's lane; one without a key is a lane of its own."""
        key = record.key if record.key is not None else b"\0%s-%d-%d" % (record.topic.encode(), record.partition, record.offset)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key)
            task = asyncio.create_task(self._run(lane), name=f"lane {key!r}")
            self._tasks[task] = lane
            task.add_done_callback(self._ended)
        lane.records.append(record)
        self._pending += 1

    def drop(self, unwanted: Callable[[Record], bool]) -> None:
        """Forget records that another process owns now; a call under way is cancelled and left to the ledger."""
        for task, lane in list(self._tasks.items()):
            if any(unwanted(record) for record in (*lane.aside, *lane.records)):
                self._leave(lane)  # at once, so that a record of this key that comes back starts a lane of its own
                task.cancel()

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - a bound on leaving, not on one call
        """Wait until calls under way are done, at most `timeout` seconds, then cancel what is left; nothing new is started."""
        self._draining = True
        for task, lane in list(self._tasks.items()):
            if not lane.busy:
                task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _leave(self, lane: Lane) -> None:
        if self._lanes.get(lane.key) is lane:
            del self._lanes[lane.key]
            self._pending -= lane.pending

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._leave(self._tasks.pop(task))
        if not task.cancelled() and task.exception() is not None:
            self.failure = task.exception()

    async def _run(self, lane: Lane) -> None:
        while lane.records and not self._draining:
            record = lane.records[0]
            played = await self._play(lane, record)
            if played is Played.LEFT or self._lanes.get(lane.key) is not lane:
                return
            lane.records.popleft()
            if played is Played.WAITS:
                lane.aside.append(record)
                if not lane.records and not await self._back_off(lane, WAIT_ATTEMPTS, None):
                    return
            else:
                lane.since.pop(record.offset, None)
                self._pending -= 1
                self._finished(record)
            if played is Played.DONE or not lane.records:
                lane.come_back()
        self._leave(lane)  # before anything else runs: a record that comes now must not join a lane that has ended

    async def _play(self, lane: Lane, record: Record) -> Played:
        """Tell whether the record is done with (handled, superseded, dead or parked), waits for another, or is left because of draining."""
        lane.trouble_since, attempts, bugs, lane.busy = None, 0, 0, False
        while True:
            attempts, told, failure = attempts + 1, None, None
            try:
                await self._try(lane, record, again=attempts > 1)
                return Played.DONE
            except KNOWN as error:
                if isinstance(error, DependencyError) and self._may_wait(lane, record):
                    return Played.WAITS
                failure = self._failure(lane, error, attempts)
                told = error.retry_after if isinstance(error, RetryableError) else None
            except Exception as error:  # a bug must not stop the other keys: the record is kept with what is known
                bugs += 1
                log.exception("unexpected error", topic=record.topic, partition=record.partition, offset=record.offset)
                if bugs >= BUG_ATTEMPTS:
                    failure = Failure(f"unexpected {type(error).__name__}", "bug", attempts=attempts)
            if failure is not None:
                return await self._store(lane, record, failure)
            if not await self._back_off(lane, attempts, told):
                return Played.LEFT

    def _may_wait(self, lane: Lane, record: Record) -> bool:
        since = lane.since.setdefault(record.offset, self._clock.monotonic())
        return self._clock.monotonic() - since < self._limits.dependency_seconds

    def _failure(self, lane: Lane, error: Known, attempts: int) -> Failure | None:
        """Return why the record is given up, None while it is worth another try."""
        if isinstance(error, DataError):
            return dataclasses.replace(Failure.of(error), attempts=attempts)
        now = self._clock.monotonic()
        lane.trouble_since = None if _blames_nobody(error) else now if lane.trouble_since is None else lane.trouble_since
        lasted = lane.trouble_since is not None and now - lane.trouble_since >= self._limits.retry_seconds
        awaits = error.awaits if isinstance(error, DependencyError) else ""
        return Failure(str(error), "passing", state=PARKED, attempts=attempts, awaits=awaits) if lasted or awaits else None

    async def _try(self, lane: Lane, record: Record, *, again: bool) -> None:
        async with self._slots:
            if again:
                self._metrics.add(RETRIES, connection=self._connection)
            lane.busy = True
            self._trying += 1
            try:
                if lane.is_outdated(record, self._handler.state_of):
                    await self._handler.supersede(record)
                else:
                    await self._handler.handle(record)
            finally:
                self._trying -= 1

    async def _store(self, lane: Lane, record: Record, failure: Failure) -> Played:
        """Give the record up; Kafka's own trouble is retried for ever, for nothing may be lost."""
        attempts = 0
        while True:
            attempts += 1
            try:
                await self._handler.give_up(record, failure)
                return Played.DONE
            except DataError as error:
                if not failure.whole:
                    raise
                place = f"{record.topic}/{record.partition}/{record.offset}"
                reason = f"{failure.reason} (its value stands at {place}: {error})"
                failure = dataclasses.replace(failure, reason=reason, state=DEAD, awaits="", whole=False)  # nor can it be tried by itself
            except RetryableError as error:
                log.warning("storing a dead letter again", reason=str(error))
                if not await self._back_off(lane, attempts, error.retry_after):
                    return Played.LEFT

    async def _back_off(self, lane: Lane, attempts: int, told: float | None) -> bool:
        """Wait before the next try; False where there is none, because the lanes drain."""
        if self._draining:
            return False
        ceiling = min(LONGEST_BACKOFF, 0.2 * 2 ** min(attempts, 10))
        lane.busy = False
        await self._clock.sleep(min(told, LONGEST_TOLD) if told is not None else self._random.uniform(ceiling / 2, ceiling))
        return not self._draining


def _blames_nobody(error: Known) -> bool:
    return isinstance(error, FencedError) or (isinstance(error, RetryableError) and (error.throttled or error.system_wide))
