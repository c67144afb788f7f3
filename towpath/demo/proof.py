"""The figures of a run, from the sandbox systems' own stores; only dead letters come from Towpath's topics."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from towpath.codec import default_codec
from towpath.delivery.deadletters import RECEIPTS
from towpath.demo.pairs import ERP, SHOP, Pair
from towpath.demo.stores import Rows, Stores
from towpath.kafka import KafkaSettings
from towpath.topic_reader import TopicReader

HOLDS = "holds"
CANCELLED_AT_SHOP, CANCELLED_AT_ERP, PAID_AT_SHOP = 40, 90, 30
CENT = Decimal("0.01")
REFERENCE = re.compile(r"[a-z0-9-]+/shipment/[\w-]+")
"""A shipment by its key, among what the shop was told beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a run is judged by; orders are named by their business keys."""

    orders_placed: int
    orders_in_target: int
    duplicates: int
    cancelled_twins: Sequence[str]
    """Of these, the target's own ids of the orders that are cancelled there, where another of their reference stands."""
    missing: Sequence[str]
    """The orders that the target does not hold."""
    strays: int
    """Orders and shipments that are none of the other side's."""
    oversold: int
    stock_mismatches: int
    shipments: int
    shipments_missing: int
    status_mismatches: int
    total_mismatches: int
    faults: Mapping[str, int]
    announced: Mapping[str, datetime]
    """When the shop first told of each order."""
    arrived: Mapping[str, datetime]
    """When each order was written to the target."""
    ids: Mapping[str, AbstractSet[str]]
    """What the shop itself calls its orders, products and customers."""

    @property
    def latency_ms(self) -> dict[str, float | None]:
        """How long after it was announced an order stood at the target."""
        return quantiles(_waits(self.announced, self.arrived))

    @property
    def events_per_s(self) -> float | None:
        """How many orders came to the target in a second, from the first that was announced to the last that arrived."""
        both = self.announced.keys() & self.arrived.keys()
        span = (max(self.arrived[key] for key in both) - min(self.announced[key] for key in both)).total_seconds() if both else 0.0
        return round(len(both) / span, 1) if span else None

    def window(self, held: Mapping[str, datetime]) -> dict[str, float | None]:
        """Return how long after each order was announced its goods were held (ms), given when."""
        return quantiles(_waits(self.announced, held))


def together(proofs: Sequence[Proof]) -> Proof:
    """Return the figures of several pairs as those of one run; `ids` are those that each of them has."""
    return Proof(
        orders_placed=sum(one.orders_placed for one in proofs),
        orders_in_target=sum(one.orders_in_target for one in proofs),
        duplicates=sum(one.duplicates for one in proofs),
        cancelled_twins=[order_id for one in proofs for order_id in one.cancelled_twins],
        missing=[key for one in proofs for key in one.missing],
        strays=sum(one.strays for one in proofs),
        oversold=sum(one.oversold for one in proofs),
        stock_mismatches=sum(one.stock_mismatches for one in proofs),
        shipments=sum(one.shipments for one in proofs),
        shipments_missing=sum(one.shipments_missing for one in proofs),
        status_mismatches=sum(one.status_mismatches for one in proofs),
        total_mismatches=sum(one.total_mismatches for one in proofs),
        faults={kind: sum(one.faults[kind] for one in proofs) for kind in proofs[0].faults},
        announced={key: at for one in proofs for key, at in one.announced.items()},
        arrived={key: at for one in proofs for key, at in one.arrived.items()},
        ids={kind: frozenset.intersection(*(frozenset(one.ids[kind]) for one in proofs)) for kind in proofs[0].ids},
    )


def first_holds(kafka: KafkaSettings) -> dict[str, datetime]:
    """Return when the goods of each order were first held, by its business key."""
    found: dict[str, datetime] = {}
    with closing(TopicReader(kafka)) as reader:
        spans = {place: (extent.low, extent.high) for place, extent in reader.extents([HOLDS]).items()}
        for record in (record for batch in reader.read(spans) for record in batch.records):
            hold = default_codec().decode_as("StockHold", record.value)
            if hold["state"] == "held":
                at = record.written_at
                found[hold["order_key"]] = min(at, found.get(hold["order_key"], at))
    return found


def stock_waits(kafka: KafkaSettings, shop: str) -> list[float]:
    """Return how long after each change of stock at the ERP the shop had its number (ms), of those that were written to it."""
    changed, waits = dict[str, datetime](), list[float]()
    with closing(TopicReader(kafka)) as reader:
        for topic in (f"deliver.{shop}", RECEIPTS):  # in this order: a receipt names the event that its delivery has
            spans = {place: (extent.low, extent.high) for place, extent in reader.extents([topic]).items()}
            for record in (record for batch in reader.read(spans) for record in batch.records):
                _, told = default_codec().decode(record.value)
                if topic != RECEIPTS and told["event_type"] == "StockChanged":
                    changed[told["event_id"]] = told["occurred_at"]
                elif topic == RECEIPTS and told["outcome"] == "applied" and told["event_id"] in changed:
                    waits.append((told["at"] - changed[told["event_id"]]).total_seconds() * 1000)
    return sorted(waits)


def quantiles(sorted_ms: Sequence[float]) -> dict[str, float | None]:
    """Return the middle and the 99th percentile."""
    return {"p50": _quantile(sorted_ms, 0.50), "p99": _quantile(sorted_ms, 0.99)}


