"""What every folder of tests may ask for."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator

import pytest

from towpath.broker import Broker
from towpath.kafka import KafkaSettings


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a real Kafka for the whole run: the one named by TOWPATH_TEST_KAFKA, else an embedded broker of its own."""
    if given := os.environ.get("TOWPATH_TEST_KAFKA"):
        yield given
        return
    broker = Broker.start(tmp_path_factory.mktemp("kafka"), die_with_parent=True)
    yield broker.bootstrap_servers
    broker.stop()


@pytest.fixture(scope="session")
def kafka_settings(kafka: str) -> KafkaSettings:
    """Give the settings to reach that Kafka."""
    return KafkaSettings(bootstrap_servers=kafka)


@pytest.fixture
def topic_name() -> Callable[[str], str]:
    """Give a function from a word to a topic or group name that no other test has."""
    prefix = uuid.uuid4().hex[:8]
    return lambda word: f"t{prefix}.{word}"
