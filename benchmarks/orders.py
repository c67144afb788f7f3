"""The orders that processors are measured with: Avro OrderPlaced of about 700 bytes, some of them repeated."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from benchmarks.processes import wait_until
from towpath.codec import Codec, default_codec
from towpath.events import business_key, stable_id
from towpath.kafka import KafkaSettings, make_producer
from towpath.testing.events import an_order

FIRST = 100_000
SAMPLE = 555_555
"""The order that all others are made of: each number has six digits and stands in the same places."""
SHOP = "shop"
SEED = 7
NAMES = ("Rain jacket, navy blue, taped seams, size L", "Walking boots, brown, waterproof, size 43")
COMPANY = "Müller & Söhne Handelsgesellschaft"


@dataclass(frozen=True, slots=True)
class Sent:
    """One record as it is sent: which order it holds, its key and its value."""

    order: int
    key: bytes
    value: bytes


class OrderForm:
    """Makes encoded orders by writing another number into one that the codec encoded, which takes a hundredth of the time."""

    def __init__(self, codec: Codec | None = None) -> None:
        order: Any = an_order(SAMPLE, customer_company=COMPANY)
        for line, name in zip(order["lines"], NAMES, strict=True):
            line["name"] = name
        self._value = (codec or default_codec()).encode("OrderPlaced", order)
        self._digest = order["meta"]["digest"].encode()
        self._id = order["meta"]["event_id"].encode()
        self._trace = f"{SAMPLE:032x}".encode()

    def make(self, number: int) -> Sent:
        """Return order `number`, 0 or more."""
        order = FIRST + number
        key, text = business_key(SHOP, "order", order), str(order).encode()
        digest = hashlib.sha256(text).hexdigest().encode()
        value = self._value.replace(self._digest, digest).replace(str(SAMPLE).encode(), text)
        value = value.replace(self._id, stable_id(key, "OrderPlaced", digest).encode()).replace(self._trace, b"%032x" % order)
        return Sent(number, key.encode(), value)


def stream(events: int, repeated: float = 0.3, first: int = 0) -> Iterator[Sent]:
    """Yield this many records, of which this share are byte for byte repeats of an earlier one, near or far; the same ones every time."""
    form, chance = OrderForm(), random.Random(SEED)  # noqa: S311 - made-up data
    repeats = int(events * repeated)
    singles = events - repeats
    places = [(float(number), number) for number in range(singles)]
    for _ in range(repeats):
        number = chance.randrange(singles)
        places.append((number + 0.5 + chance.random() * (singles - number), number))
    for _, number in sorted(places):
        yield form.make(first + number)


def load(kafka: KafkaSettings, topic: str, sent: Iterator[Sent]) -> int:
    """Send the records to a topic, each acknowledged, and return how many; raises KafkaException where Kafka did not take one."""
    producer: Producer = make_producer(kafka, linger_ms=20)
    refused: list[KafkaError] = []

    def report(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            refused.append(error)

    count = 0
    for one in sent:
        while True:
            try:
                producer.produce(topic, one.value, one.key, on_delivery=report)
                break
            except BufferError:
                producer.poll(0.05)
        count += 1
        if not count % 1000:
            producer.poll(0)
    wait_until(lambda: producer.flush(1) == 0, f"Kafka to take {count} records", 120)
    if refused:
        raise KafkaException(refused[0])
    return count
