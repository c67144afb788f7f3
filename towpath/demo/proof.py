"""The figures of a run, from the sandbox systems' own stores; only dead letters come from Towpath's topics."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp

from towpath.codec import default_codec
from towpath.delivery.deadletters import RECEIPTS
from towpath.demo import brightpearl_stores, magento_stores
from towpath.demo.pairs import ERP, SHOP
from towpath.kafka import KafkaSettings
from towpath.topic_reader import TopicReader

CALL_SECONDS = 60.0
HOLDS = "holds"

Rows = Sequence[Mapping[str, Any]]


SHOP_STORES = ("orders", "webhooks", "products", "shipments", "shipment_items", "mails")
ERP_STORES = ("sales_orders", "customers", "inventory", "shipments")
CANCELLED_AT_SHOP, CANCELLED_AT_ERP, PAID_AT_SHOP = 40, 90, 30
REFERENCE = re.compile(r"\b(?:erp|threepl)/shipment/[\w-]+")


def session() -> aiohttp.ClientSession:
    """Return what the demonstration calls the sandbox with: no call waits for ever."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_SECONDS))


@dataclass(frozen=True, slots=True)
class Stores:
    """What the systems hold after a run, by the names of their stores, and the faults of both.

    `oversold` are the pieces that the ERP's orders were given beyond what there was to sell at that moment.
    """

    shop: Mapping[str, Rows]
    erp: Mapping[str, Rows]
    oversold: int
    faults: Mapping[str, int]


async def read_stores(shop: str, erp: str, system: str = "nopcommerce", *, erp_system: str = "bng", threepl: str | None = None) -> Stores:
    """Return what the systems at these addresses hold; `system` is the shop's."""
    async with session() as http:

        async def get(url: str) -> Any:  # noqa: ANN401 - JSON
            async with http.get(url) as response:
                response.raise_for_status()
                return await response.json()

        injected = [(await get(f"{url}/_sandbox/faults"))["injected"] for url in (shop, erp, threepl) if url is not None]
        names = magento_stores.STORES if system == "magento" else SHOP_STORES

        async def dump(url: str, names: Sequence[str]) -> dict[str, Rows]:
            return {name: (await get(f"{url}/_sandbox/store/{name}"))["items"] for name in names}

        held = await dump(shop, names)
        theirs = await dump(erp, brightpearl_stores.STORES if erp_system == "brightpearl" else ERP_STORES)
        if erp_system == "brightpearl":
            none: dict[str, Rows] = dict.fromkeys(brightpearl_stores.THREEPL_STORES, ())
            theirs = brightpearl_stores.as_counted(theirs, none if threepl is None else await dump(threepl, brightpearl_stores.THREEPL_STORES))
        return Stores(
            magento_stores.as_counted(held) if system == "magento" else held,
            theirs,
            int((await get(f"{erp}/_sandbox/stats"))["oversold"]),
            {kind: sum(one[kind] for one in injected) for kind in injected[0]},
        )


@dataclass(frozen=True, slots=True)
class Proof:
    """What a run is judged by."""

    orders_placed: int
    orders_in_target: int
    duplicates: int
    missing: Sequence[str]
    oversold: int
    stock_mismatches: int
    shipments: int
    shipments_missing: int
    status_mismatches: int
    latency_ms: Mapping[str, float | None]
    events_per_s: float | None
    faults: Mapping[str, int]
    announced: Mapping[int, datetime]
    """When each order was first announced, by its id at the shop."""

    def window(self, held: Mapping[str, datetime]) -> dict[str, float | None]:
        """Return how long after each order was announced its goods were held (ms), given when by its business key."""
        times = {int(key.rpartition("/")[2]): at for key, at in held.items()}
        waits = sorted((at - self.announced[number]).total_seconds() * 1000 for number, at in times.items() if number in self.announced)
        return quantiles(waits)


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


def stock_waits(kafka: KafkaSettings) -> list[float]:
    """Return how long after each change of stock at the ERP the shop had its number (ms), of those that were written to it."""
    changed, waits = dict[str, datetime](), list[float]()
    with closing(TopicReader(kafka)) as reader:
        for topic in (f"deliver.{SHOP}", RECEIPTS):  # in this order: a receipt names the event that its delivery has
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


