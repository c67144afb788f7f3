"""Checks of an engine's topics: a missing one makes Faust wait in silence, and a wrong partition count mixes up the state."""

from __future__ import annotations

import time
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from processors.engines.settings import EngineError, EngineSettings
from towpath.errors import ConfigError
from towpath.refusal import Refusal, as_config_error

TIMEOUT = 5.0
WARNINGS = 4
AGAIN = 0.1


def check_topics(settings: EngineSettings, *, changelog_must_exist: bool) -> None:
    """Raise ConfigError unless the brokers let us in and every input topic, and the changelog where it exists, is as `settings` say.

    Blocks for up to 10 s.
    """
    config: dict[str, Any] = {"bootstrap.servers": settings.bootstrap_servers, "log_level": WARNINGS, **settings.security}
    refusal = Refusal(config)
    try:
        admin = AdminClient(config | {"error_cb": refusal})
    except KafkaException as exc:
        raise as_config_error(exc, config) from exc
    try:
        counts = {name: len(topic.partitions) for name, topic in admin.list_topics(timeout=TIMEOUT).topics.items()}
        for name in settings.topics:
            _check_count(settings, name, counts.get(name, 0))
        if changelog_must_exist or settings.changelog in counts:
            _check_count(settings, settings.changelog, counts.get(settings.changelog, 0))
            _check_compacted(admin, settings.changelog)
    except KafkaException as exc:
        admin.poll(0)  # hands over what went wrong meanwhile
        if refusal.reason:
            raise ConfigError(refusal.reason) from exc
        raise EngineError(f"asking {settings.bootstrap_servers} for the topics of {settings.group}: {exc.args[0].str()}") from exc


def make_changelog(settings: EngineSettings) -> str:
    """Check the input topics, create the changelog where it is missing, check it and return the id Kafka gave it.

    Raises as `check_topics`; blocks for up to 40 s.
    """
    check_topics(settings, changelog_must_exist=False)
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers, "log_level": WARNINGS, **settings.security})
    topic = NewTopic(settings.changelog, settings.partitions, settings.replication_factor, config={"cleanup.policy": "compact"})
    deadline = time.monotonic()
    try:
        if settings.changelog not in admin.list_topics(timeout=TIMEOUT).topics:
            _create(admin, topic)
            deadline += 2 * TIMEOUT  # not every broker knows of it at once
    except KafkaException as exc:
        raise EngineError(f"making the changelog {settings.changelog}: {exc.args[0].str()}") from exc
    while True:
        try:
            check_topics(settings, changelog_must_exist=True)
            return _id(admin, settings.changelog)
        except (ConfigError, EngineError):
            if time.monotonic() > deadline:
                raise
        time.sleep(AGAIN)


def _id(admin: AdminClient, topic: str) -> str:
    try:
        return str(admin.describe_topics(TopicCollection([topic]), request_timeout=TIMEOUT)[topic].result(2 * TIMEOUT).topic_id)
    except KafkaException as exc:
        raise EngineError(f"asking for the changelog {topic}: {exc.args[0].str()}") from exc


def _create(admin: AdminClient, topic: NewTopic) -> None:
    try:
        admin.create_topics([topic], operation_timeout=TIMEOUT)[topic.topic].result(2 * TIMEOUT)
    except KafkaException as exc:
        if exc.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another worker was quicker
            raise


def _check_count(settings: EngineSettings, name: str, count: int) -> None:
    if not count:
        raise ConfigError(f"topic {name} does not exist; create the topics before the processor {settings.group} starts")
    if count != settings.partitions:
        raise ConfigError(f"topic {name} has {count} partitions, not {settings.partitions}: the state of {settings.group} would be read wrongly")


def _check_compacted(admin: AdminClient, name: str) -> None:
    resource = ConfigResource(ConfigResource.Type.TOPIC, name)
    policy = admin.describe_configs([resource])[resource].result(TIMEOUT)["cleanup.policy"].value
    if policy != "compact":
        raise ConfigError(f"changelog {name} has cleanup.policy={policy}: set it to compact, or state will be deleted by age")
