"""Reading topics by place, as no member of a consumer group: where they begin and end now, what stands between, and single records."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import OffsetSpec

from towpath.errors import ConfigError, RetryableError
from towpath.kafka import KafkaSettings, make_admin, make_consumer, reach, record_of
from towpath.records import Record

SECONDS = 10.0
AT_ONCE = 2_000
POLL_SECONDS = 0.5
FILL_SECONDS = 0.02
FETCH_MILLISECONDS = 20
"""How long the broker may hold back an answer for more data: a partition that is read to its end must not hold up the others."""
PREFETCHED_KILOBYTES = 32 * 1024
EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
PASSING = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.NOT_COORDINATOR,
    }
)
"""What is answered while a topic is being made or deleted, or another broker takes over."""
PAUSE_SECONDS = 0.2
FORBIDDEN = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED})

T = TypeVar("T")


class Place(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int


class Extent(NamedTuple):
    """What a partition holds now: offsets from `low` up to `high`, without it. A topic that is made anew has another `topic_id`."""

    topic_id: str
    low: int
    high: int


class Batch(NamedTuple):
    """Records in order per partition, and the offset to go on from at each partition that came further."""

    records: list[Record]
    next: dict[Place, int]


class TopicReader:
    """Reads until it is closed, with one connection, and one for each group whose offsets were asked for.

    Making it raises ConfigError where the brokers refuse us and RetryableError where none answers within `seconds`; so does each method.
    """

    def __init__(self, kafka: KafkaSettings, seconds: float = SECONDS) -> None:
        reach(kafka, seconds)
        self._kafka, self._seconds = kafka, seconds
        self._admin = make_admin(kafka)
        self._consumer = make_consumer(
            kafka,
            "towpath-reader",
            enable_partition_eof=True,
            queued_max_messages_kbytes=PREFETCHED_KILOBYTES,
            fetch_wait_max_ms=FETCH_MILLISECONDS,
        )
        self._members: dict[str, Consumer] = {}
        self._ends: dict[Place, int] = {}
        self._left: set[Place] = set()

    def close(self) -> None:
        """Leave Kafka."""
        for consumer in (self._consumer, *self._members.values()):
            consumer.close()

    def cluster_id(self) -> str:
        """Return the id that the cluster was given when it was set up."""
        for client in (self._admin, self._consumer):
            client.poll(0)  # hands over what they logged while nothing was read
        with self._answering("the cluster"):
            return str(self._admin.describe_cluster(request_timeout=self._seconds).result().cluster_id)

    def extents(self, topics: Iterable[str]) -> dict[Place, Extent]:
        """Return what each partition of the topics holds now; a topic that is not there is left out."""
        asked = list(topics)
        return self._patiently("the topics", lambda: self._extents(asked))

    def _extents(self, topics: list[str]) -> dict[Place, Extent]:
        ids: dict[Place, str] = {}
        for topic, described in self._admin.describe_topics(TopicCollection(topics), request_timeout=self._seconds).items():
            try:
                description = described.result()
            except KafkaException as error:
                if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    continue
                raise
            ids |= {Place(topic, partition.id): str(description.topic_id) for partition in description.partitions}
        lows, highs = self._offsets(ids, EARLIEST), self._offsets(ids, LATEST)
        return {place: Extent(topic_id, lows[place], highs[place]) for place, topic_id in ids.items()}

    def _offsets(self, places: Iterable[Place], spec: OffsetSpec) -> dict[Place, int]:
        asked = {TopicPartition(*place): spec for place in places}
        if not asked:
            return {}
        answers = self._admin.list_offsets(asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=self._seconds)
        return {Place(at.topic, at.partition): answer.result().offset for at, answer in answers.items()}

    def committed(self, group: str, places: Sequence[Place]) -> dict[Place, int]:
        """Return the offset that a consumer group has committed at each place, of those where it has committed one."""
        if group not in self._members:  # the admin client's own call crashes librdkafka 2.16.1 while a coordinator is being chosen
            self._members[group] = make_consumer(self._kafka, group)
        asked = [TopicPartition(*place) for place in places]
        found = self._patiently(f"the offsets of {group}", lambda: self._members[group].committed(asked, self._seconds))
        return {Place(at.topic, at.partition): at.offset for at in found if at.offset >= 0}

    def read(self, spans: Mapping[Place, tuple[int, int]]) -> Iterator[Batch]:
        """Yield what stands from the first offset up to the second, without it, at each place; at the ends perhaps a little more.

        Whoever finds between two batches that a place is done further goes on there by `seek`.
        """
        self._ends = {place: end for place, (start, end) in spans.items() if start < end}
        self._left = set(self._ends)
        self._assign({place: spans[place][0] for place in self._ends})
        heard = time.monotonic()
        try:
            while self._left:
                batch = self._taken(self._polled())
                self._left -= {place for place, offset in batch.next.items() if offset >= self._ends[place]}
                if batch.next:
                    yield batch
                    heard = time.monotonic()
                elif time.monotonic() - heard > self._seconds:
                    raise RetryableError(
                        f"reading {min(self._left).topic}: {self._kafka.bootstrap_servers} sends nothing for {self._seconds:g} s", system_wide=True
                    )
        finally:
            self._consumer.unassign()

    def seek(self, place: Place, offset: int) -> None:
        """Have `read` go on at this offset of a place that it has just yielded."""
        with self._answering(place.topic):
            self._consumer.seek(TopicPartition(*place, offset))
        if offset >= self._ends[place]:
            self._left.discard(place)
        else:
            self._left.add(place)

    def first_records(self, starts: Mapping[Place, int]) -> dict[Place, Record]:
        """Return the first record at or after each offset, of those that come within the reader's seconds."""
        found: dict[Place, Record] = {}
        self._assign(starts)
        until = time.monotonic() + self._seconds
        try:
            ended: set[Place] = set()
            while set(starts) - set(found) - ended and time.monotonic() < until:
                batch = self._taken(self._polled())
                for record in batch.records:
                    found.setdefault(Place(record.topic, record.partition), record)
                ended |= set(batch.next)
            return found
        finally:
            self._consumer.unassign()

    def _assign(self, starts: Mapping[Place, int]) -> None:
        with self._answering("the topics"):
            self._consumer.assign([TopicPartition(*place, offset) for place, offset in starts.items()])

    def _polled(self) -> list[Message]:
        first = self._consumer.poll(POLL_SECONDS)
        return [] if first is None else [first, *self._consumer.consume(AT_ONCE - 1, FILL_SECONDS)]

    def _taken(self, messages: Sequence[Message]) -> Batch:
        batch = Batch([], {})
        for message in messages:
            error = message.error()
            if error is None:
                record = record_of(message)
                batch.records.append(record)
                batch.next[Place(record.topic, record.partition)] = record.offset + 1
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka names its own errors so
                batch.next[Place(str(message.topic()), int(message.partition() or 0))] = int(message.offset() or 0)
            else:
                raise _named(error, f"reading {message.topic()}")
        return batch

    def _patiently(self, what: str, ask: Callable[[], T]) -> T:
        """Return the answer, asked again while leaders and coordinators are being chosen."""
        until = time.monotonic() + self._seconds
        with self._answering(what):
            while True:
                try:
                    return ask()
                except KafkaException as error:
                    if error.args[0].code() not in PASSING or time.monotonic() > until:
                        raise
                time.sleep(PAUSE_SECONDS)

    @contextmanager
    def _answering(self, what: str) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            raise _named(error.args[0], f"reading {what} of {self._kafka.bootstrap_servers}") from error


def _named(error: KafkaError, doing: str) -> ConfigError | RetryableError:
    if error.code() in FORBIDDEN:
        return ConfigError(f"{doing}: {error.str()}; allow it to the user of kafka.sasl_username")
    return RetryableError(f"{doing}: {error.str()}", system_wide=True)