def prove(stores: Stores, prefix: str) -> Proof:
    """Return the figures; `missing` are the references of placed orders that the target does not hold."""
    placed = {f"{prefix}{order['custom_order_number']}": int(order["id"]) for order in stores.shop["orders"]}
    written = [str(order["ExternalOrderID"]) for order in stores.erp["sales_orders"]]
    customers = [str(customer["ExternalID"]) for customer in stores.erp["customers"]]
    requests = [str(request["reference"]) for request in stores.erp.get("requests", ())]
    announced = _announced(stores.shop["webhooks"])
    arrived = {str(order["ExternalOrderID"]): _moment(order["_CreatedAt"]) for order in stores.erp["sales_orders"]}
    pairs = [(announced[order_id], arrived[ref]) for ref, order_id in placed.items() if ref in arrived and order_id in announced]
    latencies = sorted((end - start).total_seconds() * 1000 for start, end in pairs)
    span = (max(end for _, end in pairs) - min(start for start, _ in pairs)).total_seconds() if pairs else 0.0
    available = _available(stores.erp["inventory"])
    return Proof(
        orders_placed=len(placed),
        orders_in_target=len(set(written) & set(placed)),
        duplicates=sum(map(_repeated, (written, customers, requests))) + _repeated(_references(stores.shop["shipments"])) + _repeated_mails(stores),
        missing=sorted(set(placed) - set(written)),
        oversold=stores.oversold,
        stock_mismatches=sum(int(row["stock_quantity"]) != max(0, available.get(row["sku"], 0)) for row in stores.shop["products"]),
        shipments=len(stores.erp["shipments"]),
        shipments_missing=_shipments_missing(stores) + len(stores.erp.get("untold", ())),
        status_mismatches=_status_mismatches(stores, prefix),
        latency_ms=quantiles(latencies),
        events_per_s=round(len(pairs) / span, 1) if span else None,
        faults=stores.faults,
        announced=announced,
    )


def _repeated(names: Sequence[str]) -> int:
    return len(names) - len(set(names))


def _repeated_mails(stores: Stores) -> int:
    """Return how often a customer was told of one and the same shipment again."""
    return _repeated([str(mail["shipment_id"]) for mail in stores.shop["mails"] if mail.get("shipment_id")])


def _available(inventory: Rows) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in inventory:
        found[row["SKU"]] = found.get(row["SKU"], 0) + int(row["Available"])
    return found


def _references(shipments: Rows) -> list[str]:
    return [found[0] for row in shipments if (found := REFERENCE.search(str(row["admin_comment"])))]


def _shipments_missing(stores: Stores) -> int:
    """Return how many shipments of the ERP do not stand at the shop as shipped, with as many pieces."""
    pieces: dict[int, int] = {}
    for item in stores.shop["shipment_items"]:
        pieces[item["shipment_id"]] = pieces.get(item["shipment_id"], 0) + int(item["quantity"])
    there = {
        found[0]: pieces.get(row["id"], 0)
        for row in stores.shop["shipments"]
        if row["shipped_date_utc"] and (found := REFERENCE.search(str(row["admin_comment"])))
    }
    wanted = {
        row.get("Reference", f"{ERP}/shipment/{row['ShipmentID']}"): sum(int(line["Quantity"]) for line in row["Lines"])
        for row in stores.erp["shipments"]
    }
    return sum(there.get(reference) != quantity for reference, quantity in wanted.items())


def _status_mismatches(stores: Stores, prefix: str) -> int:
    """Return how many orders are cancelled on one side only, or paid at the shop and not so at an ERP that tells."""
    orders = {f"{prefix}{order['custom_order_number']}": order for order in stores.shop["orders"]}
    wrong = 0
    for row in stores.erp["sales_orders"]:
        order = orders.get(str(row["ExternalOrderID"]))
        if order is None:
            continue
        cancelled = (order["order_status_id"] == CANCELLED_AT_SHOP, row["OrderStatus"] == CANCELLED_AT_ERP)
        is_paid = order["payment_status_id"] == PAID_AT_SHOP
        paid = (is_paid, is_paid if row["PaymentStatus"] is None else row["PaymentStatus"] == "Paid")
        wrong += cancelled[0] != cancelled[1] or paid[0] != paid[1]
    return wrong


def _announced(webhooks: Rows) -> dict[int, datetime]:
    """Return when each order was first announced, by its id."""
    found: dict[int, datetime] = {}
    for webhook in webhooks:
        if webhook["type"] == "order.placed":
            found.setdefault(int(json.loads(webhook["body"])["data"]["entityId"]), _moment(webhook["created_at"]))
    return found


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else None
