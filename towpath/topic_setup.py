"""Bringing a Kafka's topics to what is declared."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from towpath.errors import ConfigError, RetryableError
from towpath.kafka import KafkaSettings, make_admin, reach
from towpath.topics import MAX_BYTES, TopicSpec

SECONDS = 15.0
RETENTION = "retention.ms"

log = logging.getLogger(__name__)


def ensure(settings: KafkaSettings, specs: Sequence[TopicSpec]) -> list[str]:
    """Create the topics that are missing and return their names; a second call creates nothing.

    A topic that takes smaller records than declared is told to take larger ones; it is never told to take smaller ones.

    Raises:
        ConfigError: a topic has another number of partitions than declared (keys would change their partition), or Kafka refuses us or a topic.
        RetryableError: Kafka does not answer.
    """
    present = partition_counts(settings)
    _require_declared(present, specs)
    missing = [spec for spec in specs if spec.name not in present]
    admin = make_admin(settings)
    _raise_limits(admin, [spec for spec in specs if spec.name in present])
    if missing:
        for name, created in admin.create_topics([_new(spec, settings) for spec in missing], operation_timeout=SECONDS).items():
            _await_creation(name, created)
        _require_declared(partition_counts(settings), missing)  # where another process was quicker
    return [spec.name for spec in missing]


def retain(settings: KafkaSettings, topic: str, milliseconds: int) -> bool:
    """Have a topic keep its records for so long, and return whether it did otherwise before; where Kafka refuses that, it is told in the log."""
    admin, resource = make_admin(settings), ConfigResource(ResourceType.TOPIC, topic)
    try:
        if admin.describe_configs([resource])[resource].result(SECONDS)[RETENTION].value == str(milliseconds):
            return False
        entry = ConfigEntry(RETENTION, str(milliseconds), incremental_operation=AlterConfigOpType.SET)
        changed = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        admin.incremental_alter_configs([changed])[changed].result(SECONDS)
    except KafkaException as error:
        log.warning("topic %s: its %s is to be %d, and Kafka refuses to change it: %s", topic, RETENTION, milliseconds, error.args[0].str())
        return False
    return True


def partition_counts(settings: KafkaSettings) -> dict[str, int]:
    """Return the number of partitions of every topic there is; raises as `reach` does."""
    return {name: len(topic.partitions) for name, topic in reach(settings, SECONDS).topics.items()}


def _raise_limits(admin: AdminClient, specs: Sequence[TopicSpec]) -> None:
    needed = {spec.name: spec.max_bytes for spec in specs if spec.max_bytes is not None}
    if not needed:
        return
    changes = []
    for resource, found in admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in needed]).items():
        try:
            limit = int(found.result(SECONDS)[MAX_BYTES].value)
        except KafkaException as error:
            log.warning("topic %s: its %s cannot be read: %s", resource.name, MAX_BYTES, error.args[0].str())
            continue
        if limit < needed[resource.name]:
            entry = ConfigEntry(MAX_BYTES, str(needed[resource.name]), incremental_operation=AlterConfigOpType.SET)
            changes.append(ConfigResource(ResourceType.TOPIC, resource.name, incremental_configs=[entry]))
    for resource, changed in (admin.incremental_alter_configs(changes) if changes else {}).items():
        try:
            changed.result(SECONDS)
        except KafkaException as error:
            message = f"topic {resource.name} takes too small records, and Kafka refuses to change that: {error.args[0].str()}"
            raise ConfigError(f"{message}; set its {MAX_BYTES} to {needed[resource.name]}, or lower receiver.max_body_bytes") from error


def _new(spec: TopicSpec, settings: KafkaSettings) -> NewTopic:
    config = spec.config() | {"min.insync.replicas": str(settings.min_insync_replicas)}
    return NewTopic(spec.name, num_partitions=spec.partitions, replication_factor=settings.replication_factor, config=config)


def _await_creation(name: str, created: Future[None]) -> None:
    try:
        created.result(timeout=2 * SECONDS)
    except KafkaException as error:
        reason = error.args[0]
        if reason.code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return
        hint = "; lower receiver.max_body_bytes, from which it follows" if MAX_BYTES in reason.str() else ""
        message = f"creating topic {name}: {reason.str()}{hint}"
        if reason.retriable():
            raise RetryableError(message, system_wide=True) from error
        raise ConfigError(message) from error


def _require_declared(present: dict[str, int], specs: Sequence[TopicSpec]) -> None:
    differing = [spec for spec in specs if present.get(spec.name, spec.partitions) != spec.partitions]
    if wrong := [f"{spec.name} has {present[spec.name]} partitions, {spec.partitions} are declared" for spec in differing]:
        message = f"{'; '.join(wrong)}: declare what is there in schemas/topics.yaml, or move the data in a migration"
        raise ConfigError(message)
