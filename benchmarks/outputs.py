"""Every record that processors wrote, counted and compared with what the orders ask for, and when the first and the last were sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from benchmarks.bare_loop import customer_of, document_of
from benchmarks.orders import FIRST, OrderForm
from towpath.codec import Codec, default_codec
from towpath.kafka import KafkaSettings
from towpath.records import Record
from towpath.topic_reader import TopicReader

DELIVERIES, PUBLIC = "deliver.erp", "orders"


class Span(NamedTuple):
    """When the first and the last delivery were sent, in seconds since the epoch."""

    first: float
    last: float


@dataclass(frozen=True, slots=True)
class Checked:
    """What the outputs of a run are worth."""

    deliveries: int
    repeated: int
    span: Span
    problems: Sequence[str]


class Checker:
    """Compares outputs with orders `first` to `first + orders - 1`; a hand-written mapping says what each delivery must ask for."""

    def __init__(self, codec: Codec | None = None, *, orders: int, first: int = 0, repeats_allowed: bool = False) -> None:
        self._codec, self._form = codec or default_codec(), OrderForm(codec)
        self._wanted, self._repeats_allowed = range(first, first + orders), repeats_allowed
        _, order = self._codec.decode(self._form.make(0).value)
        self._document, self._related = document_of(order), {f"customer {order['customer_key']}": customer_of(order)}

    def check(self, records: Iterable[Record], *, public: bool = True) -> Checked:
        """Return what is wrong with all records of the output topics; with `public` each order must be on its public stream as well."""
        seen: Mapping[str, Counter[int]] = {DELIVERIES: Counter(), PUBLIC: Counter()}
        wrong, times = Counter[str](), []
        for record in records:
            number = int((record.key or b"0").rpartition(b"/")[2]) - FIRST
            if record.topic not in seen:
                wrong[f"records on {record.topic}"] += 1
                continue
            seen[record.topic][number] += 1
            if record.topic == DELIVERIES:
                times.append(record.timestamp)
            if not self._is_right(record, number):
                wrong[f"records on {record.topic} are not what the order asks for"] += 1
        for topic, counted in seen.items() if public else [(DELIVERIES, seen[DELIVERIES])]:
            wrong[f"orders are missing on {topic}"] = sum(number not in counted for number in self._wanted)
            wrong[f"records on {topic} are of no order that was sent"] = sum(many for one, many in counted.items() if one not in self._wanted)
            if not self._repeats_allowed:
                wrong[f"records on {topic} are repeats"] = sum(many - 1 for many in counted.values())
        deliveries = seen[DELIVERIES]
        span = Span(min(times, default=0.0), max(times, default=0.0))
        problems = [f"{many} {what}" for what, many in wrong.items() if many]
        return Checked(len(deliveries), sum(deliveries.values()) - len(deliveries), span, problems)

    def _is_right(self, record: Record, number: int) -> bool:
        sent = self._form.make(number)
        if record.topic == PUBLIC:
            return record.value == sent.value
        delivery = self._codec.decode_as("Delivery", record.value)
        document = {**self._document, "ExternalOrderID": f"SHOP-{FIRST + number}"}
        related = {name: orjson.loads(text) for name, text in delivery["related"].items()}
        asked: Sequence[Any] = (
            delivery["event"],
            delivery["effect_key"].encode(),
            delivery["operation"],
            orjson.loads(delivery["document"]),
            related,
        )
        return asked == (sent.value, sent.key, "create_order", document, self._related)


def written(servers: str, topics: Sequence[str]) -> Iterator[Record]:
    """Yield every record of these topics."""
    with closing(TopicReader(KafkaSettings(bootstrap_servers=servers))) as reader:
        spans = {place: (extent.low, extent.high) for place, extent in reader.extents(topics).items()}
        for batch in reader.read(spans):
            yield from batch.records
