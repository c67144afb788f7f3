"""Asks a Kafka that stands still who is in a group, and gives up before it goes on: `asks_who.py <port> <pid>`; ends with 0 where all is well."""

from __future__ import annotations

import os
import signal
import sys
import time

from towpath.delivery import alone
from towpath.kafka import KafkaSettings, make_admin

GROUPS = ["sink.erp", "sink.shop"]


def tells(kafka: KafkaSettings) -> None:
    """Return once Kafka tells of both groups; one that has just started loads them first."""
    until = time.monotonic() + 30.0
    while unknown := alone._client_ids(kafka, GROUPS)[1]:
        assert time.monotonic() < until, unknown
        time.sleep(0.1)


if __name__ == "__main__":
    kafka, broker = KafkaSettings(bootstrap_servers=f"127.0.0.1:{sys.argv[1]}"), int(sys.argv[2])
    tells(kafka)

    class Stopping:
        """The admin's client; Kafka stands still once it has told its metadata."""

        def __init__(self, settings: KafkaSettings) -> None:
            self._admin = make_admin(settings)

        def list_topics(self, timeout: float) -> None:
            """Ask for the metadata."""
            self._admin.list_topics(timeout=timeout)
            os.kill(broker, signal.SIGSTOP)

        def describe_consumer_groups(self, groups: list[str], **how: float) -> object:
            """Ask who is in the groups."""
            return self._admin.describe_consumer_groups(groups, **how)

    alone.SECONDS = 2.0
    vars(alone)["make_admin"] = Stopping
    client_ids, unknown = alone._client_ids(kafka, GROUPS)
    assert ({}, set(GROUPS)) == (client_ids, set(unknown))
    os.kill(broker, signal.SIGCONT)
    vars(alone)["make_admin"] = make_admin
    tells(kafka)
