from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from processors.engines.faust_engine import FaustEngine
from processors.engines.settings import EngineError, EngineSettings
from processors.port import Output, Processor, ReadState, Record, Step
from towpath.errors import ConfigError, RetryableError
from towpath.metrics import LAG, Metrics

PARTITIONS = 4
WORKER = Path(__file__).with_name("faust_worker.py")
Row = tuple[bytes | None, bytes | None]


@dataclass
class Place:
    """A fresh input topic `name`, an output `<name>-out` and the group `name`, with what a test asks of them."""

    servers: str
    name: str = field(default_factory=lambda: f"engine-{uuid4().hex[:8]}")

    def create(self, *topics: str) -> None:
        admin = AdminClient({"bootstrap.servers": self.servers})
        for made in admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in topics]).values():
            made.result(20)

    def produce(self, rows: Iterable[Row], headers: Sequence[tuple[str, bytes]] = ()) -> None:
        producer = Producer({"bootstrap.servers": self.servers, "partitioner": "murmur2_random", "linger.ms": 20})
        for key, value in rows:
            producer.produce(self.name, value, key, headers=list(headers))
        assert producer.flush(20) == 0

    def outputs(self) -> list[Message]:
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": "reader", "enable.partition.eof": True})
        consumer.assign([TopicPartition(f"{self.name}-out", p, 0) for p in range(PARTITIONS)])
        found, ends = [], 0
        while ends < PARTITIONS:
            message = consumer.poll(10)
            assert message is not None
            if message.error():
                ends += 1
            else:
                found.append(message)
        consumer.close()
        return found

    def offsets(self, topic: str) -> list[int]:
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": "reader"})
        ends = [consumer.get_watermark_offsets(TopicPartition(topic, p), 10)[1] for p in range(PARTITIONS)]
        consumer.close()
        return ends

    def committed(self) -> list[int]:
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": self.name})
        offsets = [max(0, found.offset) for found in consumer.committed([TopicPartition(self.name, p) for p in range(PARTITIONS)], 10)]
        consumer.close()
        return offsets

    def done(self) -> bool:
        try:
            return self.committed() == self.offsets(self.name)
        except KafkaException:  # a broker that just started is loading its coordinator
            return False

    def settings(self, datadir: Path, store: str = "rocksdict", **changes: object) -> EngineSettings:
        options = {"replication_factor": 1, "commit_interval": 0.2, "session_timeout": 6.0, "store": store} | changes
        return EngineSettings(self.servers, self.name, (self.name,), PARTITIONS, datadir, **options)  # type: ignore[arg-type]


@pytest.fixture
def place(kafka: str) -> Place:
    made = Place(kafka)
    made.create(made.name, f"{made.name}-out")
    return made


class Count:
    """Sends `<value>:<how many of this key so far>`; raises on the value `poison`."""

    def process(self, record: Record, read: ReadState) -> Step:
        if record.value == b"poison":
            raise ZeroDivisionError
        key = record.key or b"none"
        count = b"%d" % (int(read(key) or 0) + 1)
        value = (record.value or b"null") + b":" + count
        return Step([Output(f"{record.topic}-out", record.key, value, record.headers)], {key: count})


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


@asynccontextmanager
async def running(settings: EngineSettings, processor: Processor | None = None, metrics: Metrics | None = None) -> AsyncIterator[FaustEngine]:
    engine, stop = FaustEngine(settings, processor or Count(), metrics), asyncio.Event()
    task = asyncio.create_task(engine.run(stop))
    try:
        yield engine
    finally:
        stop.set()
        await asyncio.wait_for(task, 15)


async def test_each_key_is_processed_in_order_and_sees_its_own_writes(place: Place, tmp_path: Path) -> None:
    place.produce((b"k%d" % (i % 7), b"%d" % i) for i in range(1000))
    async with running(place.settings(tmp_path)):
        await until(place.done)
    found: dict[bytes, list[bytes]] = {}
    for message in place.outputs():
        found.setdefault(message.key() or b"", []).append(message.value() or b"")
    assert found == {b"k%d" % k: [b"%d:%d" % (i, n + 1) for n, i in enumerate(range(k, 1000, 7))] for k in range(7)}


async def test_null_keys_null_values_and_repeated_headers_arrive_as_they_are(place: Place, tmp_path: Path) -> None:
    headers = [("a", b"1"), ("a", b"2"), ("b", b"")]
    place.produce([(None, b"no key"), (b"k", None)], headers)
    async with running(place.settings(tmp_path)):
        await until(place.done)
    found = {(message.key(), message.value()): message.headers() for message in place.outputs()}
    assert found == {(None, b"no key:1"): headers, (b"k", b"null:1"): headers}


@pytest.mark.parametrize("store", ["rocksdict", "memory"])
async def test_state_is_read_back_after_a_restart(place: Place, tmp_path: Path, store: str) -> None:
    for _ in range(2):
        place.produce((b"k%d" % k, b"v") for k in range(20))
        async with running(place.settings(tmp_path, store)):
            await until(place.done)
    values = sorted(message.value() or b"" for message in place.outputs())
    assert values == [b"v:1"] * 20 + [b"v:2"] * 20


async def test_state_is_restored_from_the_changelog_when_its_directory_is_gone(place: Place, tmp_path: Path) -> None:
    for directory in ("first", "second"):
        place.produce((b"k%d" % k, b"v") for k in range(20))
        async with running(place.settings(tmp_path / directory)):
            await until(place.done)
    values = sorted(message.value() or b"" for message in place.outputs())
    assert values == [b"v:1"] * 20 + [b"v:2"] * 20


