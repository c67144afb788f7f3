"""A sales order that was edited at the shop: read whole, changed, and written back whole under the version that was read.

What is sent has all that was read, for what a replacement leaves out is removed. Brightpearl makes no row smaller than what is reserved of it:
that, and whatever comes after a goods-out note, is for a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from sinks.base import Document, Standing
from sinks.brightpearl.fields import address, number, part, text
from sinks.brightpearl.order import read_order, row_of, rows_of
from sinks.brightpearl.products import product_ids
from towpath.errors import DataError, RetryableError
from towpath.http import ApiClient
from towpath.systems._brightpearl_countries import ALPHA_3
from towpath.systems.brightpearl import content_of

NOT_FOUND: Final = 404
CHANGED_MEANWHILE: Final = 412
PARTLY: Final = "APA"
AMOUNTS: Final = ("quantity", "net", "tax")
LINES: Final = ("addressFullName", "companyName", "addressLine1", "addressLine2", "addressLine3", "addressLine4", "postalCode", "countryIsoCode")
Row = Mapping[str, Any]


async def change_order(api: ApiClient, document: Document, _known: int | None) -> tuple[bool, Standing]:
    """Have an order's rows and the place that it goes to as the document has them; raises DataError where it comes too late."""
    order_id, wanted_rows = number(document, "OrderID"), [_checked(row, index) for index, row in enumerate(rows_of(document))]
    to = address(part(part(document, "delivery"), "address"), "delivery.address.") if document.get("delivery") is not None else None
    stands = await _read(api, order_id)
    products = await product_ids(api, [row["SKU"] for row in wanted_rows if "SKU" in row])
    rows = _rows(stands["rows"], [row_of(row, products) for row in wanted_rows])
    delivery = _delivery(stands.get("delivery") or {}, to)
    if rows == stands["rows"] and delivery == (stands.get("delivery") or {}):
        return False, Standing(str(order_id), review=_review(stands))  # it may be ours, whose answer was lost
    await _require_unsent(api, order_id)
    await _require_plain(api, order_id)
    try:
        version = {"If-Match": str(stands["version"])}
        content_of(await api.write("PUT", f"/order-service/sales-order/{order_id}", {**stands, "rows": rows, "delivery": delivery}, version))
    except DataError as refusal:
        if f": {CHANGED_MEANWHILE} " not in str(refusal):
            raise
        raise RetryableError(f"order {order_id} changed at {api.name} while it was changed: read again") from refusal
    return True, Standing(str(order_id), review=_review(await read_order(api, order_id)))


def _review(order: Row) -> str:
    code = str(order.get("allocationStatusCode"))
    return f"it was changed, and not all of it is reserved (allocation status {code})" if code == PARTLY else ""


async def _read(api: ApiClient, order_id: int) -> Row:
    answer = await api.get(f"/order-service/sales-order/{order_id}")
    found = [] if answer.status == NOT_FOUND else content_of(answer)
    if found == []:
        raise DataError(f"order {order_id} does not exist at {api.name}", field="OrderID", value=str(order_id))
    order = found[0] if isinstance(found, list) else None
    rows = order.get("rows") if isinstance(order, dict) and order.get("id") == order_id else None
    if not isinstance(order, dict) or not isinstance(rows, list) or not all(isinstance(row, dict) and "id" in row for row in rows):
        raise answer.unreadable("it is not the order with its rows")
    if not isinstance(order.get("version"), int) or not isinstance(order.get("delivery", {}), dict):
        raise answer.unreadable("the order has no version, or its delivery is no object")
    return order


async def _require_unsent(api: ApiClient, order_id: int) -> None:
    """Raise DataError where a goods-out note of the order was made: somebody packs it as it was."""
    answer = await api.get(f"/warehouse-service/order/{order_id}/goods-note/goods-out")
    notes = {} if answer.status == NOT_FOUND else content_of(answer)
    if notes:
        message = f"order {order_id} is on its way at {api.name} already, so the change comes too late; settle it by hand"
        raise DataError(message, field="OrderStatus", value=", ".join(notes) if isinstance(notes, dict) else "")


async def _require_plain(api: ApiClient, order_id: int) -> None:
    """Raise DataError where the order has a bundle: its parts are rows of their own, which nobody but Brightpearl makes."""
    for number_, row in (await read_order(api, order_id))["orderRows"].items():
        made_of = row.get("composition") if isinstance(row, dict) else None
        if isinstance(made_of, dict) and (made_of.get("bundleParent") is True or made_of.get("bundleChild") is True):
            raise DataError(f"order {order_id} has a bundle; change it at {api.name}", field="rows", value=number_)


def _rows(stand: Sequence[Row], wanted: Sequence[Row]) -> list[Row]:
    """Return the rows as they are wanted, each as the one that stands for it, with its id, where there is one."""
    left, found = list(stand), list[Row]()
    for row in wanted:
        same = next((one for one in left if _what(one) == _what(row)), None)
        if same is None:
            found.append(row)
            continue
        left.remove(same)
        differs = any(_amount(same, field) != _amount(row, field) for field in AMOUNTS)
        found.append({**same, **{name: row[name] for name in (*AMOUNTS, "taxCode")}} if differs else same)
    order = {one["id"]: place for place, one in enumerate(stand)}
    return sorted(found, key=lambda row: order.get(row.get("id"), len(order)))


def _what(row: Row) -> tuple[str, object]:
    """Return what a row is of: a product, or what its text says; what a row is called otherwise may change."""
    if row.get("productId") is not None:
        return "product", str(row["productId"])
    return "text", str(row.get("name")).partition(":")[0].strip().casefold()


def _delivery(stands: Row, to: Row | None) -> Row:
    """Return where it goes, as it stands where that is the same place."""
    if to is None:
        return stands
    own = stands.get("address") or {}
    code = str(own.get("countryIsoCode") or "").upper()
    own = {**own, "countryIsoCode": ALPHA_3.get(code, code)}
    if all(str(own.get(line) or "").strip() == str(to.get(line) or "").strip() for line in LINES):
        return stands
    return {**stands, "address": {name: value for name, value in to.items() if value is not None}}


def _checked(row: Row, index: int) -> Row:
    """Return a row whose amounts can be compared; raises DataError naming the field."""
    where = f"rows[{index}]."
    text(row, "SKU" if "SKU" in row else "name", where)
    text(row, "taxCode", where)
    for field in AMOUNTS:
        if _amount(row, field) is None:
            raise DataError(f"{where}{field} is no amount", field=f"{where}{field}", value=repr(row.get(field))[:80])
    return row


def _amount(row: Row, field: str) -> Decimal | None:
    try:
        found = Decimal(str(row.get(field)))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None
