"""What `towpath status` says, whatever is down."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from typer.testing import CliRunner, Result

from towpath.cli.main import build_app
from towpath.codec import default_codec
from towpath.config import Config, load_config
from towpath.delivery.deadletters import PARKED, Failure, Registrar, Subject
from towpath.index.indexer import topics_of
from towpath.kafka import KafkaSettings, make_consumer, make_producer
from towpath.lag import Backlog
from towpath.metrics import CIRCUIT_OPEN, RESTARTS, Metrics
from towpath.records import Record
from towpath.runtime.health import Health, HealthServer
from towpath.runtime.runfile import RunFile
from towpath.status.report import Report, gathered
from towpath.topic_reader import Place, TopicReader
from towpath.topic_setup import ensure
from towpath.topics import load_topics

AN_HOUR = timedelta(hours=1)


@pytest.fixture
def config(tmp_path: Path, kafka_settings: KafkaSettings, topic_name: Callable[[str], str]) -> Config:
    """Give the configuration of an ERP that no other test has, its topics made."""
    file, word = tmp_path / "towpath.yaml", topic_name("").strip(".")
    connection = f"erp-{word}: {{system: bng, url: 'http://127.0.0.1:1', credentials: {{api_key: 'env:NONE'}}}}"
    file.write_text(f"kafka: {{bootstrap_servers: '{kafka_settings.bootstrap_servers}'}}\nconnections:\n  {connection}\n", encoding="utf-8")
    found = load_config(file, resolve=False)
    ensure(found.kafka, [spec for spec in load_topics().expand(found.connections) if spec.name in topics_of(found)])
    return found


@asynccontextmanager
async def a_sink(config: Config, *, ready: bool = True, circuit: bool = False, told_as: str = "sink") -> AsyncIterator[None]:
    """Run what a sink answers with, started an hour ago and restarted three times; its run file says `told_as`."""
    health, metrics = Health(), Metrics()
    health.set_ready("partitions", ok=ready, detail="waiting for partitions")
    metrics.set(RESTARTS, 3, role="sink")
    metrics.set(CIRCUIT_OPEN, int(circuit), connection=erp(config))
    async with HealthServer("sink", health, metrics, host="127.0.0.1", port=0) as server:
        run_file(config, told_as, server.port)
        yield


def run_file(config: Config, role: str, port: int | None) -> None:
    RunFile(role, os.getpid(), port, (datetime.now(UTC) - AN_HOUR).isoformat()).write(config.run_dir)


def erp(config: Config) -> str:
    return next(iter(config.connections))


async def look(config: Config, *roles: str) -> Report:
    return await asyncio.to_thread(gathered, config, roles)


def run(config: Config, *arguments: str) -> Result:
    return CliRunner().invoke(build_app(), ["status", *arguments, "--config", str(config.data_dir.parent / "towpath.yaml")])


async def test_all_is_well_when_every_role_is_ready(config: Config) -> None:
    async with a_sink(config):
        report = await look(config, "sink")
    (sink,) = report.roles
    assert ("ready", "", 3, {erp(config): False}) == (sink.state, sink.detail, sink.restarts, sink.circuits)
    assert sink.up_seconds == pytest.approx(3600, abs=30)
    assert (True, "", "", 0) == (report.well, report.kafka, report.index, report.unread)


async def test_a_role_that_is_not_ready_says_why(config: Config) -> None:
    async with a_sink(config, ready=False):
        report = await look(config, "sink")
    assert [("not ready", "partitions: waiting for partitions")] == [(role.state, role.detail) for role in report.roles]
    assert not report.well


async def test_a_role_is_down_that_never_ran_or_ended_or_whose_port_another_program_has(config: Config) -> None:
    async with a_sink(config, told_as="adapter"):
        async with a_sink(config):
            pass
        report = await look(config, "receiver", "sink", "adapter")
    receiver, sink, adapter = report.roles
    assert ["down"] * 3 == [role.state for role in report.roles]
    assert "does not run on this machine" == receiver.detail
    assert f"process {os.getpid()} does not answer" in sink.detail
    assert "another program answers" in adapter.detail
    assert not report.well


async def test_a_role_that_is_starting_is_not_ready(config: Config) -> None:
    run_file(config, "sink", None)
    assert [("not ready", "starting")] == [(role.state, role.detail) for role in (await look(config, "sink")).roles]


async def test_an_open_circuit_is_named_and_nothing_is_well(config: Config) -> None:
    async with a_sink(config, circuit=True):
        report = await look(config, "sink")
    assert ({erp(config): True}, False) == (report.circuits, report.well)


async def test_what_waits_is_told_by_group_with_when_its_oldest_record_was_written(config: Config) -> None:
    topic, times = f"inbox.{erp(config)}", [1_763_631_000_000 + 1_000 * second for second in range(5)]
    producer = make_producer(config.kafka)
    for time in times:
        producer.produce(topic, b"{}", b"order/1", timestamp=time)
    assert producer.flush(30) == 0
    reader = TopicReader(config.kafka)
    (partition,) = [place.partition for place, extent in reader.extents([topic]).items() if extent.high]
    group = f"adapter.{erp(config)}"
    before = (await look(config)).backlogs
    assert Backlog(group, topic, 5, datetime.fromtimestamp(times[0] / 1000, UTC)) in before
    consumer = make_consumer(config.kafka, group)
    consumer.commit(offsets=[TopicPartition(topic, partition, 2)], asynchronous=False)
    assert Backlog(group, topic, 3, datetime.fromtimestamp(times[2] / 1000, UTC)) in (await look(config)).backlogs
    consumer.commit(offsets=[TopicPartition(topic, partition, 5)], asynchronous=False)
    assert Backlog(group, topic, 0, None) in (await look(config)).backlogs
    assert {Place(topic, partition): 5} == reader.committed(group, [Place(topic, number) for number in range(4)])
    consumer.close()
    reader.close()


def fail(config: Config, *, state: str = "dead", offset: int = 0) -> None:
    registrar = Registrar(default_codec(), "sink", "sink", frozenset(config.connections))
    delivery = Record(f"deliver.{erp(config)}", 0, offset, 0.0, b"k", b"v")
    _, output = registrar.dead_letter(delivery, Failure("because", state=state), Subject(erp(config)), datetime.now(UTC))
    producer = make_producer(config.kafka)
    producer.produce(output.topic, output.value, output.key)
    assert producer.flush(30) == 0


async def test_open_dead_letters_and_parked_records_are_counted_by_connection(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    for offset in range(3):
        fail(config, offset=offset)
    fail(config, state=PARKED, offset=3)
    assert {"dead": 3, "parked": 1} == (await look(config)).letters[erp(config)]
    monkeypatch.setenv("COLUMNS", "120")
    assert "and 1 parked; `towpath dlq groups` tells why" in (await asyncio.to_thread(run, config)).stdout


async def test_without_kafka_the_roles_and_the_index_are_told_as_they_stand(config: Config) -> None:
    fail(config)
    assert ("", "") == ((before := await look(config)).kafka, before.index)
    away = config.model_copy(update={"kafka": KafkaSettings(bootstrap_servers="127.0.0.1:1")})
    async with a_sink(config), asyncio.timeout(20):
        report = await look(away, "sink")
    assert "127.0.0.1:1 does not answer" in report.kafka
    assert ("ready", {"dead": 1, "parked": 0}, "") == (report.roles[0].state, report.letters[erp(config)], report.index)
    assert not report.well


async def test_without_the_index_the_rest_is_told(config: Config) -> None:
    config.data_dir.mkdir(exist_ok=True)
    (config.data_dir / "index.db").write_text("this is no database, but a text that is long enough to be taken for one " * 20, encoding="utf-8")
    async with a_sink(config):
        report = await look(config, "sink")
    assert ("ready", "", False) == (report.roles[0].state, report.kafka, report.well)
    assert "delete it, and it is built anew" in report.index


async def test_the_command_fits_80_columns_and_ends_as_it_says(config: Config) -> None:
    fail(config)
    async with a_sink(config):
        well = await asyncio.to_thread(run, config, "--roles", "sink")
        ill = await asyncio.to_thread(run, config, "--roles", "sink,receiver")
        told = json.loads((await asyncio.to_thread(run, config, "--roles", "sink", "--json")).stdout)
    assert (0, 1) == (well.exit_code, ill.exit_code)
    assert max(map(len, ill.stdout.splitlines())) <= 80
    for text in ("role sink", "up 1 h 0 min, 3 restarts", "role receiver", "down", "circuit erp", "up to date"):
        assert text in ill.stdout
    assert (True, 1, ["ready"]) == (told["ok"], told["letters"][erp(config)]["dead"], [role["state"] for role in told["roles"]])
    assert {"group", "topic", "records", "oldest_seconds"} == set(told["backlogs"][0])
