"""What must hold of a world in the end: judged by what was told and what the target holds, not by what the production code believes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from towpath.codec import default_codec
from towpath.delivery.ledger import effects
from towpath.simulation.history import Bought, History
from towpath.simulation.machines import PREFIX, Deployment

CANCELLED = 90
STANDS = frozenset({"applied", "found", "unchanged"})


@dataclass(frozen=True, slots=True)
class Violation:
    """What does not hold: the invariant of the guarantees (I1 to I5), and what is wrong."""

    invariant: str
    message: str


def violations(deployment: Deployment, history: History, *, quiet: bool) -> list[Violation]:
    """Return what does not hold; `quiet` says that the world came to rest."""
    found: list[Violation] = []
    if not quiet:
        lags = {group: deployment.log.group(group).committed for group in deployment.log.groups}
        found.append(Violation("I4", f"the world does not come to rest: {lags}"))
    found += [Violation("I1", f"an accepted fact got a process to end: {trouble}") for trouble in deployment.trouble]
    for bought in history.orders:
        found += _order(deployment, bought)
    found += _customers(deployment, history)
    found += _stock(deployment, history)
    found += _books(deployment)
    found += _ledger(deployment)
    return found


def _order(deployment: Deployment, bought: Bought) -> Iterator[Violation]:
    reference = f"{PREFIX}{bought.number}"
    rows = [row for row in deployment.erp.rows["sales-orders"] if row["ExternalOrderID"] == reference]
    if not rows:
        yield Violation("I1", f"order {reference} was told and does not stand")
    if len(rows) > 1:
        yield Violation("I2", f"order {reference} stands {len(rows)} times: {[row['SalesOrderID'] for row in rows]}")
    for row in rows[:1]:
        quantity = row["Lines"][0]["Quantity"]
        if bought.cancelled:
            if row["OrderStatus"] != CANCELLED:
                yield Violation("I1", f"order {reference} was cancelled and is not")
        elif quantity != bought.quantities[-1]:
            yield Violation("I3", f"order {reference} has {quantity} of its first product; its newest content says {bought.quantities[-1]}")
        if bought.paid and row["PaymentStatus"] != "Paid":
            yield Violation("I1", f"order {reference} was paid and is not")
        changes = [content["Lines"][0]["Quantity"] for _, what, name, content in _journal(deployment) if what == "change" and "Lines" in content
                   and name == row["SalesOrderID"]]  # fmt: skip
        versions = [bought.quantities.index(one) for one in changes]
        if versions != sorted(versions):
            yield Violation("I3", f"order {reference} was changed to versions {versions}")


def _journal(deployment: Deployment) -> list[tuple[float, str, str, Any]]:
    return deployment.erp.journal


def _customers(deployment: Deployment, history: History) -> Iterator[Violation]:
    for number in sorted({bought.customer for bought in history.orders}):
        rows = [row for row in deployment.erp.rows["customers"] if row["ExternalID"] == f"{PREFIX}{number}"]
        if len(rows) > 1:
            yield Violation("I2", f"customer {number} stands {len(rows)} times")


def _stock(deployment: Deployment, history: History) -> Iterator[Violation]:
    """Yield the products that do not have the number which was told last: what orders held is let go once the target has them all."""
    newest: dict[str, tuple[tuple[int, int], Any]] = {}
    for event in (told.event for told in history.facts if told.event.type == "StockChanged"):
        version = event.meta["version"]["major"], event.meta["version"]["minor"]
        sku, number = event.value["sku"], event.value["available"]
        newest[sku] = max(newest.get(sku, (version, number)), (version, number))
    for sku, (_, available) in sorted(newest.items()):
        stands = deployment.erp.stock.get(sku)
        if stands is None or Decimal(stands[1]) != available:
            yield Violation("I3", f"stock of {sku} is {stands}; the newest number that was told is {available}")


def _books(deployment: Deployment) -> Iterator[Violation]:
    """Yield each delivery that ended in nothing, and each dead letter that nothing closed."""
    codec, log = default_codec(), deployment.log
    receipts = [codec.decode_as("Receipt", message.value()) for message in log.topic("receipts")]
    ended = {(receipt["operation"], receipt["event_id"]) for receipt in receipts if receipt["hop"] == "sink"}
    closed = {receipt["dead_letter_id"] for receipt in receipts}
    for topic in ("dlq.erp", "dlq.shop", "dlq.unknown", "parked.erp"):
        for message in log.topic(topic):
            letter = codec.decode_as("DeadLetter", message.value())
            if letter["error_class"] == "bug":
                yield Violation("I1", f"a bug: {letter['reason']}")
            if letter["dead_letter_id"] not in closed:
                yield Violation("I5", f"{topic}: {letter['reason']} is open, though what it waited for is there")
            kind, failed = codec.decode(letter["value"])
            if kind == "Delivery":  # another delivery of its effect may have closed it
                ended.add((failed["operation"], failed["event_id"]))
    for message in log.topic("deliver.erp"):
        delivery = codec.decode_as("Delivery", message.value())
        if (delivery["operation"], delivery["event_id"]) not in ended:
            yield Violation("I4", f"delivery {delivery['operation']} {delivery['effect_key']} has no receipt")


def _ledger(deployment: Deployment) -> Iterator[Violation]:
    ids = {row["SalesOrderID"] for row in deployment.erp.rows["sales-orders"]} | {row["CustomerID"] for row in deployment.erp.rows["customers"]}
    with deployment.database.begin() as connection:
        rows = connection.execute(sa.select(effects)).all()
    for row in rows:
        if row.state != "done":
            yield Violation("I4", f"the ledger has {row.operation} {row.effect_key} as {row.state}")
        elif row.operation in {"create_order", "create_customer"} and row.external_id not in ids:
            yield Violation("I4", f"the ledger has {row.operation} {row.effect_key} as {row.external_id}, which does not exist")
