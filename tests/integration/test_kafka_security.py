"""An external Kafka over TLS with a password: every client gets in as a configuration file says, and is told by the setting why not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from processors.engines.settings import EngineSettings
from processors.engines.testing import ENGINES
from processors.port import Output, ReadState, Record, Step
from processors.role import engine_settings
from towpath.acked import AckedProducer
from towpath.config import Config, load_config
from towpath.errors import ConfigError, RetryableError
from towpath.kafka import KafkaSettings, make_consumer, reach, record_of
from towpath.metrics import Metrics
from towpath.testing.secured_kafka import PASSWORDS, USER, Secured, secured_kafka
from towpath.topic_setup import ensure
from towpath.topics import TopicSpec

WRONG = "wrong-canary"
FILE = """
kafka:
  bootstrap_servers: {address}
  security_protocol: SASL_SSL
  sasl_mechanism: {mechanism}
  sasl_username: {user}
  sasl_password: env:KAFKA_PASSWORD
  {ca}
"""
MECHANISMS = pytest.mark.parametrize("mechanism", list(PASSWORDS))
Configured = Callable[..., Config]


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured_kafka(tmp_path_factory.mktemp("secured")) as secured:
        yield secured


@pytest.fixture
def configured(secured: Secured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configured:
    """Give a function that writes the configuration file, its certificate beside it, and reads it."""

    def make(mechanism: str, password: str | None = None, ca: Path | None = secured.ca, address: str = secured.address) -> Config:
        monkeypatch.setenv("KAFKA_PASSWORD", password or PASSWORDS.get(mechanism, WRONG))
        line = "ssl_ca_location: ca.pem" if ca else ""
        if ca:
            (tmp_path / "ca.pem").write_bytes(ca.read_bytes())
        (tmp_path / "towpath.yaml").write_text(FILE.format(address=address, mechanism=mechanism, user=USER, ca=line))
        return load_config(tmp_path / "towpath.yaml")

    return make


@MECHANISMS
async def test_what_is_sent_is_read_back(configured: Configured, topic_name: Callable[[str], str], mechanism: str) -> None:
    settings, topic = configured(mechanism).kafka, topic_name("records")
    assert [topic] == ensure(settings, [TopicSpec(topic, 2, "delete", 3_600_000)])
    producer = AckedProducer(settings)
    await producer.send(topic, b"k", b"v")
    await producer.close()
    assert [(b"k", b"v")] == [(record.key, record.value) for record in await asyncio.to_thread(_read, settings, topic, 1)]


def _read(settings: KafkaSettings, topic: str, count: int) -> list[Record]:
    """Return the first `count` records of the topic, or what there is of them within 40 s."""
    consumer = make_consumer(settings, f"{topic}.readers")
    consumer.subscribe([topic])
    found: list[Record] = []
    end = time.monotonic() + 40
    while len(found) < count and time.monotonic() < end:
        found += [record_of(message) for message in consumer.consume(count - len(found), 0.5)]
    consumer.close()
    return found


class Copy:
    """Sends every record on to `<topic>-out`, and counts it in its state."""

    def process(self, record: Record, read: ReadState) -> Step:
        key = record.key or b""
        return Step([Output(f"{record.topic}-out", record.key, record.value)], {key: (read(key) or b"") + b"1"})


def _engine(config: Config, topic: str, folder: Path) -> EngineSettings:
    told = engine_settings(config)
    return EngineSettings(told.bootstrap_servers, topic, (topic,), 2, folder, security=told.security, replication_factor=1)


@MECHANISMS
@pytest.mark.parametrize("kind", ENGINES)
async def test_an_engine_reads_writes_and_keeps_state(
    configured: Configured, topic_name: Callable[[str], str], tmp_path: Path, mechanism: str, kind: str
) -> None:
    config, topic = configured(mechanism), topic_name("orders")
    ensure(config.kafka, [TopicSpec(name, 2, "delete", 3_600_000) for name in (topic, f"{topic}-out")])
    producer = AckedProducer(config.kafka)
    await asyncio.gather(*(producer.send(topic, b"%d" % n, b"v%d" % n) for n in range(20)))
    await producer.close()
    engine, stop = ENGINES[kind](_engine(config, topic, tmp_path), Copy(), Metrics()), asyncio.Event()
    running = asyncio.create_task(engine.run(stop))
    sent = await asyncio.to_thread(_read, config.kafka, f"{topic}-out", 20)
    kept = await asyncio.to_thread(_read, config.kafka, f"{topic}-state-changelog", 20)
    stop.set()
    await asyncio.wait_for(running, 15)
    assert sorted(b"v%d" % n for n in range(20)) == sorted(record.value or b"" for record in sent)
    assert {b"%d" % n for n in range(20)} == {record.key for record in kept}


def _refused(config: Config) -> str:
    begun = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        ensure(config.kafka, [TopicSpec("never", 1, "delete", 3_600_000)])
    assert time.monotonic() - begun < 8
    assert "canary" not in str(caught.value)
    return str(caught.value)


@MECHANISMS
def test_a_wrong_password_is_told_by_its_setting_and_not_shown(configured: Configured, caplog: pytest.LogCaptureFixture, mechanism: str) -> None:
    told = _refused(configured(mechanism, WRONG))
    assert told.startswith("kafka.sasl_username, kafka.sasl_password: ")
    assert "refuses the user towpath" in told
    assert "canary" not in caplog.text


def test_a_mechanism_that_the_brokers_do_not_take_is_told_with_those_they_do(configured: Configured) -> None:
    told = _refused(configured("SCRAM-SHA-256"))
    assert told.startswith("kafka.sasl_mechanism: ")
    assert "supported mechanisms: PLAIN,SCRAM-SHA-512" in told


def test_a_certificate_of_an_unknown_authority_is_told_by_its_setting(configured: Configured, secured: Secured) -> None:
    config = configured("PLAIN", ca=secured.unknown_ca)
    told = _refused(config)
    assert told.startswith("kafka.ssl_ca_location: ")
    assert f"with {config.kafka.ssl_ca_location}" in told


def test_without_an_authority_the_systems_own_are_asked(configured: Configured) -> None:
    assert "with this system's certificates" in _refused(configured("PLAIN", ca=None))


def test_a_certificate_for_another_name_is_refused(configured: Configured, secured: Secured) -> None:
    told = _refused(configured("PLAIN", address=secured.address.replace("127.0.0.1", "localhost")))
    assert "kafka.ssl_ca_location: the certificate of localhost" in told
    assert "or is for another name" in told


def test_a_file_that_is_no_certificate_is_named(configured: Configured, tmp_path: Path) -> None:
    (tmp_path / "junk.pem").write_text("junk")
    told = _refused(configured("PLAIN", ca=tmp_path / "junk.pem"))
    assert told.startswith(f"kafka.ssl_ca_location: {tmp_path / 'ca.pem'} cannot be used")


async def test_a_send_with_a_wrong_password_is_told_by_its_setting(configured: Configured) -> None:
    producer = AckedProducer(configured("SCRAM-SHA-512", WRONG).kafka, delivery_timeout_ms=3000, linger_ms=0)
    with pytest.raises(RetryableError, match=r"kafka\.sasl_password: .* refuses the user towpath") as caught:
        await producer.send("never", b"k", b"v")
    await producer.close(0.1)
    assert "canary" not in str(caught.value)


def test_a_consumer_with_a_wrong_password_says_so_in_the_log(configured: Configured, caplog: pytest.LogCaptureFixture) -> None:
    consumer = make_consumer(configured("PLAIN", WRONG).kafka, "readers")
    consumer.subscribe(["never"])
    assert consumer.poll(3) is None
    consumer.close()
    assert "kafka.sasl_password: " in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize(("password", "trusted", "setting"), [(WRONG, True, "kafka.sasl_password"), ("", False, "kafka.ssl_ca_location")])
@pytest.mark.parametrize("kind", ENGINES)
async def test_an_engine_ends_with_the_setting_to_change(
    configured: Configured, secured: Secured, tmp_path: Path, kind: str, password: str, setting: str, *, trusted: bool
) -> None:
    config = configured("SCRAM-SHA-512", password, secured.ca if trusted else secured.unknown_ca)
    engine, begun = ENGINES[kind](_engine(config, "never", tmp_path), Copy(), Metrics()), time.monotonic()
    with pytest.raises(ConfigError, match=setting) as caught:
        await engine.run(asyncio.Event())
    assert time.monotonic() - begun < 8
    assert "canary" not in str(caught.value)


def test_the_right_settings_reach_it_at_once(configured: Configured) -> None:
    begun = time.monotonic()
    assert reach(configured("SCRAM-SHA-512").kafka).brokers
    assert time.monotonic() - begun < 2
