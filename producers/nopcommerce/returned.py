"""What a return request of NopCommerce tells: a pure function. It points at an order item, so its order is read as well."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from producers.base import Provenance
from producers.nopcommerce.decode import amount, identity, line_of, rate_of, rows_of
from producers.wire import SIX_PLACES, Json, moment, part
from towpath.errors import DataError
from towpath.events import Event, OrderLine, ReturnRequested, micros, seal

FAILED, REFUNDED = "refund failed", "40"
LONGEST: Final = 500


def decode_return(bundle: Json, provenance: Provenance) -> Event:
    """Return ReturnRequested of a bundle; what our own last note says of its refund stands in `refund`."""
    asked, order = part(bundle, "return_request"), part(bundle, "order")
    changed_at, order_id, number = moment(asked, "updated_on_utc"), identity(order, "id"), identity(asked, "id")
    meta = provenance.meta("order", order_id, changed_at, {"major": micros(changed_at), "minor": provenance.inbox_offset})
    status = str(asked.get("return_request_status_id"))
    notes = str(asked.get("staff_notes") or "").strip().splitlines()
    event: ReturnRequested = {
        "meta": meta,
        "return_id": number,
        "return_number": str(asked.get("custom_number") or ""),
        "order_id": order_id,
        "order_number": str(order.get("custom_order_number") or order_id),
        "status": status,
        "refund": "done" if status == REFUNDED else "failed" if notes and FAILED in notes[-1] else "",
        "reason": str(asked.get("reason_for_return") or "")[:LONGEST],
        "action": str(asked.get("requested_action") or "")[:LONGEST],
        "currency": str(order.get("customer_currency_code")),
        "lines": [_line(bundle, asked, order)],
        "requested_at": moment(asked, "created_on_utc"),
        "custom_fields": {},
    }
    return seal(Event("ReturnRequested", event))


def _line(bundle: Json, asked: Json, order: Json) -> OrderLine:
    """Return the line of the order that it points at, with no more of it than comes back."""
    wanted, items = identity(asked, "order_item_id"), rows_of(bundle)
    places = [index for index, item in enumerate(items) if str(item.get("id")) == wanted]
    if not places:
        raise DataError(f"the order has no item {wanted}", field="order_item_id", value=wanted)
    line, quantity = line_of(bundle, items[places[0]], places[0] + 1, rate_of(order)), amount(asked, "quantity")
    if not 0 < quantity <= line["quantity"]:
        message = f"{quantity} are to come back of an item of which {line['quantity']} were ordered"
        raise DataError(message, field="quantity", value=str(asked.get("quantity")))
    share: Decimal = quantity / line["quantity"]
    costs = {name: (line[name] * share).quantize(SIX_PLACES) for name in ("line_total", "tax_amount")}
    return {**line, "quantity": quantity, "line_total": costs["line_total"], "tax_amount": costs["tax_amount"]}
