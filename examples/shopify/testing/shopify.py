"""Shopify, for the contract suites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from towpath.testing.contracts.bench import Bench
from towpath.testing.contracts.example import Asked, Emits, Example, Reply, Writes

LOCATION = "gid://shopify/Location/1"


async def _order(bench: Bench, number: int) -> str:
    return str((await bench.control("PUT", f"orders/{number}", {}))["id"])


async def _cancel(bench: Bench, order: str) -> None:
    await bench.control("PUT", f"orders/{order}", {"cancelled_at": "2026-11-20T09:45:00-05:00", "cancel_reason": "customer"})


async def _stock(bench: Bench, number: int) -> Asked:
    await bench.control("PUT", f"variants/CAP-{number}", {"available": 1})
    return Asked({"SKU": f"CAP-{number}", "LocationID": LOCATION, "StockQuantity": 10 + number, "RaisedAt": 1})


async def _stands(bench: Bench, document: Mapping[str, Any]) -> int:
    return len(await bench.rows("variants", sku=document["SKU"], available=document["StockQuantity"]))


EXAMPLE = Example(
    system="shopify",
    base="/admin/api/2025-07/",
    credentials={"access_token": "shpat-towpath-sandbox-token"},
    webhook_secret="a-client-secret-of-a-shopify-app",  # noqa: S106 - made up
    missing=Reply(404, {"errors": "Not Found"}),
    pages="producers.shopify",
    emits={"order": Emits(_order, _cancel, named=False)},
    writes={"set_stock": Writes(_stock, _stands, lambda one: {**one, "StockQuantity": one["StockQuantity"] + 7, "RaisedAt": 2})},
)
"""A shop by a custom app's token."""
