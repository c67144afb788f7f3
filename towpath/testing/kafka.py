"""The Kafka that tests run against: one that is given, Apache's own image where a Docker engine answers, or the embedded broker."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from confluent_kafka.admin import ConfigResource, ResourceType

from towpath.broker import Broker, layout
from towpath.broker.jars import KAFKA_VERSION
from towpath.broker.ports import HOST, free_port
from towpath.broker.ready import answers_metadata, wait_for
from towpath.broker.state import BrokerState
from towpath.kafka import KafkaSettings, make_admin

VARIABLE = "TOWPATH_TEST_KAFKA"
DOCKER = "docker"
IMAGE = f"apache/kafka:{KAFKA_VERSION}"
ASK = "from testcontainers.core.docker_client import DockerClient; DockerClient().client.ping()"
ENGINE_SECONDS = 5.0
START_SECONDS = 120.0

Way = Literal["given", "docker", "embedded"]


def way_to_kafka(asked: str, no_docker: str | None) -> Way:
    """Return how to come by a Kafka: `asked` is the value of TOWPATH_TEST_KAFKA, `no_docker` why no Docker engine can be used, if so."""
    if asked not in {"", DOCKER}:
        return "given"
    return "docker" if asked == DOCKER and no_docker is None else "embedded"


def why_no_docker(seconds: float = ENGINE_SECONDS) -> str | None:
    """Return None where a Docker engine answers within so many seconds, else why none does."""
    command = [sys.executable, "-c", ASK]  # a program of its own, because the client leaves its socket open where nobody answers
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        return f"no Docker engine answers within {seconds:g} s"
    return None if asked.returncode == 0 else f"no Docker engine answers: {asked.stderr.strip().rpartition(chr(10))[2]}"


@contextmanager
def kafka_for_tests(asked: str, folder: Path) -> Iterator[str]:
    """Give the bootstrap servers of a Kafka as `asked` (see `way_to_kafka`); one that was started for this ends with it."""
    match way_to_kafka(asked, why_no_docker() if asked == DOCKER else None):
        case "given":
            yield asked
        case "docker":
            with container() as address:
                yield address
        case "embedded":
            broker = Broker.start(folder, die_with_parent=True)
            try:
                yield broker.bootstrap_servers
            finally:
                broker.stop()


def until_topic_has(settings: KafkaSettings, topic: str, name: str, value: str, seconds: float = 10) -> None:
    """Return once the broker tells this value of a topic's setting: it learns of a change a moment later; raises AssertionError after so long."""
    admin, resource, deadline = make_admin(settings), ConfigResource(ResourceType.TOPIC, topic), time.monotonic() + seconds
    while (told := admin.describe_configs([resource])[resource].result(seconds)[name].value) != value:
        if time.monotonic() > deadline:
            raise AssertionError(f"{name} of {topic} is {told}, and not {value}, after {seconds:g} s")
        time.sleep(0.05)


@contextmanager
def container() -> Iterator[str]:
    """Give the bootstrap servers of an Apache Kafka in a container, set up like the embedded broker; the first use fetches the image.

    It listens on the same port inside and outside, so that one advertised address is right for clients and for itself.

    Raises:
        TimeoutError: it ended, or does not answer within 120 s; with the end of its log.
    """
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - only tests have it

    port = free_port()
    kafka = DockerContainer(IMAGE).with_bind_ports(port, port)
    address = f"{kafka.get_docker_client().host()}:{port}"
    kafka.with_envs(**environment(address, port)).start()

    def gone() -> bool:
        kafka.reload()
        return kafka.status == "exited"

    try:
        if not wait_for(lambda: answers_metadata(address), gone, START_SECONDS):
            raise TimeoutError(f"{IMAGE} at {address} does not answer: {kafka.get_logs()[0][-2000:].decode(errors='replace')}")
        yield address
    finally:
        kafka.stop()


def environment(address: str, port: int) -> dict[str, str]:
    """Return the embedded broker's properties as Apache's image takes them: `log.dirs` as KAFKA_LOG_DIRS.

    Source: docker/examples/README.md of apache/kafka, "Using Environment Variables".
    """
    state = BrokerState(cluster_id="", port=port, controller_port=free_port(unlike=port))  # the image has a cluster id of its own
    properties = layout.properties(state, "/tmp/kafka-data") | {  # noqa: S108 - in the container
        "listeners": f"PLAINTEXT://0.0.0.0:{port},CONTROLLER://{HOST}:{state.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{address}",
    }
    return {f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in properties.items()}
