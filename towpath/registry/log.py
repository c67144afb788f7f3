"""The topic that a registry keeps its schemas in: whoever writes holds a fence that shuts out every other writer, and has read all before.

The fence is Kafka's own, for one transactional id: a process that takes it ends the transactions of all others, whose next write is refused.
So any number of processes may run, one of them writes at a time, and none of them decides on less than everything that was written.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import ConfigResource, ResourceType

from towpath.errors import ConfigError, RetryableError
from towpath.kafka import KafkaSettings, make_admin, make_producer
from towpath.registry.store import Row, Store
from towpath.topic_reader import Place, TopicReader
from towpath.topic_setup import ensure
from towpath.topics import load_topics

TOPIC = "_schemas"
WRITER = "towpath-registry"
SECONDS = 5.0
TAKES = 3
REFUSED = frozenset({KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED})

log = structlog.get_logger(__name__)


class SchemaLog:
    """Keeps a store up with the topic, and writes to it; every method blocks, and may be called from any thread.

    Each raises ConfigError where Kafka refuses us and RetryableError where it does not answer.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self.store = Store()
        self._kafka, self._place = kafka, Place(TOPIC, 0)
        self._lock = threading.Lock()
        self._reader: TopicReader | None = None
        self._topic_id, self._at = "", 0
        self._producer: Producer | None = None

    def prepare(self) -> None:
        """Create the topic where it is missing; ConfigError where it does not keep its records for ever."""
        (spec,) = [spec for spec in load_topics().declared if spec.name == TOPIC]
        ensure(self._kafka, [spec])
        admin = make_admin(self._kafka)
        (described,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, spec.name)], request_timeout=SECONDS).values()
        try:
            policy = str(described.result(2 * SECONDS)["cleanup.policy"].value)
        except KafkaException as error:
            raise _named(error) from error
        if policy != "compact":
            raise ConfigError(f"topic {spec.name}: its cleanup.policy is {policy}, which loses schemas; set it to compact")

    def catch_up(self) -> None:
        """Bring the store up with the topic as it ends now."""
        with self._alone():
            self._catch_up()

    def write(self, decide: Callable[[Store], Sequence[Row]]) -> None:
        """Write what `decide` makes of a store that is up to date; nothing else is written in between. It may be asked more than once."""
        with self._alone():
            for _ in range(TAKES):
                if self._producer is None:
                    self._take_over()
                if self._written(decide(self.store)):
                    return
        raise RetryableError(f"writing {TOPIC}: other registries write at the same time", system_wide=True)

    def close(self) -> None:
        """Leave Kafka."""
        with self._lock:
            self._producer = None
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=SECONDS):
            raise RetryableError(f"{TOPIC}: others wait for Kafka already", system_wide=True)
        try:
            yield
        finally:
            self._lock.release()

    def _catch_up(self) -> None:
        if self._reader is None:
            self._reader = TopicReader(self._kafka, SECONDS)
        extent = self._reader.extents([TOPIC]).get(self._place)
        if extent is None:
            raise RetryableError(f"reading {TOPIC}: there is no such topic", system_wide=True)
        store, at = (self.store, self._at) if extent.topic_id == self._topic_id else (Store(), extent.low)
        for batch in self._reader.read({self._place: (at, extent.high)}):
            for record in batch.records:
                store.apply(record.key, record.value)
            at = max(at, batch.next[self._place])
        self.store, self._topic_id, self._at = store, extent.topic_id, at

    def _take_over(self) -> None:
        """Shut out every other writer, and read what they wrote."""
        producer = make_producer(self._kafka, transactional_id=WRITER, transaction_timeout_ms=10_000, delivery_timeout_ms=5_000, linger_ms=0)
        try:
            producer.init_transactions(SECONDS)
        except KafkaException as error:
            raise _named(error) from error
        self._catch_up()
        self._producer = producer
        log.info("this process writes the schemas", topic=TOPIC)

    def _written(self, rows: Sequence[Row]) -> bool:
        """Write the rows in one transaction, and tell whether this process was still the writer."""
        if not rows:
            return True
        assert self._producer is not None  # noqa: S101 - write() takes over first
        try:
            self._producer.begin_transaction()
            for row in rows:
                self._producer.produce(TOPIC, row.value, row.key, partition=0)
            self._producer.commit_transaction(SECONDS)
        except KafkaException as error:
            self._give_up()
            if error.args[0].code() in {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}:  # noqa: SLF001
                log.warning("another registry writes the schemas meanwhile", topic=TOPIC)
                return False
            raise _named(error) from error
        for row in rows:
            self.store.apply(*row)
        return True

    def _give_up(self) -> None:
        """Forget the producer: the next takes the fence, by which Kafka ends what this one left open."""
        producer, self._producer = self._producer, None
        with suppress(KafkaException):
            if producer is not None:
                producer.purge()


def _named(error: KafkaException) -> ConfigError | RetryableError:
    reason = error.args[0]
    if reason.code() in REFUSED:
        return ConfigError(f"writing {TOPIC}: {reason.str()}; allow the transactional id {WRITER} and the topic to the user of kafka.sasl_username")
    return RetryableError(f"writing {TOPIC}: {reason.str()}", system_wide=True)
