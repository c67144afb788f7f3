"""Records that nobody can use: what stands in the inbox or in `received.orders` and is none, and an order that its target refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from towpath.acked import AckedProducer
from towpath.chaos.arena import Arena
from towpath.chaos.evidence import KIND, Place, Row, gather, read_topics
from towpath.chaos.fault import Fault
from towpath.clock import SystemClock
from towpath.codec import HEADER, MAGIC, default_codec
from towpath.delivery.deadletters import DEAD, PARKED
from towpath.demo.pairs import ERP, SHOP
from towpath.index.asking import told_letters
from towpath.records import Record
from towpath.startup import in_daemon

INBOX, RECEIVED = f"inbox.{SHOP}", "received.orders"
FETCHED, ENTITY = "fetched", "towpath-entity"
FIRST_ID, GHOST = 90_000_001, "NO-SUCH-SKU"
PAID: Final = 30
UNKNOWN_ID: Final = 0x7FFFFFFF
THERE_SECONDS, DEAD_SECONDS = 60.0, 120.0
SOON: Final = timedelta(seconds=30)
REFUSED: Final = "422 from the target"

Spoil = Callable[[dict[str, Any]], object]


class Poisoned(NamedTuple):
    """A poison as it was given: what it is, the business key and the place of its record, and when Kafka had it."""

    name: str
    key: str
    place: Place
    at: datetime

    def is_in(self, letter: Row) -> bool:
        """Tell whether a dead letter is of it."""
        return self.place == (letter["topic"], letter["partition"], letter["offset"]) or self.key == letter["business_key"]


async def poison(arena: Arena) -> int:
    """Put twelve kinds of poison among good records, each with a key of its own; return how many, once something is told of each."""
    config = arena.stack.config()
    good: dict[str, Record] = {}

    async def there() -> bool:
        good.update({one.topic: one for one in await in_daemon(lambda: read_topics(config.kafka, [INBOX, RECEIVED])) if _is_order(one)})
        return {INBOX, RECEIVED} <= set(good)

    await arena.until(there, THERE_SECONDS, "an order was fetched and decoded")
    doses = {**_spoilt_orders(good[INBOX].value or b""), **_spoilt_events(good[RECEIVED].value or b"")}
    doses["huge"] = INBOX, b'{"order": "' + b"x" * (config.receiver.max_body_bytes - 11)
    given, producer = list[Poisoned](), AckedProducer(config.kafka)
    for number, (name, (topic, value)) in enumerate(doses.items(), start=FIRST_ID):
        business_key = f"{SHOP}/order/{number}"
        own = None if value is None else value.replace(str(FIRST_ID).encode(), str(number).encode())
        headers = [(header, text) for header, text in good[topic].headers if header not in {"webhook-id", "traceparent"}]
        place = await producer.send(topic, business_key.removeprefix(f"{SHOP}/" if topic == INBOX else "").encode(), own, headers)
        given.append(Poisoned(name, business_key, (topic, *place), SystemClock().now()))
        if name == REFUSED:
            await producer.send(topic, f"order/{number}".encode(), _spoilt(own or b"", _paid, number), headers)
    await producer.close()
    arena.notes["poison"] = given

    async def all_told() -> bool:
        letters = await in_daemon(lambda: told_letters(config, everything=True))
        return all(any(one.is_in(letter) for letter in letters) for one in given)

    await arena.until(all_told, DEAD_SECONDS, "each poison is a dead letter")
    return len(given)


def _is_order(record: Record) -> bool:
    if record.topic == INBOX:
        return record.header(KIND) == FETCHED and record.header(ENTITY) == "order"
    head = default_codec().peek(record.value)
    return head is not None and head.name == "OrderPlaced"


def _spoilt_orders(body: bytes) -> dict[str, tuple[str, bytes | None]]:
    """Return orders as the shop would give them, each with one thing wrong, and the topic they belong to; no shop has their products."""
    spoilt: Mapping[str, Spoil] = {
        "missing field": lambda bundle: bundle["order"].pop("created_on_utc"),
        "wrong type": lambda bundle: bundle["order"].update(order_total=["12.50"]),
        "unknown currency": lambda bundle: bundle["order"].update(customer_currency_code="ZZZ"),
        "negative quantity": lambda bundle: _items(bundle)[0].update(quantity=-1),
        REFUSED: lambda _bundle: None,
        "NaN": lambda bundle: bundle["order"].update(order_tax=float("nan")),
        "bad UTF-8": lambda bundle: bundle["order"].update(shipping_method="\udcff\udcfe"),
    }
    return {name: (INBOX, _spoilt(body, spoil)) for name, spoil in spoilt.items()}


def _paid(bundle: dict[str, Any]) -> None:
    bundle["order"] |= {"payment_status_id": PAID, "paid_date_utc": bundle["order"]["created_on_utc"]}


def _spoilt(body: bytes, spoil: Spoil, number: int = FIRST_ID) -> bytes:
    bundle = json.loads(body)
    bundle["order"] |= {"id": number, "custom_order_number": str(number), "customer_currency_code": "USD", "payment_status_id": 10}
    for product in bundle["products"].values():
        product["sku"] = GHOST
    spoil(bundle)
    return json.dumps(bundle, ensure_ascii=False).encode("utf-8", "surrogateescape")


def _items(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    items: Any = bundle["items"]
    rows: list[dict[str, Any]] = items["items"] if isinstance(items, dict) else items
    return rows


def _spoilt_events(value: bytes) -> dict[str, tuple[str, bytes | None]]:
    """Return what stands in `received.orders` and is no event."""
    return {
        "bad Avro": (RECEIVED, value[: HEADER.size] + b"\xff" * 40),
        "unknown schema id": (RECEIVED, HEADER.pack(MAGIC, UNKNOWN_ID) + value[HEADER.size :]),
        "truncated": (RECEIVED, value[: len(value) // 2]),
        "null": (RECEIVED, None),
    }


async def each_dead_once(arena: Arena) -> Sequence[str]:
    """Say which poison is not one dead letter, told within half a minute, and whether what follows the refused order was not parked.

    What else is dead or parked is good, and did not go on.
    """
    given: list[Poisoned] = arena.notes["poison"]
    evidence = await gather(arena)
    rows, found = [letter.row for letter in evidence.letters], list[str]()
    others = [row for row in evidence.open_letters if not any(one.is_in(row) for one in given)]
    found += [f"{row['state']}, and no poison: {row['business_key']} at {row['connection']}: {row['reason']}" for row in others]
    for one in given:
        dead = {row["dead_letter_id"]: row for row in rows if one.is_in(row) and row["state"] == DEAD}
        if len(dead) != 1:
            found.append(f"{one.name}: {len(dead)} dead letters, where there must be one")
        found += [f"{one.name}: told after {row['first_at'] - one.at}" for row in dead.values() if row["first_at"] - one.at > SOON]
        if one.name == REFUSED and not any(one.is_in(row) and row["state"] == PARKED and row["connection"] == ERP for row in rows):
            found.append(f"{one.name}: the payment that follows it did not park")
    return found


FAULTS = (Fault("F12", "twelve kinds of poison among good records", poison, judge=each_dead_once, letters=True),)
