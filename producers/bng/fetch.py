"""Completing what BNG sent: the business key of an order, and the SKUs of a shipment, whose lines name order lines only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from urllib.parse import quote

from producers.base import References
from producers.wire import Json, joined, member, moment, parse
from towpath.errors import DataError, RetryableError
from towpath.http import ApiClient
from towpath.systems.bng import BASE, CANCELLED, Bng, id_of, read_sales_order

NOT_FOUND: Final = 404
WRITTEN_WITHIN: Final = timedelta(seconds=5)
"""Of nearly every order of ours it is known by then that it was written: no call is spent on one that is being written."""
PATHS: Final[Mapping[str, str]] = {
    "customer": "customers",
    "inventory": "inventory",
    "invoice": "invoices",
    "product": "products",
    "sales_order": "sales-orders",
    "shipment": "shipments",
}


async def named(api: ApiClient, entity: str, number: str) -> str:
    """Return the JSON text of an entity of which only its id is told: a SKU's stock is that of every warehouse. Raises DataError for none."""
    path, query = PATHS.get(entity, ""), {"sku": number} if entity == "inventory" else {}
    if not path or number in {"", ".", ".."}:
        raise DataError(f"{entity} {number[:40]!r} cannot be read from {api.name}", field="entity", value=entity)
    answer = await api.get(f"{BASE}/{path}" if query else f"{BASE}/{path}/{quote(number, safe='')}", query)
    text = answer.text if not query else member(answer.text, "items") if isinstance(answer.json(), dict) else ""
    if answer.status == NOT_FOUND or text in {"", "[]"}:
        raise DataError(f"{entity} {number} does not exist at {api.name}", field=entity, value=number)
    return text


def whole(entity: str, payload: str) -> str:
    """Return `{entity: …}`, as it came: what needs nothing besides."""
    parse(payload.encode())
    return joined(**{entity: payload})


async def customer(payload: str, references: References) -> str:
    """Return `{"customer_key", "customer"}`: the key of whom it stands for, by our reference or by what was written; null where it is its own."""
    record = parse(payload.encode())
    customer_id, reference = id_of(record, "CustomerID"), record.get("ExternalID")
    key = references.customer_of(reference) if isinstance(reference, str) else None
    key = key or await references.key_of("customer", customer_id)
    return joined(customer_key=json.dumps(key), customer=payload)


async def sales_order(api: ApiClient, payload: str, references: References) -> str | None:
    """Return `{"order_key", "sales_order"}`, None for an order that is none of ours."""
    key = await _order_key(api, parse(payload.encode()), references)
    return None if key is None else joined(order_key=json.dumps(key), sales_order=payload)


async def shipment(api: ApiClient, payload: str, references: References) -> str | None:
    """Return `{"order_key", "shipment", "sales_order"}`, None for a shipment of an order that is none of ours."""
    order = await _read_order(api, id_of(parse(payload.encode()), "SalesOrderID"))
    key = await _order_key(api, parse(order.encode()), references)
    return None if key is None else joined(order_key=json.dumps(key), shipment=payload, sales_order=order)


async def invoice(api: ApiClient, payload: str, references: References) -> str | None:
    """Return `{"order_key", "invoice"}`, None for an invoice of an order that is none of ours."""
    order = await _read_order(api, id_of(parse(payload.encode()), "SalesOrderID"))
    key = await _order_key(api, parse(order.encode()), references)
    return None if key is None else joined(order_key=json.dumps(key), invoice=payload)


async def _read_order(api: ApiClient, order_id: str) -> str:
    answer = await read_sales_order(api, order_id)
    if not isinstance(answer.json(), dict):
        raise answer.unreadable("it is no object")
    return answer.text


async def _order_key(api: ApiClient, order: Json, references: References) -> str | None:
    """Return the business key of an order, None for one that is none of ours, or was cancelled because another stands for it.

    Raises RetryableError for one of ours that is not known yet: its writing ends just now.
    """
    order_id, reference = id_of(order, "SalesOrderID"), order.get("ExternalOrderID")
    key = await references.key_of("order", order_id)
    if key is None and isinstance(reference, str) and reference.strip() and references.is_ours(reference):
        is_old = api.gate.clock.now() - moment(order, "UpdatedAt") > WRITTEN_WITHIN
        if is_old and await _is_cancelled_twin(api, order_id, reference, references):
            return None
        raise RetryableError(f"sales order {order_id} has our reference {reference[:60]!a}, and is not known to have been written yet")
    return key


async def _is_cancelled_twin(api: ApiClient, order_id: str, reference: str, references: References) -> bool:
    """Tell whether an order stands twice at BNG, was cancelled for that, and the other is the one that is known."""
    same = {str(one["SalesOrderID"]): one for one in await Bng(api).sales_orders(reference)}
    if order_id not in same or same[order_id].get("OrderStatus") != CANCELLED:
        return False
    return any([await references.key_of("order", other) is not None for other in same if other != order_id])
