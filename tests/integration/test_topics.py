"""Topics are created as declared, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from confluent_kafka.admin import ConfigResource, ResourceType

from towpath.errors import ConfigError, RetryableError
from towpath.kafka import KafkaSettings, make_admin
from towpath.testing.kafka import until_topic_has
from towpath.topic_setup import ensure, partition_counts, retain
from towpath.topics import TopicSpec

DAY = 86_400_000


@pytest.fixture
def specs(topic_name: Callable[[str], str]) -> list[TopicSpec]:
    return [TopicSpec(topic_name("orders"), 4, "delete", 30 * DAY), TopicSpec(topic_name("schemas"), 1, "compact", -1)]


def test_missing_topics_are_created_as_declared(kafka_settings: KafkaSettings, specs: list[TopicSpec]) -> None:
    assert [spec.name for spec in specs] == ensure(kafka_settings, specs)
    admin = make_admin(kafka_settings)
    counts = partition_counts(kafka_settings)
    assert [4, 1] == [counts[spec.name] for spec in specs]
    resource = ConfigResource(ResourceType.TOPIC, specs[0].name)
    config = admin.describe_configs([resource])[resource].result(10)
    assert ["delete", str(30 * DAY), "1"] == [config[name].value for name in ("cleanup.policy", "retention.ms", "min.insync.replicas")]


def test_a_topic_keeps_its_records_for_as_long_as_it_is_told(kafka_settings: KafkaSettings, specs: list[TopicSpec]) -> None:
    ensure(kafka_settings, specs[:1])
    for days, otherwise in ((400, True), (400, False), (180, True)):
        assert otherwise is retain(kafka_settings, specs[0].name, days * DAY)
        until_topic_has(kafka_settings, specs[0].name, "retention.ms", str(days * DAY))


def test_a_topic_takes_records_as_large_as_declared_from_then_on(kafka_settings: KafkaSettings, specs: list[TopicSpec]) -> None:
    ensure(kafka_settings, specs[:1])
    ensure(kafka_settings, [replace(spec, max_bytes=2_000_000) for spec in specs])
    for spec in specs:
        until_topic_has(kafka_settings, spec.name, "max.message.bytes", "2000000")
    ensure(kafka_settings, [replace(spec, max_bytes=1_500_000) for spec in specs])
    for spec in specs:
        until_topic_has(kafka_settings, spec.name, "max.message.bytes", "2000000")


def test_a_limit_that_kafka_refuses_is_told_with_its_setting(kafka_settings: KafkaSettings, specs: list[TopicSpec]) -> None:
    ensure(kafka_settings, specs[:1])
    for refused in (specs[0], specs[1]):
        with pytest.raises(ConfigError, match=rf"topic {refused.name}.*max_body_bytes"):
            ensure(kafka_settings, [replace(refused, max_bytes=1 << 40)])


def test_a_second_call_creates_nothing(kafka_settings: KafkaSettings, specs: list[TopicSpec]) -> None:
    ensure(kafka_settings, specs)
    assert [] == ensure(kafka_settings, specs)


def test_another_partition_count_is_refused_by_name_and_nothing_is_created(kafka_settings: KafkaSettings, specs: list[TopicSpec]) -> None:
    ensure(kafka_settings, specs[:1])
    with pytest.raises(ConfigError, match=rf"{specs[0].name} has 4 partitions, 8 are declared.*migration"):
        ensure(kafka_settings, [replace(specs[0], partitions=8), specs[1]])
    assert specs[1].name not in partition_counts(kafka_settings)


def test_what_kafka_refuses_names_the_topic(kafka_settings: KafkaSettings, specs: list[TopicSpec]) -> None:
    with pytest.raises(ConfigError, match=rf"creating topic {specs[0].name}"):
        ensure(kafka_settings, [replace(specs[0], cleanup="shred")])


def test_without_a_broker_it_is_retryable(unused_tcp_port: int, specs: list[TopicSpec], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towpath.topic_setup.SECONDS", 0.5)
    with pytest.raises(RetryableError, match=str(unused_tcp_port)):
        ensure(KafkaSettings(bootstrap_servers=f"127.0.0.1:{unused_tcp_port}"), specs)
