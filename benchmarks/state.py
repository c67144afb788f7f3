"""A processor's state as so many orders leave it, written straight to its changelog, as it would stand there after years."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from aiokafka.partitioner import murmur2

from benchmarks.orders import FIRST, OrderForm
from benchmarks.processes import wait_until
from processors.flow_processor import FlowProcessor
from processors.role import routes
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.config import Config
from towpath.delivery.deadletters import Registrar
from towpath.kafka import make_producer
from towpath.records import Record

SAMPLE = 0


class Row(NamedTuple):
    """One row of the state, and the partition that its order is in."""

    partition: int
    key: bytes
    value: bytes


class StateForm:
    """Makes the rows of an order by writing its number into those that the processor itself left for one."""

    def __init__(self, config: Config) -> None:
        sent = OrderForm().make(SAMPLE)
        registrar = Registrar(default_codec(), "processor", "processor", frozenset(config.connections))
        step = FlowProcessor(routes(config), registrar, SystemClock()).process(
            Record("received.orders", 0, 0, 0.0, sent.key, sent.value), lambda _key: None
        )
        self._rows = dict(step.writes)
        self._number = str(FIRST + SAMPLE).encode()
        self._digest = hashlib.sha256(self._number).hexdigest().encode()

    @property
    def rows_an_order(self) -> int:
        """Return how many rows an order leaves."""
        return len(self._rows)

    def rows(self, number: int, partitions: int) -> Iterator[Row]:
        """Yield the rows of order `number`."""
        text = str(FIRST + number).encode()
        digest = hashlib.sha256(text).hexdigest().encode()
        partition = (murmur2(b"shop/order/" + text) & 0x7FFFFFFF) % partitions
        for key, value in self._rows.items():
            yield Row(partition, key.replace(self._number, text), value.replace(self._digest, digest))


def fill(config: Config, changelog: str, keys: int, partitions: int) -> int:
    """Write so many rows to a changelog topic, and return of how many orders they are."""
    form = StateForm(config)
    orders = keys // form.rows_an_order
    producer = make_producer(config.kafka, linger_ms=50, queue_buffering_max_messages=500_000)
    for number in range(orders):
        for row in form.rows(number, partitions):
            while True:
                try:
                    producer.produce(changelog, row.value, row.key, row.partition)
                    break
                except BufferError:
                    producer.poll(0.05)
        if not number % 1000:
            producer.poll(0)
    wait_until(lambda: producer.flush(1) == 0, "Kafka to take the state", 120)
    return orders
