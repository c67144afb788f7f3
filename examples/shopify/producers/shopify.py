"""Shopify's orders: a webhook carries a whole one (orders/create, orders/updated, orders/cancelled), and so does the list."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, cast

from towpath.systems.shopify import BASE, BLANKED, id_of

from producers.base import Fetch, Item, Poll, Provenance, References
from producers.paging import Listed, following, require_another, when_let_through
from producers.wire import Json, amount, moment, parse, part, rows, text, text_of
from towpath.errors import RetryableError
from towpath.events import Address, Event, OrderCancelled, OrderLine, OrderPlaced, business_key, micros, seal
from towpath.http import ApiClient

PAGE_SIZE: Final = 250


async def changed(api: ApiClient, since: datetime) -> AsyncIterator[Item]:
    """Yield each order that changed at or after `since`, in the order of `updated_at`; a page names the next one."""
    query = {"status": "any", "order": "updated_at asc", "updated_at_min": since.astimezone(UTC).isoformat(), "limit": str(PAGE_SIZE)}
    before: list[object] = []
    while query:
        answer = await when_let_through(api, f"{BASE}/orders.json", query)
        content = answer.json()
        if not isinstance(content, dict) or not isinstance(content.get("orders"), list):
            raise RetryableError(f"{api.name}: GET {BASE}/orders.json: {answer.status}, without a list of orders")
        require_another(f"{api.name}: GET {BASE}/orders.json", content["orders"], before)
        before = content["orders"]
        for order in before:
            listed = Listed(order, json.dumps(order, default=str))
            yield listed.item(listed.field("id"), listed.field("updated_at"), since)
        query = following(answer)


class ShopifySource:
    """Orders, and their cancellation."""

    blanked: Sequence[str] = BLANKED
    polls: Sequence[Poll] = (Poll("order", changed, ordered=True),)

    def wanted(self, body: bytes) -> Fetch:
        """Return the order that a webhook carries whole."""
        return Fetch("order", id_of(parse(body)), text_of(body))

    async def fetch(self, _api: ApiClient, wanted: Fetch, _references: References) -> str:
        """Return the order as it was told: nothing of it stands elsewhere."""
        return text_of(wanted.payload.encode("utf-8", "replace"))

    def decode(self, _entity: str, payload: bytes, provenance: Provenance) -> list[Event]:
        """Return OrderPlaced, and where it is so OrderCancelled."""
        order = parse(payload)
        placed = _placed(order, provenance)
        if order.get("cancelled_at") is None:
            return [placed]
        cancelled: OrderCancelled = {
            "meta": {**placed.meta, "occurred_at": moment(order, "cancelled_at")},
            "order_id": placed.value["order_id"],
            "order_number": placed.value["order_number"],
            "reason": text(order, "cancel_reason"),
            "custom_fields": {},
        }
        return [placed, seal(Event("OrderCancelled", cancelled))]


def _placed(order: Json, provenance: Provenance) -> Event:
    number, placed_at, email, shipping = id_of(order), moment(order, "created_at"), text(order, "email"), rows(order, "shipping_lines")
    who = part(order, "customer") if order.get("customer") else {}
    customer = text(who, "id") or f"guest-{hashlib.sha256(email.casefold().encode('utf-8', 'replace')).hexdigest()[:16]}"
    event: OrderPlaced = {
        "meta": provenance.meta("order", number, placed_at, {"major": micros(moment(order, "updated_at")), "minor": provenance.inbox_offset}),
        "order_number": text(order, "name").removeprefix("#"),
        "order_id": str(number),
        "status": "cancelled" if order.get("cancelled_at") else "open",
        "payment_status": text(order, "financial_status"),
        "placed_at": placed_at,
        "currency": text(order, "currency"),
        "customer_key": business_key(provenance.connection, "customer", customer),
        "customer_id": customer,
        "customer_email": email,
        "customer_first_name": text(who, "first_name"),
        "customer_last_name": text(who, "last_name"),
        "customer_company": "",
        "billing_address": _address(part(order, "billing_address")),
        "shipping_address": _address(part(order, "shipping_address")) if order.get("shipping_address") else None,
        "lines": [_line(order, number, line) for number, line in enumerate(rows(order, "line_items"), start=1)],
        "shipping_amount": sum((amount(line, "price") - _included(order, line) for line in shipping), Decimal(0)),
        "shipping_method": ", ".join(text(line, "title") for line in shipping),
        "discount_total": amount(order, "total_discounts"),
        "tax_total": amount(order, "total_tax"),
        "total": amount(order, "total_price"),
        "payment_method": text(order, "gateway"),
        "custom_fields": {},
    }
    return seal(Event("OrderPlaced", event))


def _line(order: Json, number: int, line: Json) -> OrderLine:
    """Return a line without its tax, which a shop may include in its prices."""
    quantity, price = amount(line, "quantity"), amount(line, "price")
    net = price * quantity - _included(order, line)
    return {
        "line_no": number,
        "line_id": str(id_of(line)),
        "sku": text(line, "sku"),
        "name": text(line, "name"),
        "quantity": quantity,
        "unit_price": price if net == price * quantity or not quantity else (net / quantity).quantize(Decimal("0.0001")),
        "line_total": net,
        "tax_amount": sum((amount(tax, "price") for tax in rows(line, "tax_lines")), Decimal(0)),
    }


def _included(order: Json, line: Json) -> Decimal:
    return sum((amount(tax, "price") for tax in rows(line, "tax_lines") if order.get("taxes_included") is True), Decimal(0))


def _address(address: Json) -> Address:
    same = {name: text(address, name) for name in ("first_name", "last_name", "company", "phone", "city")}
    named = {name: text(address, theirs) for name, theirs in (("region", "province_code"), ("postcode", "zip"), ("country", "country_code"))}
    return cast("Address", {"email": "", "lines": [text(address, one) for one in ("address1", "address2") if address.get(one)], **same, **named})


SOURCE = ShopifySource()
