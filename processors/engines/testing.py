"""What the engines' conformance suite is made of: topics of one's own on a real Kafka, processors to run, and an engine that runs for a while."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from processors.engines.settings import EngineSettings
from processors.port import Engine, Output, Processor, ReadState, Record, Step

PARTITIONS: Final = 4
SECONDS = 30.0

Row = tuple[bytes | None, bytes | None]


def faust(settings: EngineSettings, processor: Processor, *metrics: Any) -> Engine:  # noqa: ANN401
    """Return a Faust engine; a worker that runs another spares itself the import."""
    from processors.engines.faust_engine import FaustEngine  # noqa: PLC0415

    return FaustEngine(settings, processor, *metrics)


def native(settings: EngineSettings, processor: Processor, *metrics: Any) -> Engine:  # noqa: ANN401
    """Return a native engine."""
    from processors.engines.native_engine import NativeEngine  # noqa: PLC0415

    return NativeEngine(settings, processor, *metrics)


ENGINES: Final[dict[str, Callable[..., Engine]]] = {"faust": faust, "native": native}


@dataclass(frozen=True)
class Place:
    """A fresh input topic `name`, an output `<name>-out` and the group `name`, with what a test asks of them; to be closed at the end."""

    servers: str
    name: str = field(default_factory=lambda: f"engine-{uuid4().hex[:8]}")

    @property
    def out(self) -> str:
        """The output topic."""
        return f"{self.name}-out"

    @cached_property
    def _asking(self) -> Consumer:
        """What asks how far the group and the topics are, ten times a second: it keeps its connections, and joins nothing."""
        return Consumer({"bootstrap.servers": self.servers, "group.id": self.name})

    def close(self) -> None:
        """Leave Kafka."""
        if "_asking" in vars(self):
            self._asking.close()

    def create(self, *topics: str) -> None:
        """Create topics of four partitions, and return once the broker tells of them."""
        admin = AdminClient({"bootstrap.servers": self.servers})
        for made in admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in topics]).values():
            made.result(20)
        while not set(topics) <= set(admin.list_topics(timeout=20).topics):
            time.sleep(0.1)

    def delete(self, topic: str) -> None:
        """Delete a topic, and return once it is gone."""
        admin = AdminClient({"bootstrap.servers": self.servers})
        admin.delete_topics([topic])[topic].result(20)
        while topic in admin.list_topics(timeout=20).topics:
            time.sleep(0.1)

    def produce(self, rows: Iterable[Row], headers: Sequence[tuple[str, bytes]] = (), partition: int = -1) -> None:
        """Write records to the input; raises TimeoutError when Kafka does not take them."""
        producer = Producer({"bootstrap.servers": self.servers, "partitioner": "murmur2_random", "linger.ms": 20})
        for key, value in rows:
            producer.produce(self.name, value, key, partition, headers=list(headers))
        if left := producer.flush(20):
            raise TimeoutError(f"{left} records for {self.name} were not acknowledged")

    def outputs(self) -> list[Message]:
        """Return every record of the output."""
        return self.read(self.out)

    def read(self, topic: str) -> list[Message]:
        """Return every record of a topic, in order by partition; raises TimeoutError when nothing comes for 10 s."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": "reader", "enable.partition.eof": True})
        consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
        found, ends = [], 0
        while ends < PARTITIONS:
            message = consumer.poll(10)
            if message is None:
                raise TimeoutError(f"reading {topic}")
            if message.error():
                ends += 1
            else:
                found.append(message)
        consumer.close()
        return found

    def values(self) -> list[bytes]:
        """Return the values of the output, sorted."""
        return sorted(message.value() or b"" for message in self.outputs())

    def offsets(self, topic: str) -> list[int]:
        """Return where each partition of a topic ends, asked again while a new one has no leader."""
        deadline = time.monotonic() + 10
        while True:
            try:
                return [self._asking.get_watermark_offsets(TopicPartition(topic, p), 10)[1] for p in range(PARTITIONS)]
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def sent(self) -> int:
        """Return how many records the output holds."""
        return sum(self.offsets(self.out))

    def committed(self) -> list[int]:
        """Return what the group has committed of each partition of the input."""
        return [max(0, found.offset) for found in self._asking.committed([TopicPartition(self.name, p) for p in range(PARTITIONS)], 10)]

    def done(self) -> bool:
        """Tell whether all of the input is committed."""
        try:
            return self.committed() == self.offsets(self.name)
        except KafkaException:  # a broker that just started is loading its coordinator
            return False

    def settings(self, datadir: Path, **changes: Any) -> EngineSettings:  # noqa: ANN401 (fields of the settings)
        """Return settings of an engine here."""
        options = {"replication_factor": 1, "commit_interval": 0.2, "session_timeout": 6.0} | changes
        return EngineSettings(self.servers, self.name, (self.name,), PARTITIONS, datadir, **options)


class Count:
    """Sends `<value>:<how many of this key so far>`; raises on the value `poison`."""

    def process(self, record: Record, read: ReadState) -> Step:
        """Return the next count of the key."""
        if record.value == b"poison":
            raise ZeroDivisionError
        key = b"none" if record.key is None else record.key
        count = b"%d" % (int(read(key) or 0) + 1)
        value = (b"null" if record.value is None else record.value) + b":" + count
        return Step([Output(f"{record.topic}-out", record.key, value, record.headers)], {key: count})


@dataclass(slots=True)
class Slow(Count):
    """The same, and each record takes so many seconds."""

    seconds: float

    def process(self, record: Record, read: ReadState) -> Step:
        """Return the next count of the key after a while."""
        time.sleep(self.seconds)
        return Count.process(self, record, read)


@dataclass(slots=True)
class Once:
    """Copies the records of unseen keys, each of which takes so many seconds."""

    seconds: float = 0.0

    def process(self, record: Record, read: ReadState) -> Step:
        """Return a copy of the first record of a key."""
        time.sleep(self.seconds)
        if record.key is None or read(record.key):
            return Step()
        return Step([Output(f"{record.topic}-out", record.key, record.value)], {record.key: b"seen"})


async def until(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Return once `condition`, asked in a thread, is true; raises TimeoutError after so many seconds."""
    end = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        if time.monotonic() > end:
            raise TimeoutError(f"it did not come true within {seconds:g} s")
        await asyncio.sleep(0.05)


@asynccontextmanager
async def running(kind: str, settings: EngineSettings, processor: Processor | None = None, *metrics: Any) -> AsyncIterator[Engine]:  # noqa: ANN401
    """Run an engine while entered, then stop it and wait for its end, and for that of the threads that it left to end by themselves."""
    engine, stop = ENGINES[kind](settings, processor or Count(), *metrics), asyncio.Event()
    task = asyncio.create_task(engine.run(stop))
    try:
        yield engine
    finally:
        stop.set()
        try:
            await asyncio.wait_for(task, 15)
        finally:
            for thread in [one for one in threading.enumerate() if hasattr(one, "service")]:  # Faust's, one of which could not be stopped in time
                await asyncio.to_thread(thread.join, 15)
