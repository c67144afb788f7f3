"""The figures of a run, from the sandbox systems' own stores; only dead letters come from Towpath's topics."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp

CALL_SECONDS = 60.0

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Stores:
    """What the systems hold after a run: shop orders and webhooks, ERP orders and customers, and the faults of both."""

    orders: Rows
    webhooks: Rows
    sales_orders: Rows
    customers: Rows
    faults: Mapping[str, int]


def session() -> aiohttp.ClientSession:
    """Return what the demonstration calls the sandbox with: no call waits for ever."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_SECONDS))


async def read_stores(shop: str, erp: str) -> Stores:
    """Return what the two systems at these addresses hold."""
    async with session() as http:

        async def get(url: str) -> Any:  # noqa: ANN401 - JSON
            async with http.get(url) as response:
                response.raise_for_status()
                return await response.json()

        injected = [(await get(f"{url}/_sandbox/faults"))["injected"] for url in (shop, erp)]
        return Stores(
            (await get(f"{shop}/_sandbox/store/orders"))["items"],
            (await get(f"{shop}/_sandbox/store/webhooks"))["items"],
            (await get(f"{erp}/_sandbox/store/sales_orders"))["items"],
            (await get(f"{erp}/_sandbox/store/customers"))["items"],
            {kind: sum(one[kind] for one in injected) for kind in injected[0]},
        )


@dataclass(frozen=True, slots=True)
class Proof:
    """What a run is judged by."""

    orders_placed: int
    orders_in_target: int
    duplicates: int
    missing: Sequence[str]
    latency_ms: Mapping[str, float | None]
    events_per_s: float | None
    faults: Mapping[str, int]


def prove(stores: Stores, prefix: str) -> Proof:
    """Return the figures; `missing` are the references of placed orders that the target does not hold."""
    placed = {f"{prefix}{order['custom_order_number']}": int(order["id"]) for order in stores.orders}
    written = [str(order["ExternalOrderID"]) for order in stores.sales_orders]
    customers = [str(customer["ExternalID"]) for customer in stores.customers]
    duplicates = len(written) - len(set(written)) + len(customers) - len(set(customers))
    announced = _announced(stores.webhooks)
    arrived = {str(order["ExternalOrderID"]): _moment(order["UpdatedAt"]) for order in stores.sales_orders}
    pairs = [(announced[order_id], arrived[ref]) for ref, order_id in placed.items() if ref in arrived and order_id in announced]
    latencies = sorted((end - start).total_seconds() * 1000 for start, end in pairs)
    span = (max(end for _, end in pairs) - min(start for start, _ in pairs)).total_seconds() if pairs else 0.0
    return Proof(
        orders_placed=len(placed),
        orders_in_target=len(set(written) & set(placed)),
        duplicates=duplicates,
        missing=sorted(set(placed) - set(written)),
        latency_ms={"p50": _quantile(latencies, 0.50), "p99": _quantile(latencies, 0.99)},
        events_per_s=round(len(pairs) / span, 1) if span else None,
        faults=stores.faults,
    )


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
