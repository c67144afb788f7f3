"""The index over a real Kafka: built from the topics, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from confluent_kafka import TopicPartition
from structlog.testing import capture_logs

from towpath.codec import default_codec
from towpath.config import Config, load_config
from towpath.delivery.database import open_engine
from towpath.delivery.deadletters import Failure, Registrar, Subject
from towpath.errors import RetryableError
from towpath.index.indexer import Indexer, topics_of
from towpath.index.queries import find_letters, trace, xrefs
from towpath.index.role import IndexerRole
from towpath.index.tables import about, positions, steps
from towpath.index.tables import metadata as tables
from towpath.kafka import KafkaSettings, make_admin, make_producer
from towpath.metrics import Metrics
from towpath.records import Output, Record
from towpath.runtime.health import Health
from towpath.runtime.role import DRAIN_SECONDS, RoleContext
from towpath.testing.events import an_order
from towpath.testing.index import of_event
from towpath.testing.waiting import until
from towpath.topic_setup import ensure
from towpath.topics import load_topics

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
INDEX_ALONE = """
import sys
from towpath.config import load_config
from towpath.index.indexer import Indexer
from towpath import topic_reader
topic_reader.AT_ONCE = 50
with Indexer(load_config(sys.argv[1], resolve=False)) as indexer:
    print("indexing", flush=True)
    indexer.catch_up()
