"""The topic of the registry: one process writes at a time, and none decides on less than all that was written."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from towpath.broker.ports import free_port
from towpath.codec import id_of
from towpath.errors import ConfigError, RetryableError
from towpath.kafka import KafkaSettings, make_admin
from towpath.registry.log import TOPIC, SchemaLog
from towpath.registry.schema import AvroSchema, parse
from towpath.registry.service import Registry
from towpath.registry.store import Registered
from towpath.testing.kafka import until_topic_has
from towpath.testing.registry import RegistryProcess
from towpath.testing.waiting import until


def schema(*names: str) -> AvroSchema:
    fields = [{"name": name, "type": ["null", "string"], "default": None} for name in names]
    return parse(json.dumps({"type": "record", "name": "Order", "fields": fields}))


@pytest.fixture
def subject() -> str:
    return f"s-{uuid.uuid4().hex[:8]}"


def service(kafka_settings: KafkaSettings) -> Registry:
    log = SchemaLog(kafka_settings)
    log.prepare()
    log.catch_up()
    return Registry(log)


def named(registered: Registered | list[str]) -> tuple[int, int]:
    assert isinstance(registered, Registered)
    return registered.version, registered.id


def test_of_two_processes_one_writes_at_a_time_and_neither_decides_on_less_than_all_that_was_written(
    kafka_settings: KafkaSettings, subject: str
) -> None:
    one, other = service(kafka_settings), service(kafka_settings)
    first, second, third = (schema(f"note{number}") for number in range(3))
    assert 1 == named(one.register(subject, first))[0]
    assert 2 == named(other.register(subject, second))[0]
    assert 3 == named(one.register(subject, third))[0]
    assert [(1, id_of(first.content)), (2, id_of(second.content))] == [named(other.register(subject, one)) for one in (first, second)]
    refused = other.register(subject, parse(schema("note2").text.replace('["null","string"],"default":null', '"int","default":0')))
    assert isinstance(refused, list)
    assert "field note2" in refused[0]


def test_who_was_shut_out_writes_nothing(kafka_settings: KafkaSettings, subject: str) -> None:
    """What `decide` made of an older state is refused by Kafka, and decided again on the newer one."""
    one, other = service(kafka_settings), service(kafka_settings)
    named(one.register(f"{subject}-0", schema()))
    asked = []

    def slowly(store: Any) -> list[Any]:  # noqa: ANN401 - a store
        asked.append(len(store.versions(subject)))
        if len(asked) == 1:
            named(other.register(subject, schema()))
        return [store.next(subject, schema("note")).row()]

    one._log.write(slowly)
    assert ([0, 1], [1, 2]) == (asked, list(one.store.versions(subject)))


async def test_it_stops_at_once_also_while_kafka_is_away(tmp_path: Path) -> None:
    lost = RegistryProcess(tmp_path / "lost", f"127.0.0.1:{free_port()}", free_port())
    lost.spawn()
    assert lost.process is not None

    async def tries() -> bool:
        return "started" in lost.log()

    await until(tries, seconds=30)
    lost.process.terminate()
    assert 0 == await asyncio.to_thread(lost.process.wait, 5)


def test_a_kafka_that_is_away_is_a_retryable_error() -> None:
    log = SchemaLog(KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_port()}"))
    with pytest.raises(RetryableError):
        log.catch_up()


def set_policy(kafka_settings: KafkaSettings, policy: str) -> None:
    admin = make_admin(kafka_settings)
    entry = ConfigEntry("cleanup.policy", policy, incremental_operation=AlterConfigOpType.SET)
    (changed,) = admin.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, TOPIC, incremental_configs=[entry])]).values()
    changed.result(10)
    until_topic_has(kafka_settings, TOPIC, "cleanup.policy", policy)


def test_a_topic_that_forgets_is_refused(kafka_settings: KafkaSettings) -> None:
    log = SchemaLog(kafka_settings)
    log.prepare()
    set_policy(kafka_settings, "delete")
    try:
        with pytest.raises(ConfigError, match=r"its cleanup\.policy is delete, which loses schemas; set it to compact"):
            log.prepare()
    finally:
        set_policy(kafka_settings, "compact")
