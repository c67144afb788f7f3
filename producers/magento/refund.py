"""What a Magento credit memo tells: pure functions (field names: oracle/magento, sales-data-creditmemo-interface).

Its items are the order's, by `order_item_id`; so its lines have the numbers of the order's lines, and a parent's price is its children's.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from producers.base import Provenance
from producers.magento.fields import NONE, saved_at
from producers.magento.lines import lines_of
from producers.magento.order import HIDDEN_TAX
from producers.wire import Json, amount, moment, part, text
from towpath.errors import DataError
from towpath.events import Event, OrderLine, RefundIssued, micros, seal
from towpath.systems.magento import id_of

REFUNDED: Final = 2
LONGEST_REASON: Final = 500


def decode_refund(bundle: Json, provenance: Provenance) -> list[Event]:
    """Return RefundIssued of a credit memo and its order, nothing while it is open or where it was cancelled; raises DataError."""
    memo, order = part(bundle, "creditmemo"), part(bundle, "order")
    if memo.get("state") != REFUNDED:
        return []
    number, order_id, refunded_at = id_of(memo.get("entity_id"), "entity_id"), id_of(memo.get("order_id"), "order_id"), moment(memo, "created_at")
    if order.get("entity_id") != order_id:
        raise DataError(f"the order read for the credit memo is not {order_id}", field="order_id", value=str(order.get("entity_id")))
    version = {"major": micros(saved_at(memo)), "minor": provenance.inbox_offset}
    event: RefundIssued = {
        "meta": provenance.meta("order", order_id, refunded_at, version),  # type: ignore[arg-type]
        "refund_id": str(number),
        "order_id": str(order_id),
        "order_number": text(order, "increment_id") or str(order_id),
        "currency": text(memo, "order_currency_code") or text(order, "order_currency_code"),
        "lines": _lines(memo, order),
        "shipping_amount": amount(memo, "shipping_amount", NONE),
        "discount_total": abs(amount(memo, "discount_amount", NONE)),
        "tax_total": amount(memo, "tax_amount", NONE) + sum((amount(memo, field, NONE) for field in HIDDEN_TAX), NONE),
        "adjustment": amount(memo, "adjustment_positive", NONE) - amount(memo, "adjustment_negative", NONE),
        "total": amount(memo, "grand_total"),
        "method": text(payment, "method") if isinstance(payment := order.get("payment"), dict) else "",
        "transaction_id": text(memo, "transaction_id"),
        "reason": _reason(memo),
        "refunded_at": refunded_at,
        "custom_fields": {},
    }
    return [seal(Event("RefundIssued", event))]


def _lines(memo: Json, order: Json) -> list[OrderLine]:
    """Return what is credited, as the order's lines would be if it had no more than that."""
    credited = _credited(memo)
    items = order.get("items")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise DataError("the order has no list of items", field="order.items", value=str(items)[:60])
    known = {id_of(item.get("item_id"), f"order.items[{index}].item_id"): item for index, item in enumerate(items)}
    if strange := next((one for one in credited if one not in known), None):
        raise DataError(f"the order has no item {strange}", field="items.order_item_id", value=str(strange))
    shown = [_as_item(one, item, credited, known) for one, item in known.items()]
    return [line for line in lines_of({"items": shown}) if line["quantity"] > 0]


def _credited(memo: Json) -> dict[int, Json]:
    rows = memo.get("items")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError("the credit memo has no list of items", field="items", value=str(rows)[:60])
    return {id_of(row.get("order_item_id"), f"items[{index}].order_item_id"): row for index, row in enumerate(rows)}


def _as_item(one: int, item: Json, credited: Mapping[int, Json], known: Mapping[int, Json]) -> dict[str, Any]:
    """Return an order's item with no more of it than is credited; what is inside another is credited with it where it is not named itself."""
    row = credited.get(one, {})
    quantity = amount(row, "qty", NONE, "items.") if row else _with_parent(item, credited, known)
    costs = {name: amount(row, name, NONE, "items.") for name in ("row_total", "tax_amount")}
    return {**item, **costs, "qty_ordered": quantity, "price": row.get("price", item.get("price"))}


def _with_parent(item: Json, credited: Mapping[int, Json], known: Mapping[int, Json]) -> Decimal:
    above = item.get("parent_item_id")
    parent = id_of(above, "order.items.parent_item_id") if above is not None else 0
    if parent not in credited or parent not in known:
        return NONE
    whole = amount(known[parent], "qty_ordered", where="order.items.")
    if whole <= 0:
        raise DataError("an item that others are inside of has no quantity", field="order.items.qty_ordered", value=str(whole))
    return amount(credited[parent], "qty", NONE, "items.") * amount(item, "qty_ordered", where="order.items.") / whole


def _reason(memo: Json) -> str:
    comments = memo.get("comments")
    said = [text(one, "comment").strip() for one in comments if isinstance(one, dict)] if isinstance(comments, list) else []
    return "; ".join(one for one in said if one)[:LONGEST_REASON]