"""


@pytest.fixture
def config(tmp_path: Path, kafka_settings: KafkaSettings, topic_name: Callable[[str], str]) -> Config:
    """Give the configuration of a shop and an ERP that no other test has, their topics made."""
    file, word = tmp_path / "towpath.yaml", topic_name("").strip(".")
    connection = "{system: bng, url: 'http://127.0.0.1:1', credentials: {api_key: 'env:NONE'}}"
    lines = [f"kafka: {{bootstrap_servers: '{kafka_settings.bootstrap_servers}'}}", "connections:"]
    file.write_text("\n".join([*lines, f"  shop-{word}: {connection}", f"  erp-{word}: {connection}"]), encoding="utf-8")
    found = load_config(file, resolve=False)
    ensure(found.kafka, [spec for spec in load_topics().expand(found.connections) if spec.name in topics_of(found)])
    return found


def path_of(config: Config, number: int) -> list[Output]:
    """Return what an order leaves in the topics: it was placed, refused by the ERP and, every second one, written in the end."""
    shop, erp = config.connections
    key = f"{shop}/order/{number}"
    subject = Subject(erp, key, operation="create_order", effect_key=key)
    registrar = Registrar(default_codec(), "sink", f"sink.{erp}", frozenset(config.connections))
    delivery = Record(f"deliver.{erp}", 0, number, 0.0, key.encode(), b"the delivery")
    letter_id, letter = registrar.dead_letter(delivery, Failure("no SKU"), subject, NOON)
    written = registrar.receipt("applied", subject, NOON, external_id=f"SO-{number}", dead_letter_id=letter_id)
    placed = of_event("OrderPlaced", an_order(number, connection=shop))
    return [Output(f"inbox.{shop}", f"order/{number}".encode(), b"{}"), placed, letter, *([written] if number % 2 else [])]


def send(config: Config, outputs: Iterable[Output]) -> int:
    """Return how many records Kafka took."""
    producer, taken = make_producer(config.kafka), 0
    for output in outputs:
        producer.produce(output.topic, output.value, output.key, headers=list(output.headers))
        producer.poll(0)
        taken += 1
    assert producer.flush(30) == 0
    return taken


def orders(config: Config, count: int, first: int = 1) -> int:
    return send(config, itertools.chain.from_iterable(path_of(config, number) for number in range(first, first + count)))


def contents(indexer: Indexer) -> dict[str, list[tuple[Any, ...]]]:
    with indexer.transaction() as connection:
        return {table.name: sorted(map(tuple, connection.execute(sa.select(table)))) for table in tables.sorted_tables}


def counted(config: Config) -> tuple[int, int]:
    """Return how many steps the index holds, and how many records its positions say it has read: equal, or one went without the other."""
    engine = open_engine(config.index_url(), reading=True)  # it waits for nobody who writes
    try:
        with engine.begin() as connection:
            read = connection.execute(sa.select(sa.func.sum(positions.c.next - positions.c.low))).scalar_one()
            return connection.execute(sa.select(sa.func.count()).select_from(steps)).scalar_one(), int(read or 0)
    finally:
        engine.dispose()


def steps_at(indexer: Indexer, topic: str) -> list[int]:
    with indexer.transaction() as connection:
        return sorted(connection.execute(sa.select(steps.c.offset).where(steps.c.topic == topic)).scalars())


def elsewhere(config: Config, folder: str = "other") -> Config:
    """Return the same configuration with an index of its own."""
    return config.model_copy(update={"data_dir": config.data_dir / folder})


def test_an_index_that_was_deleted_is_the_same_when_it_is_built_anew(config: Config) -> None:
    orders(config, 20)
    with Indexer(config) as indexer:
        indexer.catch_up()
        orders(config, 20, first=21)
        indexer.catch_up()
        before = contents(indexer)
        (config.data_dir / "index.db").unlink()
        with capture_logs() as logs:
            indexer.catch_up()
        assert ["the index was deleted and is built anew"] == [line["event"] for line in logs]
        assert before == contents(indexer)
    shop, erp = config.connections
    with indexer.transaction() as connection:
        assert 20 == len(find_letters(connection, where={"connection": erp}))
        assert ["inbox", "adapter", "sink", "sink"] == [step.hop for step in trace(connection, f"{shop}/order/7", [])]
        assert [f"{shop}/order/7"] == [one.business_key for one in xrefs(connection, [erp], "SO-7", [])]
    indexer.close()


def test_catching_up_again_adds_nothing(config: Config) -> None:
    sent = orders(config, 5)
    with Indexer(config) as indexer:
        assert sent <= indexer.catch_up()
        assert (0, 0) == (indexer.catch_up(), indexer.behind())
        assert (4 + 3, 0) == (orders(config, 2, first=6), indexer.behind() - 7)
        assert 7 == indexer.catch_up()


def test_ten_thousand_records_are_indexed_as_they_stand(config: Config) -> None:
    sent = orders(config, 2_860)
    assert sent >= 10_000
    with Indexer(config) as indexer:
        assert sent <= indexer.catch_up()
        held, read = counted(config)
        assert held == read >= sent


def test_rows_and_positions_stay_together_when_the_indexer_is_killed(config: Config, tmp_path: Path) -> None:
    orders(config, 1_000)
    seen = [0]
    with Indexer(config) as indexer:
        while indexer.behind() and len(seen) < 4:
            command = [sys.executable, "-c", INDEX_ALONE, str(tmp_path / "towpath.yaml")]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                assert "indexing\n" == process.stdout.readline()
                while process.poll() is None and counted(config)[0] <= seen[-1] + 100:
                    time.sleep(0.005)
                process.kill()
            held, read = counted(config)
            assert held == read > seen[-1]
            seen.append(held)
        assert len(seen) > 2  # it was killed more than once before the end, or this proves nothing
        indexer.catch_up()
        with Indexer(elsewhere(config)) as clean:
            clean.catch_up()
            assert contents(clean) == contents(indexer)


def test_two_at_once_count_each_record_once(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towpath.topic_reader.AT_ONCE", 50)
    orders(config, 1_000)
    added: list[int] = []

    def work() -> None:
        with Indexer(config) as indexer:
            added.append(indexer.catch_up())

    both = [threading.Thread(target=work) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(60)
    with Indexer(config) as indexer, Indexer(elsewhere(config)) as clean:
        total = clean.catch_up()
        assert (0, total, 2) == (indexer.catch_up(), sum(added), len(added))
        assert contents(clean) == contents(indexer)


def test_a_topic_that_is_made_anew_is_read_anew(config: Config) -> None:
    topic = f"inbox.{next(iter(config.connections))}"
    (spec,) = [spec for spec in load_topics().expand(config.connections) if spec.name == topic]
    send(config, [Output(topic, b"order/1", b"{}")] * 3)
    with Indexer(config) as indexer:
        indexer.catch_up()
        assert [0, 1, 2] == steps_at(indexer, topic)
        asyncio.run(delete_topic(config, topic))
        indexer.catch_up()
        ensure(config.kafka, [spec])
        send(config, [Output(topic, b"order/2", b"{}")] * 4)
        with capture_logs() as logs:
            indexer.catch_up()
        assert {"the topic was made anew or cut off, and is read again"} == {line["event"] for line in logs}
        assert [0, 1, 2, 3] == steps_at(indexer, topic)
        with indexer.transaction() as connection:
            key = f"{topic.removeprefix('inbox.')}/order"
            assert ([], 4) == (trace(connection, f"{key}/1", []), len(trace(connection, f"{key}/2", [])))


async def delete_topic(config: Config, topic: str) -> None:
    admin = make_admin(config.kafka)
    admin.delete_topics([topic], operation_timeout=10)[topic].result(20)

    async def gone() -> bool:
        return topic not in admin.list_topics(timeout=10).topics

    await until(gone, what="the topic is gone")


def test_what_retention_takes_from_a_topic_is_taken_from_the_index(config: Config) -> None:
    topic = f"inbox.{next(iter(config.connections))}"
    send(config, [Output(topic, b"order/1", b"{}")] * 5)
    with Indexer(config) as indexer:
        (partition,) = {place.partition for place, extent in indexer.reader.extents([topic]).items() if extent.high}

    def delete_below(offset: int) -> None:
        admin = make_admin(config.kafka)
        (deleted,) = admin.delete_records([TopicPartition(topic, partition, offset)]).values()
        deleted.result(20)

    with Indexer(config) as indexer:
        indexer.catch_up()
        delete_below(2)
        indexer.catch_up()
        assert [2, 3, 4] == steps_at(indexer, topic)
        send(config, [Output(topic, b"order/1", b"{}")] * 5)
        delete_below(7)
        with capture_logs() as logs:
            indexer.catch_up()
        assert [("records were deleted before they were indexed", 2)] == [(line["event"], line["records"]) for line in logs]
        assert [7, 8, 9] == steps_at(indexer, topic)


def test_an_index_of_another_cluster_is_built_anew(config: Config) -> None:
    orders(config, 3)
    with Indexer(config) as indexer:
        indexer.catch_up()
        before = contents(indexer)
        with indexer.transaction() as connection:
            connection.execute(sa.update(about).where(about.c.name == "cluster").values(value="another"))
            connection.execute(sa.update(steps).values(what="of the other cluster"))
        with capture_logs() as logs:
            indexer.catch_up()
        assert ["the index was of another Kafka cluster and is built anew"] == [line["event"] for line in logs]
        assert before == contents(indexer)


def test_a_kafka_that_does_not_answer_is_told_in_time(config: Config) -> None:
    away = config.model_copy(update={"kafka": KafkaSettings(bootstrap_servers="127.0.0.1:1")})
    with Indexer(away, seconds=2) as indexer, pytest.raises(RetryableError, match=r"127\.0\.0\.1:1 does not answer"):
        indexer.catch_up()


async def test_the_role_keeps_up_with_new_records_and_new_topics_until_it_is_stopped(config: Config) -> None:
    context = RoleContext(config, Metrics(), asyncio.Event(), Health())
    await delete_topic(config, late := f"parked.{list(config.connections)[1]}")
    role = asyncio.create_task(IndexerRole(config).run(context))
    await until(lambda: is_ready(context.health), what="the role is ready")
    orders(config, 1)
    ensure(config.kafka, [spec for spec in load_topics().expand(config.connections) if spec.name == late])
    send(config, [Output(late, b"k", b"poison")])
    with Indexer(config) as indexer:
        await until(lambda: has_step(indexer, late), what="the late topic's record is indexed")
        with indexer.transaction() as connection:
            assert 4 == len(trace(connection, f"{next(iter(config.connections))}/order/1", []))
    context.stop.set()
    await asyncio.wait_for(role, DRAIN_SECONDS)


async def test_the_role_says_that_kafka_is_away_and_still_ends_in_time(config: Config) -> None:
    away = config.model_copy(update={"kafka": KafkaSettings(bootstrap_servers="127.0.0.1:1")})
    context = RoleContext(away, Metrics(), asyncio.Event(), Health())
    role = asyncio.create_task(IndexerRole(away).run(context))
    await until(lambda: says(context.health, "127.0.0.1:1 does not answer"), what="the role says what is wrong")
    assert not context.health.is_ready
    context.stop.set()
    await asyncio.wait_for(role, DRAIN_SECONDS)


async def test_the_role_counts_what_is_open_and_no_more_what_was_closed(config: Config) -> None:
    context = RoleContext(config, Metrics(), asyncio.Event(), Health())
    role = asyncio.create_task(IndexerRole(config).run(context))
    orders(config, 4)
    await until(lambda: shows(context, "towpath_open_dead_letters", 2), what="two of four orders were refused and are open")
    await until(lambda: shows(context, "towpath_oldest_dead_letter_timestamp_seconds", NOON.timestamp()), what="the oldest is from noon")
    _, erp = config.connections
    letters = [path_of(config, number) for number in (2, 4)]
    registrar, subject = Registrar(default_codec(), "sink", f"sink.{erp}"), Subject(erp, "k", operation="create_order", effect_key="k")
    ids = [default_codec().decode_as("DeadLetter", outputs[2].value)["dead_letter_id"] for outputs in letters]
    send(config, [registrar.receipt("applied", subject, NOON, dead_letter_id=one) for one in ids])
    await until(lambda: shows(context, "towpath_open_dead_letters", 0), what="both are closed")
    await until(lambda: shows(context, "towpath_oldest_dead_letter_timestamp_seconds", 0), what="none is the oldest")
    context.stop.set()
    await asyncio.wait_for(role, DRAIN_SECONDS)


async def shows(context: RoleContext, metric: str, value: float) -> bool:
    _, erp = context.config.connections
    return context.metrics.registry.get_sample_value(metric, {"connection": erp, "state": "dead"}) == value


async def says(health: Health, text: str) -> bool:
    return any(text in check.detail for check in health.ready.values())


async def is_ready(health: Health) -> bool:
    return health.is_ready


async def has_step(indexer: Indexer, topic: str) -> bool:
    return steps_at(indexer, topic) == [0]
