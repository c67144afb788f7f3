"""What happens in a world, as its seed has it: the shop's facts, how they come in, and what breaks when."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from towpath.delivery.parking import AT_ONCE
from towpath.events import AGGREGATES, Event, business_key, seal
from towpath.simulation.erp import Weather
from towpath.simulation.process import STARTS_AT

SKUS: Final = ("TP-0001", "TP-0002")
UNKNOWN: Final = "TP-9999"
"""A product that the target learns of only once the faults are over."""
TELLING: Final = 3.0
"""Seconds within which the shop tells its facts, but for the changes of those who take their time."""
LONG: Final = 2.5
"""How long some shoppers think before they change an order again (seconds): an earlier change may be parked by then."""
FAULTS_END: Final = 8.0
PAID, UNPAID = "30", "10"


@dataclass(frozen=True, slots=True)
class Told:
    """A fact as it comes in at some time; a shop tells it more than once, late, and out of order."""

    at: float
    event: Event


@dataclass(slots=True)
class Bought:
    """An order as it should stand in the end: how many of the first product, in the order of its versions, and what else became of it."""

    number: int
    customer: int
    quantities: list[int]
    cancelled: bool = False
    paid: bool = False
    poisoned: bool = False


@dataclass(frozen=True, slots=True)
class Strike:
    """What befalls a process (`sink` or `processor`): it dies, or stands still for so many seconds, after so many acts or steps of it."""

    role: str
    acts: int = 0
    steps: int = 0
    freeze: float = 0.0


@dataclass(slots=True)
class History:
    """One seed's world."""

    seed: int
    partitions: int
    sinks: int
    processors: int
    weather: Weather
    rate: float | None
    orders: list[Bought] = field(default_factory=list)
    facts: list[Told] = field(default_factory=list)
    strikes: list[Strike] = field(default_factory=list)
    comings: list[tuple[float, str, float]] = field(default_factory=list)
    """When another process of a role comes, and for how long it stays."""
    clock_jumps: list[tuple[float, float]] = field(default_factory=list)
    at_once: int = AT_ONCE
    """How many parked records are tried again together: one, and what waited for the same comes back at different times."""
    slow: bool = False
    """Whether shoppers think long before they change an order again, and mostly order what the target does not know yet."""


def history_of(seed: int) -> History:
    """Return the world of a seed."""
    chance = random.Random(f"history {seed}")  # noqa: S311 - a world is to be played again
    history = History(
        seed, chance.choice((1, 2, 3)), chance.choice((1, 1, 2)), chance.choice((1, 1, 2)), _weather(chance), chance.choice((None, 20.0, 3.0))
    )
    if chance.random() < 0.2:  # noqa: PLR2004
        history.at_once, history.slow = 1, True
    for number in range(1001, 1001 + chance.choice((1, 2, 2, 3, 4))):
        _tell_order(history, chance, number)
    _tell_stock(history, chance)
    history.facts.sort(key=lambda told: told.at)
    _break(history, chance)
    if history.sinks > 1:
        stops = random.Random(f"stops {seed}").choice((0.0, 0.0, 0.3, 1.0))  # noqa: S311 - of its own, so that the rest of the world stays
        history.weather = replace(history.weather, stopped=stops)
    return history


def _weather(chance: random.Random) -> Weather:
    def some(most: float) -> float:
        return chance.random() * most if chance.random() < 0.4 else 0.0  # noqa: PLR2004 - two kinds of trouble at a time, mostly

    fates = (some(0.4), some(0.5), some(0.3), some(0.3), some(0.2), some(0.4))
    return Weather(*fates, blind=chance.choice((0.0, 0.0, 0.5)), unique=chance.random() < 0.3)  # noqa: PLR2004


def _tell_order(history: History, chance: random.Random, number: int) -> None:
    poisoned = 0.6 if history.slow else 0.1
    bought = Bought(number, chance.choice((7, 8)), [chance.randint(1, 9)], poisoned=chance.random() < poisoned)
    history.orders.append(bought)
    at = chance.random() * TELLING / 2
    paid_before = chance.random() < 0.5  # noqa: PLR2004
    payment = PAID if paid_before else UNPAID
    _tell(history, chance, at, _order(bought, bought.quantities[0], 0, payment))
    for version in range(1, 1 + chance.choice((1, 2, 2) if history.slow else (0, 0, 1, 2))):
        quantity = max(bought.quantities) + chance.randint(1, 3)
        bought.quantities.append(quantity)
        later = (version - 1 + chance.random()) * LONG if history.slow else version * chance.random()
        _tell(history, chance, at + later, _order(bought, quantity, version, payment))
    if chance.random() < 0.3:  # noqa: PLR2004
        bought.cancelled = True
        _tell(history, chance, at + chance.random() * 2, Event("OrderCancelled", _about(bought, 50, order_number=str(number), reason="")))
    if not paid_before and chance.random() < 0.5:  # noqa: PLR2004
        bought.paid = True
        about = _about(bought, 60, order_number=str(number), amount=Decimal("34.56"), currency="EUR", method="Manual", transaction_id="ch_1")
        _tell(history, chance, at + chance.random() * 2, Event("PaymentReceived", {**about, "payment_id": "ch_1", "paid_at": STARTS_AT}))


