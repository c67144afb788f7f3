"""Completing what Magento named or listed: an order with its invoices, which alone tell when it was paid; a credit memo with its order."""

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


async def read_creditmemo(api: ApiClient, wanted: Fetch) -> str:
    """Return `{"creditmemo", "order"}`; one that was listed without its items is read by itself."""
    number, text = id_of(wanted.id, "entity_id"), wanted.payload
    if not text or "items" not in parse(text.encode()):
        text = await read(api, f"creditmemo/{number}", f"creditmemo {number}")
    order = id_of(parse(text.encode()).get("order_id"), "order_id")
    return joined(creditmemo=text, order=await read(api, f"orders/{order}", f"order {order}"))


async def read_customer(api: ApiClient, wanted: Fetch) -> str:
    """Return `{"customer"}`."""
    number = id_of(wanted.id, "id")
    return joined(customer=wanted.payload or await read(api, f"customers/{number}", f"customer {number}"))


def _is_whole(order: Json) -> bool:
    more = order.get("extension_attributes")
    return "items" in order and "billing_address" in order and isinstance(more, dict) and "shipping_assignments" in more
