"""Java's cache of the broker's classes: made once for a machine, it halves what a start costs."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from towpath.broker.jars import locked
from towpath.broker.kept import class_cache
from towpath.broker.log import explain
from towpath.broker.server import Broker
from towpath.errors import ConfigError
from towpath.kafka import KafkaSettings, make_consumer, make_producer
from towpath.topic_setup import ensure
from towpath.topics import TopicSpec

MAKE_SECONDS = 120.0
READ_SECONDS = 30.0
SPEC = TopicSpec("warm", 1, "delete", 3_600_000)


def warm() -> Path:
    """Return the cache of this machine's Kafka and Java, made if need be by a broker that serves a record and ends (10 s, 70 MB).

    Raises:
        ConfigError: as `Broker.start`, or Java wrote none; with the end of the log.
    """
    cache = class_cache()
    with locked(cache.with_suffix(".lock")), tempfile.TemporaryDirectory(prefix="towpath-warm-", ignore_cleanup_errors=True) as name:
        if cache.exists():
            return cache
        made = cache.with_name(f"{cache.name}.{os.getpid()}")
        broker = Broker.start(Path(name), die_with_parent=True, java=[f"-XX:AOTCacheOutput={made}"])
        try:
            _serve_one(KafkaSettings(bootstrap_servers=broker.bootstrap_servers))
        finally:
            broker.stop(MAKE_SECONDS)  # Java writes the cache as it ends
        if not made.exists():
            log = broker.directory / "broker.log"
            raise ConfigError(f"making {cache}: Java wrote none; {explain(log.read_text(errors='replace'), log)}")
        made.replace(cache)
    return cache


def _serve_one(kafka: KafkaSettings) -> None:
    """Have a record written and read by a group: its classes are loaded then."""
    ensure(kafka, [SPEC])
    producer = make_producer(kafka)
    producer.produce(SPEC.name, b"", b"")
    producer.flush(READ_SECONDS)
    consumer = make_consumer(kafka, SPEC.name)
    try:
        consumer.subscribe([SPEC.name])
        if (message := consumer.poll(READ_SECONDS)) is not None:
            consumer.commit(message=message, asynchronous=False)
    finally:
        consumer.close()
