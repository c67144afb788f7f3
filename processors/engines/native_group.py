"""The native engine's place in its consumer group: what is ours, and the records of it.

The assignor is `range`, and so the rebalance eager: state belongs to a partition number, and only range gives one number of every topic to one
worker (cooperative-sticky deals out single partitions of single topics).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from processors.engines.native_offsets import Offsets, Partition
from processors.engines.settings import EngineError, EngineSettings
from towpath.kafka import record_of
from towpath.records import Record

log = logging.getLogger(__name__)

BREATH_SECONDS = 0.1
POLL_SECONDS = 1.0
LOOK_SECONDS = 0.5
PREFETCHED_KILOBYTES = 16 * 1024
POLL_INTERVAL = 60.0
TOLD_SECONDS = 10.0
NEVER = float("-inf")
ANOTHER_ENGINE = "{group}: a worker with another engine is in the group; stop every worker of the one before starting the other"


class Listener(Protocol):
    """Who works on what the group is given."""

    def assigned(self, partitions: Sequence[int]) -> None:
        """Take over partitions (numbers; every input topic has them)."""
        ...

    def revoked(self) -> None:
        """Finish what is begun, as far as it goes without waiting long: the partitions go when this returns."""
        ...

    def lost(self) -> None:
        """Drop what is begun: the partitions are another worker's already."""
        ...


