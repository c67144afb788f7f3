"""Whether a Kafka answers, asked quietly."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

POLL_SECONDS = 0.05


def answers_metadata(bootstrap_servers: str, timeout: float = 2) -> bool:
    """Return whether a broker at the address names itself within `timeout` seconds; nothing is logged either way."""
    quiet = logging.getLogger("towpath.broker.probe")
    quiet.setLevel(logging.CRITICAL + 1)
    client = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0, "socket.timeout.ms": 2000}, logger=quiet)
    try:
        return bool(client.list_topics(timeout=timeout).brokers)
    except KafkaException:
        return False


def wait_for(condition: Callable[[], bool], gone: Callable[[], bool], seconds: float) -> bool:
    """Return True once `condition` holds; False when `gone` does, or the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        if gone():
            return False
        time.sleep(POLL_SECONDS)
    return False
