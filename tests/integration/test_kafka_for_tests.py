"""How the tests come by their Kafka: a given address, Docker where an engine answers, else the embedded broker."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from towpath.broker import Broker
from towpath.broker.ready import answers_metadata
from towpath.kafka import KafkaSettings
from towpath.testing.kafka import DOCKER, Way, container, environment, kafka_for_tests, way_to_kafka, why_no_docker
from towpath.topic_setup import ensure
from towpath.topics import TopicSpec


class Engine(BaseHTTPRequestHandler):
    """Answers as a Docker engine that is asked for its version."""

    def do_GET(self) -> None:
        body = b'{"ApiVersion": "1.50"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def engine() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Engine) as server:
        Thread(target=server.serve_forever).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(
    ("asked", "no_docker", "way"),
    [
        ("", None, "embedded"),
        ("", "no engine", "embedded"),
        ("docker", None, "docker"),
        ("docker", "no engine", "embedded"),
        ("broker:9092", None, "given"),
        ("broker:9092", "no engine", "given"),
    ],
)
def test_docker_is_used_where_it_was_asked_for_and_answers(asked: str, no_docker: str | None, way: Way) -> None:
    assert way == way_to_kafka(asked, no_docker)


def test_an_engine_that_answers_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with engine() as port:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        assert why_no_docker(60) is None


def test_without_an_engine_the_reason_is_told(monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{unused_tcp_port}")
    assert "Connection refused" in str(why_no_docker(60))


def test_an_engine_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        begun = time.monotonic()
        assert "within 2 s" in str(why_no_docker(2))
    assert time.monotonic() - begun < 4


def test_a_given_address_is_taken_as_it_is(tmp_path: Path) -> None:
    with kafka_for_tests("broker:9092", tmp_path) as address:
        assert address == "broker:9092"
    assert Broker.find(tmp_path) is None


def test_docker_without_an_engine_starts_the_embedded_broker_and_ends_it(
    monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{unused_tcp_port}")
    with kafka_for_tests(DOCKER, tmp_path) as address:
        assert answers_metadata(address)
    assert Broker.find(tmp_path) is None


def test_a_container_is_told_to_listen_where_clients_are_told_to_come() -> None:
    told = environment("engine.example:1234", 1234)
    assert ("PLAINTEXT://engine.example:1234", "false") == (told["KAFKA_ADVERTISED_LISTENERS"], told["KAFKA_AUTO_CREATE_TOPICS_ENABLE"])
    assert told["KAFKA_LISTENERS"].startswith("PLAINTEXT://0.0.0.0:1234,CONTROLLER://")


def test_a_container_serves_clients() -> None:
    if reason := why_no_docker():
        pytest.skip(reason)
    with container() as address:
        assert ["t"] == ensure(KafkaSettings(bootstrap_servers=address), [TopicSpec("t", 2, "delete", 3_600_000)])