async def test_ready_and_healthy_say_when_records_flow(place: Place, tmp_path: Path) -> None:
    async with running(place.settings(tmp_path)) as engine:
        assert engine.healthy() == "not started"
        await asyncio.wait_for(engine.ready.wait(), 20)
        assert engine.healthy() is None
    assert (engine.ready.is_set(), engine.healthy()) == (False, "stopped")


class Held(Count):
    """The same, once it is let go: until then it raises what is tried again."""

    released = False

    def process(self, record: Record, read: ReadState) -> Step:
        if not self.released:
            raise RetryableError("not yet", retry_after=0.05)
        return super().process(record, read)


async def test_the_lag_is_what_is_not_committed_of_the_partitions_that_are_ours(place: Place, tmp_path: Path) -> None:
    metrics, processor = Metrics(), Held()

    def lag() -> list[float | None]:
        return [metrics.registry.get_sample_value(LAG.name, {"topic": place.name, "partition": str(p)}) for p in range(PARTITIONS)]

    place.produce((b"k%d" % k, b"v") for k in range(40))
    ends = place.offsets(place.name)
    async with running(place.settings(tmp_path), processor, metrics):
        await until(lambda: lag() == ends)
        processor.released = True
        await until(lambda: lag() == [0] * PARTITIONS)
        async with running(place.settings(tmp_path / "other")):
            await until(lambda: lag().count(None) == PARTITIONS // 2)
        await until(lambda: lag() == [0] * PARTITIONS)
    assert sum(ends) == 40


class Slow(Count):
    """The same, at 1,000 records a second, so that a stop comes amid the work."""

    def process(self, record: Record, read: ReadState) -> Step:
        time.sleep(0.001)
        return super().process(record, read)


async def test_a_stop_amid_the_work_finishes_and_commits_what_is_in_hand(place: Place, tmp_path: Path) -> None:
    place.produce((b"k%d" % k, b"v") for k in range(5000))
    async with running(place.settings(tmp_path), Slow()):
        await until(lambda: sum(place.offsets(f"{place.name}-out")) > 0)
    assert 0 < sum(place.committed()) == len(place.outputs()) < 5000


async def test_a_processor_that_raises_ends_the_run_and_its_record_is_never_committed(place: Place, tmp_path: Path) -> None:
    place.produce([(b"k", b"%d" % i) for i in range(10)] + [(b"k", b"poison"), (b"k", b"after")])
    for _ in range(2):
        with pytest.raises(EngineError, match="offset 10: ZeroDivisionError"):
            await FaustEngine(place.settings(tmp_path), Count()).run(asyncio.Event())
        assert max(place.committed()) == 10
    assert [message.value() for message in place.outputs()] == [b"%d:%d" % (i, i + 1) for i in range(10)]


async def test_a_missing_output_topic_is_waited_for(kafka: str, tmp_path: Path) -> None:
    place = Place(kafka)
    place.create(place.name)
    place.produce((b"k%d" % k, b"v") for k in range(20))
    impatient = {"message.timeout.ms": 1000, "topic.metadata.propagation.max.ms": 500}
    async with running(place.settings(tmp_path, producer=impatient)) as engine:
        await until(lambda: "sending to" in (engine.healthy() or ""))
        assert place.committed() == [0] * PARTITIONS
        place.create(f"{place.name}-out")
        await until(place.done)
        await until(lambda: engine.healthy() is None)
    assert sorted(message.value() or b"" for message in place.outputs()) == [b"v:1"] * 20


async def test_a_second_worker_takes_over_partitions_without_loss(place: Place, tmp_path: Path) -> None:
    rows = [(b"k%d" % k, b"v") for k in range(4000)]
    place.produce(rows[:2000])
    async with running(place.settings(tmp_path / "one")) as first:
        await asyncio.wait_for(first.ready.wait(), 20)
        async with running(place.settings(tmp_path / "two")) as second:
            place.produce(rows[2000:])
            await asyncio.wait_for(second.ready.wait(), 20)
            await until(place.done)
        place.produce(rows[:100])
        await until(place.done)
    found = [(message.key(), message.value()) for message in place.outputs()]
    assert set(found) == {(key, b"v:1") for key, _ in rows} | {(key, b"v:2") for key, _ in rows[:100]}


async def test_a_missing_input_topic_is_a_config_error(kafka: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        await FaustEngine(Place(kafka).settings(tmp_path), Count()).run(asyncio.Event())


async def test_a_changelog_that_is_not_compacted_is_a_config_error(place: Place, tmp_path: Path) -> None:
    place.create(place.settings(tmp_path).changelog)
    with pytest.raises(ConfigError, match=r"cleanup\.policy=delete"):
        await FaustEngine(place.settings(tmp_path), Count()).run(asyncio.Event())


@pytest.mark.parametrize(("store", "kills"), [("rocksdict", 3), ("memory", 2)])
async def test_a_worker_killed_again_and_again_loses_nothing_and_ends_all_committed(place: Place, tmp_path: Path, store: str, kills: int) -> None:
    events = 8000
    place.produce((b"k%d" % i, b"v%d" % i) for i in range(events))

    def sent() -> int:
        return sum(place.offsets(f"{place.name}-out"))

    for kill in range(1, kills + 2):
        command = [sys.executable, str(WORKER), place.servers, place.name, str(tmp_path), store]
        with (tmp_path / "log").open("ab") as log:
            worker = await asyncio.to_thread(subprocess.Popen, command, stdout=log, stderr=log)
        try:
            target = kill * 1800
            await until(place.done if kill > kills else lambda target=target: sent() >= target)  # type: ignore[misc]
        finally:
            worker.kill()
            worker.wait()
    assert {message.value() for message in place.outputs()} == {b"v%d" % i for i in range(events)}