def prove(pair: Pair, stores: Stores) -> Proof:
    """Return the figures of what a pair's systems hold."""
    orders = {f"{pair.reference_prefix}{order['custom_order_number']}": order for order in stores.shop["orders"]}
    keys = {reference: _key(pair, order["id"]) for reference, order in orders.items()}
    sold = stores.erp["sales_orders"]
    written = [str(order["ExternalOrderID"]) for order in sold]
    customers = [str(customer["ExternalID"]) for customer in stores.erp["customers"]]
    requests = [str(request["reference"]) for request in stores.erp.get("requests", ())]
    wanted = _pieces_sent(pair, stores.erp["shipments"])
    sent = [found[0] if (found := REFERENCE.search(str(row["admin_comment"]))) else "" for row in stores.shop["shipments"]]
    twins = _cancelled_twins(sold)
    known = [(orders[ref], order) for ref, order in zip(written, sold, strict=True) if ref in orders and order not in twins]
    available = _available(stores.erp["inventory"])
    return Proof(
        orders_placed=len(orders),
        orders_in_target=len(set(written) & set(orders)),
        duplicates=sum(map(_repeated, (written, customers, requests, list(filter(None, sent))))) + _repeated_mails(stores),
        cancelled_twins=[str(order.get("SalesOrderID", "")) for order in twins],
        missing=sorted(keys[reference] for reference in set(orders) - set(written)),
        strays=sum(reference not in orders for reference in written) + sum(reference not in wanted for reference in sent),
        oversold=stores.oversold,
        stock_mismatches=sum(int(row["stock_quantity"]) != max(0, available.get(row["sku"], 0)) for row in stores.shop["products"]),
        shipments=len(wanted),
        shipments_missing=_shipments_missing(stores, wanted) + len(stores.erp.get("untold", ())),
        status_mismatches=sum(_differ_in_status(*both) for both in known),
        total_mismatches=sum(_amount(order["order_total"]) != _amount(there["Total"]) for order, there in known),
        faults=stores.faults,
        announced=_announced(pair, stores.shop["webhooks"]),
        arrived={keys[str(order["ExternalOrderID"])]: _moment(order["_CreatedAt"]) for order in sold if str(order["ExternalOrderID"]) in keys},
        ids={
            "orders": {str(order["id"]) for order in orders.values()},
            "products": {str(row["sku"]) for row in stores.shop["products"]},
            "customers": {str(order["customer_id"]) for order in orders.values() if order["customer_id"]},
        },
    )


def _key(pair: Pair, number: object) -> str:
    return f"{pair.name(SHOP)}/order/{number}"


def _amount(value: object) -> Decimal:
    return Decimal(str(value)).quantize(CENT)


def _waits(begun: Mapping[str, datetime], ended: Mapping[str, datetime]) -> list[float]:
    """Return how long each took that has begun and ended (ms), the shortest first."""
    return sorted((ended[key] - begun[key]).total_seconds() * 1000 for key in begun.keys() & ended.keys())


def _repeated(names: Sequence[str]) -> int:
    return len(names) - len(set(names))


def _cancelled_twins(sold: Rows) -> Rows:
    """Return the orders that are cancelled, where another of their reference stands."""
    standing = {str(order["ExternalOrderID"]) for order in sold if order["OrderStatus"] != CANCELLED_AT_ERP}
    return [order for order in sold if order["OrderStatus"] == CANCELLED_AT_ERP and str(order["ExternalOrderID"]) in standing]


def _repeated_mails(stores: Stores) -> int:
    """Return how often a customer was told of one and the same shipment again."""
    return _repeated([str(mail["shipment_id"]) for mail in stores.shop["mails"] if mail.get("shipment_id")])


def _available(inventory: Rows) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in inventory:
        found[row["SKU"]] = found.get(row["SKU"], 0) + int(row["Available"])
    return found


def _pieces_sent(pair: Pair, shipments: Rows) -> dict[str, int]:
    """Return how many pieces are in each shipment of the ERP, by what it is called at the shop."""
    return {
        row.get("Reference", f"{pair.name(ERP)}/shipment/{row['ShipmentID']}"): sum(int(line["Quantity"]) for line in row["Lines"])
        for row in shipments
    }


def _shipments_missing(stores: Stores, wanted: Mapping[str, int]) -> int:
    """Return how many shipments of the ERP do not stand at the shop as shipped, with as many pieces."""
    pieces: dict[int, int] = {}
    for item in stores.shop["shipment_items"]:
        pieces[item["shipment_id"]] = pieces.get(item["shipment_id"], 0) + int(item["quantity"])
    there = {
        found[0]: pieces.get(row["id"], 0)
        for row in stores.shop["shipments"]
        if row["shipped_date_utc"] and (found := REFERENCE.search(str(row["admin_comment"])))
    }
    return sum(there.get(reference) != quantity for reference, quantity in wanted.items())


def _differ_in_status(order: Mapping[str, Any], there: Mapping[str, Any]) -> bool:
    """Tell whether an order is cancelled on one side only, or paid at the shop and not so at an ERP that tells."""
    cancelled = (order["order_status_id"] == CANCELLED_AT_SHOP, there["OrderStatus"] == CANCELLED_AT_ERP)
    is_paid = order["payment_status_id"] == PAID_AT_SHOP
    paid = (is_paid, is_paid if there["PaymentStatus"] is None else there["PaymentStatus"] == "Paid")
    return bool(cancelled[0] != cancelled[1] or paid[0] != paid[1])


def _announced(pair: Pair, webhooks: Rows) -> dict[str, datetime]:
    """Return when each order was first announced."""
    found: dict[str, datetime] = {}
    for webhook in webhooks:
        if webhook["type"] == "order.placed":
            found.setdefault(_key(pair, json.loads(webhook["body"])["data"]["entityId"]), _moment(webhook["created_at"]))
    return found


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else None