def _tell(history: History, chance: random.Random, at: float, event: Event) -> None:
    """Have a fact come in once or more; a later reading of it has a later version, as the adapter gives it."""
    for again in range(chance.choice((1, 1, 1, 2, 3))):
        meta = {**event.meta, "version": {**event.meta["version"], "minor": event.meta["version"]["minor"] + again}}
        copy = seal(Event(event.type, {**event.value, "meta": meta}))
        history.facts.append(Told(at if not again else at + chance.random() * TELLING / 2, copy))


def _tell_stock(history: History, chance: random.Random) -> None:
    for index in range(chance.choice((0, 0, 2, 4))):
        sku, available = chance.choice(SKUS), Decimal(chance.randint(20, 60))
        meta = _meta("erp", business_key("erp", "stock", sku), major=index + 1)
        value = {"meta": meta, "sku": sku, "location": "MAIN", "on_hand": available, "allocated": Decimal(0), "available": available}
        _tell(history, chance, chance.random() * TELLING, Event("StockChanged", {**value, "custom_fields": {}}))


def _break(history: History, chance: random.Random) -> None:
    for role in ("sink", "processor"):
        for _ in range(chance.choice((0, 0, 1, 1, 2))):
            after = {"acts": chance.randint(1, 40)} if chance.random() < 0.6 else {"steps": chance.randint(1, 500)}  # noqa: PLR2004
            freeze = 0.0 if chance.random() < 0.6 else chance.choice((0.5, 3.5, 8.0))  # noqa: PLR2004
            history.strikes.append(Strike(role, freeze=freeze, **after))
        if chance.random() < 0.2:  # noqa: PLR2004
            history.comings.append((chance.random() * FAULTS_END / 2, role, 1.0 + chance.random() * 4))
    if chance.random() < 0.15:  # noqa: PLR2004
        history.clock_jumps.append((chance.random() * FAULTS_END, chance.choice((-600.0, -30.0, 30.0, 600.0))))


def _meta(connection: str, key: str, major: int, minor: int = 0) -> dict[str, Any]:
    return {
        "event_id": "",
        "connection": connection,
        "key": key,
        "version": {"major": major, "minor": minor},
        "digest": "",
        "occurred_at": STARTS_AT + timedelta(milliseconds=major),
        "received_at": STARTS_AT,
        "trace_id": "",
    }


def _about(bought: Bought, major: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any field of an event
    key = business_key("shop", "order", bought.number)
    return {"meta": _meta("shop", key, major), "order_id": str(bought.number), "custom_fields": {}, **more}


def _order(bought: Bought, quantity: int, version: int, payment: str) -> Event:
    lines = [_line(1, SKUS[0], quantity)]
    lines.append(_line(2, UNKNOWN if bought.poisoned else SKUS[1], 1))
    total = sum((line["line_total"] for line in lines), Decimal())
    value = {
        **_about(bought, 10 + version * 10),
        "order_number": str(bought.number),
        "status": "20",
        "payment_status": payment,
        "placed_at": STARTS_AT,
        "currency": "EUR",
        "customer_key": business_key("shop", "customer", bought.customer),
        "customer_id": str(bought.customer),
        "customer_email": f"c{bought.customer}@shop.com",
        "customer_first_name": "Zoe",
        "customer_last_name": "M",
        "customer_company": "",
        "billing_address": ADDRESS,
        "shipping_address": None,
        "lines": lines,
        "shipping_amount": Decimal(0),
        "shipping_method": "Ground",
        "discount_total": Decimal(0),
        "tax_total": Decimal(0),
        "total": total,
        "payment_method": "Manual",
    }
    return Event("OrderPlaced", value)


def _line(number: int, sku: str, quantity: int) -> dict[str, Any]:
    price, amount = Decimal("2.00"), Decimal(2 * quantity).quantize(Decimal("0.01"))
    return {
        "line_no": number,
        "line_id": str(number),
        "sku": sku,
        "name": "",
        "quantity": Decimal(quantity),
        "unit_price": price,
        "line_total": amount,
        "tax_amount": Decimal(0),
    }


ADDRESS: Final[Mapping[str, Any]] = {
    "first_name": "Zoe",
    "last_name": "M",
    "company": "",
    "email": "",
    "phone": "",
    "lines": ["Street 5"],
    "city": "Berlin",
    "region": "",
    "postcode": "10115",
    "country": "DE",
}


def topic_of(event: Event) -> str:
    """Return where the adapter would send an event."""
    return f"received.{AGGREGATES[event.type]}"
