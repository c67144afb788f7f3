"""Prints what a shop's orders come to, by the hour in which they were placed: `python revenue.py <bootstrap servers> <schema registry URL>`.

It needs confluent-kafka with its Avro extras and nothing of Towpath: the events on `orders` are Avro in the Confluent wire format, and the
registry has their schemas. An event may come more than once, so it is counted by its id; of an order that changed, the newest version counts,
and one that was cancelled counts no more.
"""

from __future__ import annotations

import sys
import uuid
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

TOPIC = "orders"
SECONDS = 30.0

Event = tuple[str, dict[str, Any]]
Version = tuple[int, int]


def events(servers: str, registry: str) -> Iterator[Event]:
    """Yield (type, record) of all that stands on the topic now, in the order of each partition."""
    decode = AvroDeserializer(SchemaRegistryClient({"url": registry}))
    consumer = Consumer({"bootstrap.servers": servers, "group.id": f"revenue-{uuid.uuid4()}", "enable.auto.commit": False})
    try:
        partitions = [TopicPartition(TOPIC, number, OFFSET_BEGINNING) for number in consumer.list_topics(TOPIC, SECONDS).topics[TOPIC].partitions]
        bounds = {part.partition: consumer.get_watermark_offsets(part, SECONDS) for part in partitions}
        left = {number: end for number, (first, end) in bounds.items() if end > first}
        consumer.assign([part for part in partitions if part.partition in left])
        while left:
            message = consumer.poll(SECONDS)
            if message is None:
                raise TimeoutError(f"no record of {TOPIC} in {SECONDS:g} s, though {len(left)} partitions have more")
            if error := message.error():
                raise KafkaException(error)
            headers: dict[str, Any] = dict(message.headers() or ())
            value = decode(message.value(), SerializationContext(TOPIC, MessageField.VALUE))
            yield headers["ce_type"].decode().removeprefix("towpath."), value
            partition, offset = message.partition() or 0, message.offset() or 0
            if offset + 1 >= left.get(partition, 0):
                left.pop(partition, None)
    finally:
        consumer.close()


def revenue(found: Iterator[Event]) -> dict[tuple[str, str], Decimal]:
    """Return the revenue by (hour, currency)."""
    seen = set[str]()
    newest: dict[str, tuple[Version, datetime, str, Decimal]] = {}
    cancelled = set[str]()
    for kind, event in found:
        meta = event["meta"]
        if meta["event_id"] in seen:
            continue
        seen.add(meta["event_id"])
        version = (meta["version"]["major"], meta["version"]["minor"])
        if kind == "OrderCancelled":
            cancelled.add(meta["key"])
        elif kind in ("OrderPlaced", "OrderChanged") and (meta["key"] not in newest or newest[meta["key"]][0] <= version):
            newest[meta["key"]] = (version, event["placed_at"], event["currency"], event["total"])
    sums: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for key, (_, placed_at, currency, total) in newest.items():
        if key not in cancelled:
            sums[f"{placed_at.astimezone(UTC):%Y-%m-%d %H:00}", currency] += total
    return sums


if __name__ == "__main__":
    if len(sys.argv) != 3:  # noqa: PLR2004 - the two that it needs
        sys.exit(f"{__doc__}")
    for (hour, currency), total in sorted(revenue(events(sys.argv[1], sys.argv[2])).items()):
        print(f"{hour}  {currency}  {total.quantize(Decimal('0.01'))}")
