"""What the processor does of itself with an event, without Kafka: mapping compiled beside zen-engine, and all of it beside bare fastavro.

    python benchmarks/mapping.py                   3,000 orders of about 700 bytes, 30 % of them twice, five rounds in turn; about 15 seconds
    python benchmarks/mapping.py --events 20000 --rounds 9

Prints one JSON object. `mapped` compares the mapping step alone (OrderPlaced to a sales order, in events per CPU second); `processed` compares
FlowProcessor.process (decode, dedupe, rules, mapping, Delivery and state; microseconds of CPU an event) with a loop that decodes an OrderPlaced
by fastavro alone, drops what it has seen, and encodes it again. All figures are the best round's, the others being what else ran on the machine.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import fastavro
import psutil

from processors.flow_processor import FlowProcessor
from processors.mapping import Model, load_model
from processors.routing import Route
from towpath.clock import SystemClock
from towpath.codec import HEADER, SCHEMAS, default_codec
from towpath.delivery.deadletters import Registrar
from towpath.events import Event
from towpath.records import Record
from towpath.testing.events import an_address, an_order

MAPPING, FLOW = "nopcommerce-bng/order_placed", {"name": "orders", "reference_prefix": "TP-", "options": {}}
REPEATED = 0.3
CITIES = ["Berlin", "Hamburg", "München", "Köln", "Leipzig", "Dresden"]
BY_ENGINE = 0.1
"""Of the events, how many zen-engine maps in a round: it is that much slower."""


def records(events: int, seed: int) -> list[Record]:
    """Return orders as they stand in `received.orders`, shuffled, each of its own customer, address and amounts."""
    chance = random.Random(seed)  # noqa: S311 - made-up data
    orders = [_order(number, chance) for number in range(1, int(events * (1 - REPEATED)) + 1)]
    orders += chance.choices(orders, k=events - len(orders))
    chance.shuffle(orders)
    headers = [(f"ce_{name}", b"x" * 12) for name in ("specversion", "id", "type", "source", "subject", "time")]
    return [Record("received.orders", 0, at, 0.0, b"key", value, headers) for at, value in enumerate(orders)]


def _order(number: int, chance: random.Random) -> bytes:
    address = an_address(city=chance.choice(CITIES), postcode=str(chance.randrange(10000, 99999)), lines=[f"Hauptstraße {number}", "Hof 2"])
    lines = [_line(place, chance) for place in range(1, chance.choice([2, 3, 3, 4]))]
    total = sum((line["line_total"] + line["tax_amount"] for line in lines), Decimal("3.90"))
    tax = sum((line["tax_amount"] for line in lines), Decimal(0))
    order = an_order(
        number, customer=chance.randrange(5000), customer_email=f"someone.{number}@shop.example", billing_address=address, shipping_address=address,
        lines=lines, shipping_amount=Decimal("3.90"), discount_total=Decimal(0), tax_total=tax, total=total,
    )  # fmt: skip
    return default_codec().encode("OrderPlaced", order)


def _line(place: int, chance: random.Random) -> dict[str, Any]:
    price, quantity = Decimal(chance.randrange(99, 20000)).scaleb(-2), chance.randrange(1, 6)
    return {
        "line_no": place, "line_id": str(place), "sku": f"TP-{chance.randrange(2000):04}", "name": "Mug with a handle", "quantity": Decimal(quantity),
        "unit_price": price, "line_total": price * quantity, "tax_amount": (price * quantity * Decimal("0.19")).quantize(Decimal("0.01")),
    }  # fmt: skip


def bare(found: Sequence[Record]) -> None:
    """Decode, drop what was seen, encode: by fastavro alone, with the standard decimals of the schema's file."""
    seen, schema = set(), fastavro.schema.load_schema(str(SCHEMAS / "towpath.OrderPlaced.avsc"))
    for record in found:
        buffer = io.BytesIO(record.value or b"")
        buffer.seek(HEADER.size)
        order: Any = fastavro.schemaless_reader(buffer, schema, None)
        if order["meta"]["event_id"] not in seen:
            seen.add(order["meta"]["event_id"])
            fastavro.schemaless_writer(io.BytesIO(), schema, order)


def processed(found: Sequence[Record]) -> None:
    """Process with a state in a dict."""
    registrar = Registrar(default_codec(), "processor", "processor", frozenset({"shop", "bng"}))
    processor = FlowProcessor([Route("orders", "shop", "bng", "OrderPlaced", load_model(MAPPING), "TP-")], registrar, SystemClock())
    state: dict[bytes, bytes] = {}
    for record in found:
        state.update(processor.process(record, state.get).writes)


def events_a_second(apply: Callable[[Event], object], events: Sequence[Event]) -> float:
    """Return how many events are mapped in a second of CPU."""
    began = time.process_time()
    for event in events:
        apply(event)
    return len(events) / (time.process_time() - began)


def microseconds(run: Callable[[Sequence[Record]], None], found: Sequence[Record]) -> float:
    """Return the CPU of one record."""
    began = time.process_time()
    run(found)
    return (time.process_time() - began) / len(found) * 1e6


def resident() -> float:
    """Return this process's resident memory in MB."""
    return float(psutil.Process().memory_info().rss) / 1e6


def measure(found: Sequence[Record], rounds: int) -> dict[str, Any]:
    """Return the figures of all rounds' best."""
    model: Model = load_model(MAPPING)
    events = [Event(*default_codec().decode(record.value)) for record in found]
    compiled, whole, control = [], [], []
    for _ in range(rounds):
        compiled.append(events_a_second(lambda event: model.apply(event, FLOW), events))
        control.append(microseconds(bare, found))
        whole.append(microseconds(processed, found))
    before = resident()
    by_zen = [events_a_second(lambda event: model._by_engine(event, FLOW, {}), events[: int(len(events) * BY_ENGINE)]) for _ in range(rounds)]  # noqa: SLF001 - there is no switch for it
    mapped = {"compiled_ev_s": round(max(compiled)), "zen_ev_s": round(max(by_zen)), "ratio": round(max(compiled) / max(by_zen), 1)}
    took = {"process_us": round(min(whole), 1), "bare_fastavro_us": round(min(control), 1), "ratio": round(min(control) / min(whole), 2)}
    return {"mapped": mapped, "processed": took, "rss_mb": {"before_zen": round(before), "after_zen": round(resident())}}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    found = records(given.events, given.seed)
    size = sum(len(record.value or b"") for record in found) / len(found)
    print(json.dumps({"events": given.events, "bytes": round(size), "repeated": REPEATED, **measure(found, given.rounds)}))  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
