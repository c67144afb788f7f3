"""Completing what Magento named or listed: the order itself, and its invoices, which alone tell when it was paid."""

from __future__ import annotations

import json

from producers.base import Fetch
from producers.paging import read_page
from producers.wire import Json, decimal_of, joined, parse
from towpath.http import ApiClient
from towpath.systems.magento import BASE, id_of, read, search

MOST_INVOICES = 100


async def read_order(api: ApiClient, wanted: Fetch) -> str:
    """Return `{"order", "invoices"}`; a listed order that lacks its lines or its shipping address is read by itself."""
    number, text = id_of(wanted.id, "entity_id"), wanted.payload
    if not text or not _is_whole(parse(text.encode())):
        text = await read(api, f"orders/{number}", f"order {number}")
    paid = decimal_of(parse(text.encode()).get("total_paid", 0))
    invoices = "[]"
    if paid:
        query = search(("order_id", "eq", number), pageSize=MOST_INVOICES)
        page = await read_page(api, f"{BASE}/invoices", query, "total_count")
        invoices = json.dumps([{name: one.field(name) for name in ("entity_id", "state", "created_at", "transaction_id")} for one in page.listed])
    return joined(order=text, invoices=invoices)


async def read_customer(api: ApiClient, wanted: Fetch) -> str:
    """Return `{"customer"}`."""
    number = id_of(wanted.id, "id")
    return joined(customer=wanted.payload or await read(api, f"customers/{number}", f"customer {number}"))


def _is_whole(order: Json) -> bool:
    more = order.get("extension_attributes")
    return "items" in order and "billing_address" in order and isinstance(more, dict) and "shipping_assignments" in more