class Group:
    """A member of the consumer group, used by one thread: `epoch` rises with every change of what is ours, `flowing` says that its records flow."""

    def __init__(self, settings: EngineSettings, common: Mapping[str, Any], listener: Listener, stopping: threading.Event) -> None:
        self._settings, self._listener, self._stopping = settings, listener, stopping
        self.epoch = 0
        self.flowing = False
        self._why, self._told = "", NEVER
        self.lag: dict[Partition, int] = {}
        self.behind: dict[Partition, tuple[int, bool]] = {}
        self._ours: list[Partition] | None = None
        self._offsets = Offsets(settings.group, settings.session_timeout)
        self._next: dict[Partition, int] = {}
        self._ahead: deque[Message] = deque()
        self._polled = self._looked = NEVER
        self._taken = self._taken_then = 0
        self._failure: Exception | None = None
        self._consumer = Consumer(
            {
                **common,
                "group.id": settings.group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                "partition.assignment.strategy": "range",
                "session.timeout.ms": int(settings.session_timeout * 1000),
                "heartbeat.interval.ms": int(settings.session_timeout * 200),
                "max.poll.interval.ms": int(max(POLL_INTERVAL, 2 * settings.session_timeout) * 1000),
                "queued.max.messages.kbytes": PREFETCHED_KILOBYTES,
                "on_commit": self._offsets.answered,
            }
        )

    @property
    def trouble(self) -> str | None:
        """Why nothing is read or committed now, None where all is well; what is wrong with reading is told once, so it is believed for a while."""
        return self._why if time.monotonic() - self._told < TOLD_SECONDS else self._offsets.trouble

    def join(self) -> None:
        """Ask for partitions."""
        self._consumer.subscribe(list(self._settings.topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)

    @property
    def assigned(self) -> bool:
        """Whether the group has told us what is ours, be it nothing."""
        return self._ours is not None

    def begin(self) -> bool:
        """Have the records of what is ours flow, from the committed offsets on; False when Kafka does not say which these are."""
        try:
            self._offsets.ask(self._consumer, self._ours or ())
        except KafkaException as error:
            self._say(f"asking for the offsets of {self._settings.group}: {error.args[0].str()}")
            return False
        self.flowing, self._told = True, NEVER
        self.rewind()
        return True

    def rewind(self) -> None:
        """Read again from what is done."""
        if self.flowing:
            self._ahead.clear()
            self._next = dict(self._offsets.done)
            self._consumer.assign([TopicPartition(*partition, offset) for partition, offset in self._next.items()])

    def take(self, limit: int, seconds: float) -> list[Record]:
        """Return up to `limit` records of what is ours, waiting for the first for so many seconds, and only for that one."""
        epoch, now = self.epoch, time.monotonic()
        self._polled = now
        messages = [self._ahead.popleft() for _ in range(min(limit, len(self._ahead)))]
        if len(messages) < limit:
            messages += self._consume(limit - len(messages), 0.0 if messages else seconds)
        self._raise_failure()
        if now - self._looked > LOOK_SECONDS:
            self._look(now)
        if epoch != self.epoch:
            return []  # what was fetched before a rebalance is fetched again after it
        if self.flowing:
            self._offsets.commit_later(self._consumer)
        return [record for record in map(record_of, messages) if self._is_next(record)]

    def breathe(self, seconds: float) -> bool:
        """Let so many seconds pass and stay in the group; False where what is in hand is no longer ours, or the engine is to stop."""
        epoch, end = self.epoch, time.monotonic() + seconds
        while self.epoch == epoch:
            if self._stopping.is_set():
                return seconds == 0  # what is on its way may still arrive
            now = time.monotonic()
            if now - self._polled >= POLL_SECONDS and len(self._ahead) < self._settings.batch:
                self._polled = now
                messages = self._consume(1, 0.0)
                self._raise_failure()
                self._ahead.extend(messages if self.epoch == epoch else ())
                self._look(now)
            if now >= end:
                return self.epoch == epoch
            self._stopping.wait(min(BREATH_SECONDS, end - now))
        return False

    def finish(self, ends: Mapping[Partition, int]) -> None:
        """Note up to where partitions are done, and commit it when the last commit is answered."""
        self._offsets.done |= ends
        self._offsets.commit_later(self._consumer)

    def commit(self) -> None:
        """Commit what is done and wait for the answer."""
        self._offsets.commit(self._consumer)

    def is_sure(self, wait: Callable[[float], bool]) -> bool:
        """Tell whether what is ours stays so long enough to write its state; False too where `wait` gives up asking."""
        return self._offsets.is_sure(self._consumer, wait)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _consume(self, limit: int, seconds: float) -> list[Message]:
        first = self._consumer.poll(seconds)
        messages = [] if first is None else [first, *(self._consumer.consume(limit - 1, 0.0) if limit > 1 else ())]
        return [message for message in messages if message.error() is None or self._tell(cast("KafkaError", message.error()))]

    def _tell(self, error: KafkaError) -> bool:
        self._say(f"reading as {self._settings.group}: {error.str()}")
        if error.code() == KafkaError.INCONSISTENT_GROUP_PROTOCOL:
            self._failure = EngineError(ANOTHER_ENGINE.format(group=self._settings.group))
        elif error.fatal():
            self._failure = EngineError(self._why)
        return False

    def _say(self, why: str) -> None:
        self._why, self._told = why, time.monotonic()
        log.warning("%s", why)

    def _is_next(self, record: Record) -> bool:
        """Tell whether a record is not behind what was taken of its partition before, and note it."""
        place = record.topic, record.partition
        if record.offset < self._next.get(place, 0):
            return False
        self._next[place] = record.offset + 1
        self._taken += 1
        return True

    def _look(self, now: float) -> None:
        """Tell what is not committed yet, by its end as the last fetch told it; and what should move: what is taken, and all when nothing is."""
        self._looked, idle, self._taken_then = now, self._taken == self._taken_then, self._taken
        ends = {}
        for place in self._offsets.committed if self.flowing else ():
            end = self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)[1]
            if end >= 0:
                ends[place] = end
        self.lag = {place: end - self._offsets.committed[place] for place, end in ends.items()}
        due = ends if idle else self._next
        self.behind = {place: (offset, True) for place, offset in self._offsets.committed.items() if self.flowing and offset < due.get(place, 0)}

    def _on_assign(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        consumer.assign([])  # nothing flows until the state is restored
        self._forget()
        self._ours = [(place.topic, place.partition) for place in places]
        numbers = sorted({partition for _, partition in self._ours})
        self._guarded(lambda: self._listener.assigned(numbers))
        if sorted(self._ours) != sorted((topic, number) for topic in self._settings.topics for number in numbers):
            self._failure = EngineError(f"{self._settings.group} was not given the same partitions of every topic: {sorted(self._ours)}")

    def _on_revoke(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        self._guarded(self._listener.revoked)
        self._offsets.commit(consumer)
        self._leave(consumer)

    def _on_lost(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        log.warning("%s: the partitions were lost to another worker", self._settings.group)
        self._guarded(self._listener.lost)
        self._leave(consumer)

    def _leave(self, consumer: Consumer) -> None:
        self._ours = None
        self._forget()
        consumer.unassign()

    def _forget(self) -> None:
        self.epoch += 1
        self.flowing, self.lag, self.behind = False, {}, {}
        self._offsets.forget()
        self._next.clear()
        self._ahead.clear()

    def _guarded(self, work: Callable[[], None]) -> None:
        """Keep what goes wrong in a callback for whoever polls."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 (raised by `_raise_failure`)
            self._failure = error

    def _raise_failure(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
