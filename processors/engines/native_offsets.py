"""What the native engine has done of each input partition, what of it is committed, and how long it may be sure that a partition is its own.

A worker that slept through the loss of its partitions must not write. The broker keeps a member for a session timeout after it heard of it, and
a commit that it took is such a word: so a worker is sure of its place for half a session timeout after it sent a commit that succeeded, and
commits anew before it writes state later than that. What it then writes is given up where it does not arrive within the other half.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

log = logging.getLogger(__name__)

ASK_SECONDS = 5.0
AGAIN_SECONDS = 0.1
NEVER = float("-inf")
FENCED = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.FENCED_INSTANCE_ID,
    }
)

Partition = tuple[str, int]


class Offsets:
    """The offsets of one member of `group`, used by one thread; `done` and `committed` tell the next offset to read, by topic and partition.

    `trouble` says why a commit was not taken.
    """

    def __init__(self, group: str, session_timeout: float) -> None:
        self._group, self._session_timeout = group, session_timeout
        self.done: dict[Partition, int] = {}
        self.committed: dict[Partition, int] = {}
        self.trouble: str | None = None
        self._committing: tuple[float, dict[Partition, int]] | None = None
        self._sure = NEVER
        self._member = ""

    def forget(self) -> None:
        """Know of nothing: the partitions are gone."""
        self.done, self.committed = {}, {}
        self._committing, self._sure = None, NEVER

    def ask(self, consumer: Consumer, partitions: Sequence[Partition]) -> None:
        """Learn where to begin, be it the oldest record; raises KafkaException when Kafka does not say."""
        self._member = consumer.memberid()
        places = [TopicPartition(*partition) for partition in partitions]
        for place in _right(consumer.committed(places, ASK_SECONDS) if places else []):
            low = place.offset if place.offset >= 0 else consumer.get_watermark_offsets(place, ASK_SECONDS)[0]
            self.done[place.topic, place.partition] = self.committed[place.topic, place.partition] = low

    def commit_later(self, consumer: Consumer) -> None:
        """Send what is done, unless the last commit is not answered yet."""
        if self._committing is None and (waiting := self._waiting()):
            self._committing = (time.monotonic(), waiting)
            try:
                consumer.commit(offsets=_places(waiting), asynchronous=True)
            except KafkaException as error:
                self.answered(error.args[0], [])

    def answered(self, error: KafkaError | None, places: list[TopicPartition]) -> None:
        """Take the answer to such a commit (librdkafka's `on_commit`)."""
        if self._committing is None:
            return
        (sent, offsets), self._committing = self._committing, None
        wrong = error or next((place.error for place in places if place.error), None)
        if wrong is None:
            self.committed |= offsets
            self._sure, self.trouble = max(self._sure, sent), None
        elif wrong.code() not in FENCED:
            self.trouble = f"committing as {self._group}: {wrong.str()}"

    def commit(self, consumer: Consumer) -> None:
        """Commit what is done and wait for the answer; what is not taken is read again by whoever comes next."""
        if (waiting := self._waiting()) and (error := self._commit_now(consumer, waiting)) is not None:
            log.warning("%s: what was done is not committed and is read again: %s", self._group, error.str())

    def is_sure(self, consumer: Consumer, wait: Callable[[float], bool]) -> bool:
        """Tell whether the partitions are ours for another half of the session timeout; False too where `wait` gives up asking."""
        while time.monotonic() - self._sure > self._session_timeout / 2:
            known = next(iter(self.done.items()), None)
            if known is None or consumer.memberid() != self._member:
                return False
            error = self._commit_now(consumer, self._waiting() or dict([known]))
            if error is not None and (error.code() in FENCED or not wait(AGAIN_SECONDS)):
                log.warning("%s: what is in hand is dropped: %s", self._group, error.str())
                return False
        return True

    def _waiting(self) -> dict[Partition, int]:
        return {place: offset for place, offset in self.done.items() if offset != self.committed.get(place)}

    def _commit_now(self, consumer: Consumer, offsets: dict[Partition, int]) -> KafkaError | None:
        sent = time.monotonic()
        try:
            _right(consumer.commit(offsets=_places(offsets), asynchronous=False))
        except KafkaException as error:
            return cast("KafkaError", error.args[0])
        self.committed |= offsets
        self._sure, self.trouble = sent, None
        return None


def _places(offsets: Mapping[Partition, int]) -> list[TopicPartition]:
    return [TopicPartition(*place, offset) for place, offset in offsets.items()]


def _right(places: list[TopicPartition]) -> list[TopicPartition]:
    for place in places:
        if place.error:
            raise KafkaException(place.error)
    return places
