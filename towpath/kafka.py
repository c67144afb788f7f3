"""How every role but Faust talks to Kafka: the settings, one producer factory, one consumer factory and an admin client."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from confluent_kafka import Consumer, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient, ClusterMetadata
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from towpath.errors import ConfigError, RetryableError
from towpath.records import Record
from towpath.refusal import Refusal, as_config_error

QUIET_SECONDS = 60.0
LIBRDKAFKA_WARNING = 4
REACH_SECONDS = 15.0
LARGEST_RECORD = 96_000_000  # bytes; below what a broker takes in one request (100 MiB) and a consumer in one answer (100 MB)

Client = TypeVar("Client")
ClientConfig = dict[str, str | int | float | bool]


class KafkaSettings(BaseModel):
    """The `kafka:` section of the configuration: where the brokers are, how to sign in, and how topics are replicated."""

    model_config = ConfigDict(extra="forbid")

    bootstrap_servers: str = Field(min_length=1)
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_ca_location: str | None = None
    ssl_certificate_location: str | None = None
    ssl_key_location: str | None = None
    replication_factor: int = Field(default=1, ge=1)
    min_insync_replicas: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        sasl = (self.sasl_mechanism, self.sasl_username, self.sasl_password)
        if self.security_protocol.startswith("SASL"):
            if None in sasl:
                message = f"security_protocol {self.security_protocol} needs sasl_mechanism, sasl_username and sasl_password"
                raise ValueError(message)
        elif sasl != (None, None, None):
            message = f"sasl_* settings are ignored with security_protocol {self.security_protocol}: choose SASL_SSL, or leave them out"
            raise ValueError(message)
        if self.min_insync_replicas > self.replication_factor:
            message = f"min_insync_replicas {self.min_insync_replicas} exceeds replication_factor {self.replication_factor}: nothing could be written"
            raise ValueError(message)
        return self

    def client_config(self) -> ClientConfig:
        """Return what librdkafka needs to connect; the password is in it, so it is never logged."""
        named = {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": self.security_protocol,
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.username": self.sasl_username,
            "sasl.password": self.sasl_password.get_secret_value() if self.sasl_password else None,
            "ssl.ca.location": self.ssl_ca_location,
            "ssl.certificate.location": self.ssl_certificate_location,
            "ssl.key.location": self.ssl_key_location,
        }
        quiet: ClientConfig = {"log_level": LIBRDKAFKA_WARNING, "log.connection.close": False}
        return quiet | {name: value for name, value in named.items() if value is not None}

    def within(self, folder: Path) -> Self:
        """Return the same settings with the paths of certificates and keys taken from `folder` where they are relative."""
        names = ("ssl_ca_location", "ssl_certificate_location", "ssl_key_location")
        paths = {name: getattr(self, name) for name in names}
        return self.model_copy(update={name: str(folder / Path(path).expanduser()) for name, path in paths.items() if path})


def make_producer(settings: KafkaSettings, refusal: Refusal | None = None, /, **overrides: str | float | bool) -> Producer:
    """Return the producer every role uses: acknowledged by all in-sync replicas, idempotent, and placing keys as Java and aiokafka do.

    An override names its option with `_` for `.`: `linger_ms=0`. `refusal` learns why the brokers refuse it, as that of every client here;
    each raises ConfigError for a certificate or key that cannot be read.
    """
    config: ClientConfig = {
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": "murmur2_random",  # librdkafka's default differs from Java's and aiokafka's
        "compression.type": "lz4",
        "linger.ms": 5,
        "delivery.timeout.ms": 30_000,
        "message.max.bytes": LARGEST_RECORD,  # each topic has a limit of its own, which Kafka enforces
    }
    return _made(Producer, settings, refusal, config | _dotted(overrides))


def make_consumer(settings: KafkaSettings, group: str, *, cooperative: bool = False, **overrides: str | float | bool) -> Consumer:
    """Return a consumer of `group` that starts at the oldest record and commits only what the caller commits.

    `cooperative` keeps partitions flowing during a rebalance; all members of a group must agree on it.
    """
    config: ClientConfig = {
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "partition.assignment.strategy": "cooperative-sticky" if cooperative else "range,roundrobin",
    }
    return _made(Consumer, settings, None, config | _dotted(overrides))


def make_admin(settings: KafkaSettings, refusal: Refusal | None = None) -> AdminClient:
    """Return a client that creates and describes topics."""
    return _made(AdminClient, settings, refusal, {})


def reach(settings: KafkaSettings, seconds: float = REACH_SECONDS) -> ClusterMetadata:
    """Return what the cluster says of itself: its brokers, its topics and their partitions.

    Raises:
        ConfigError: the brokers refuse us, by their certificate or ours, or the password; it names the setting, within two seconds.
        RetryableError: none answers within `seconds`.
    """
    refusal = Refusal(settings.client_config())
    admin = make_admin(settings, refusal)
    end, patience = time.monotonic() + seconds, 1.0
    while True:
        try:
            return admin.list_topics(timeout=max(0.1, min(patience, end - time.monotonic())))
        except KafkaException as error:
            admin.poll(0)  # hands over what went wrong meanwhile
            if refusal.reason:
                raise ConfigError(refusal.reason) from error
            if time.monotonic() >= end:
                why = refusal.last or error.args[0].str()
                message = f"kafka.bootstrap_servers: {settings.bootstrap_servers} does not answer within {seconds:g} s: {why}; is it running?"
                raise RetryableError(message, system_wide=True) from error
            patience *= 2


def _made(kind: Callable[..., Client], settings: KafkaSettings, refusal: Refusal | None, config: ClientConfig) -> Client:
    own: dict[str, Any] = {**settings.client_config(), **config}
    try:
        return kind(own | {"error_cb": refusal or Refusal(own)}, logger=_client_logger())
    except KafkaException as error:
        raise as_config_error(error, own) from error


def _dotted(overrides: dict[str, str | float | bool]) -> ClientConfig:
    return {name.replace("_", "."): value for name, value in overrides.items()}


class _OncePerMinute(logging.Filter):
    """Lets each message through once a minute, for librdkafka repeats itself for every broker and attempt; and none of a start that is under way."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if text.endswith("in progress: retrying"):  # the broker is loading its coordinator
            return False
        kind = text.partition(" [")[0][:40]
        now = time.monotonic()
        if now - self._last.get(kind, -QUIET_SECONDS) < QUIET_SECONDS:
            return False
        self._last[kind] = now
        return True


def _client_logger() -> logging.Logger:
    logger = logging.getLogger("towpath.kafka.client")
    if not any(isinstance(present, _OncePerMinute) for present in logger.filters):
        logger.addFilter(_OncePerMinute())
    return logger


def record_of(message: Message) -> Record:
    """Return a message that carries no error as a Record."""
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    if topic is None or partition is None or offset is None:
        raise ValueError("a message without a place: it was not read from Kafka")
    pairs: Any = message.headers()  # a dict only when sending
    headers = [(name, _bytes(value) or b"") for name, value in pairs] if pairs else []
    return Record(topic, partition, offset, message.timestamp()[1] / 1000, _bytes(message.key()), _bytes(message.value()), headers)


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
