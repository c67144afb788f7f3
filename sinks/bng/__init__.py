"""BNG as a target: none of its external ids is unique there, so every create is preceded by a look-up."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from sinks.base import Document, Operation, Standing, Twins, Update
from sinks.bng.books import create_entry, entries, find_entry
from sinks.bng.credit import create_memo, find_memo, memos
from sinks.bng.customer import create_customer, customers, find_customer, find_customer_again, put_customer, refer_to_us
from sinks.bng.fields import moment, reference, standing
from towpath.errors import DataError
from towpath.http import ApiClient
from towpath.systems.bng import CANCELLED, Bng, Record

SHIPPED = frozenset({30, 40})
NEW = 10
BEFORE_IT_LEFT = timedelta(seconds=1)
"""What BNG says of a product as its goods leave may be stamped a moment before the shipment; the order stood by then."""
A_SKU = re.compile(r"Lines\[(\d{1,6})\]\.SKU")


async def _find_order(api: ApiClient, document: Document) -> Standing | None:
    """One whose goods leave before it is found has changed since it took its stock, and there may be no later word of its products."""
    found = await Bng(api).find_sales_order(reference(document, "ExternalOrderID"))
    if found is None:
        return None
    order = standing("SalesOrderID", found)
    if order.at is None or found.get("OrderStatus") == NEW:
        return order
    left = (moment(shipment, "ShippedAt") for shipment in await Bng(api).shipments(order.id))
    return order._replace(at=min([order.at, *(at - BEFORE_IT_LEFT for at in left if at is not None)]))


async def _create_order(api: ApiClient, document: Document) -> Standing:
    with _awaiting_products(document.get("Lines", ())):
        return standing("SalesOrderID", await Bng(api).create_sales_order(document))


@contextlib.contextmanager
def _awaiting_products(lines: Sequence[Record]) -> Iterator[None]:
    """Have a write that is refused for a SKU tried again once BNG has the product."""
    try:
        yield
    except DataError as refusal:
        at_fault = A_SKU.fullmatch(refusal.field)
        if at_fault is not None and int(at_fault[1]) < len(lines) and (sku := lines[int(at_fault[1])].get("SKU")):
            refusal.awaits = f"product {sku}"
        raise


async def _open_order(api: ApiClient, document: Document, what: str) -> Record:
    """Return the sales order; raises DataError where its goods have left, since nothing but a person can mend that."""
    return _require_open(await Bng(api).sales_order(reference(document, "SalesOrderID")), what)


def _require_open(order: Record, what: str) -> Record:
    if order.get("OrderStatus") in SHIPPED:
        number, status = order["SalesOrderID"], str(order["OrderStatus"])
        raise DataError(f"{what} comes too late: sales order {number} has left the warehouse; settle it by hand", field="OrderStatus", value=status)
    return order


async def _find_cancelled(api: ApiClient, document: Document) -> Standing | None:
    order = await _open_order(api, document, "the cancellation")
    return standing("SalesOrderID", order) if order.get("OrderStatus") == CANCELLED else None


async def _cancel(api: ApiClient, document: Document) -> Standing:
    return standing("SalesOrderID", await Bng(api).change_sales_order(document["SalesOrderID"], {"OrderStatus": CANCELLED}))


async def _change(api: ApiClient, document: Document, _known: int | None) -> tuple[bool, Standing]:
    order, change = await Bng(api).sales_order(reference(document, "SalesOrderID")), document.get("Change")
    if not isinstance(change, Mapping):
        raise DataError("the mapped document has no object Change", field="Change", value=repr(change))
    if _has(order, change):  # what else changed of it is nothing that BNG keeps, so it is never too late for that
        return False, standing("SalesOrderID", order)
    if _require_open(order, "the change").get("OrderStatus") == CANCELLED:
        return False, standing("SalesOrderID", order)
    with _awaiting_products(change.get("Lines") or ()):
        return True, standing("SalesOrderID", await Bng(api).change_sales_order(document["SalesOrderID"], change))


def _has(there: object, wanted: object) -> bool:
    """Tell whether a record, or a part of one, is all that is wanted of it, letter by letter."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(name in there and _has(there[name], part) for name, part in wanted.items())
    if isinstance(wanted, list):
        return isinstance(there, list) and len(there) == len(wanted) and all(map(_has, there, wanted))
    return there == wanted


async def _find_paid(api: ApiClient, document: Document) -> Standing | None:
    order = await Bng(api).sales_order(reference(document, "SalesOrderID"))
    return standing("SalesOrderID", order) if order.get("PaymentStatus") == reference(document, "PaymentStatus") else None


async def _set_paid(api: ApiClient, document: Document) -> Standing:
    change = {"PaymentStatus": document["PaymentStatus"]}
    return standing("SalesOrderID", await Bng(api).change_sales_order(document["SalesOrderID"], change))


async def _orders(api: ApiClient, document: Document) -> list[Standing]:
    found = await Bng(api).sales_orders(reference(document, "ExternalOrderID"))
    return [standing("SalesOrderID", order) for order in found if order.get("OrderStatus") != CANCELLED]


async def _cancel_order(api: ApiClient, order_id: str) -> None:
    """Cancel what nobody asked for twice; raises DataError where its goods have left."""
    _require_open(await Bng(api).sales_order(order_id), "the cancellation of what stands twice")
    await Bng(api).change_sales_order(order_id, {"OrderStatus": CANCELLED})


class BngTarget:
    """What BNG can be asked to do."""

    operations: Mapping[str, Operation | Update] = {
        "create_customer": Operation(find_customer, create_customer, find_again=find_customer_again, resume=refer_to_us, twins=Twins(customers)),
        "put_customer": Update(put_customer, stale={"CustomerID": "customer"}),
        "create_order": Operation(_find_order, _create_order, stale={"CustomerID": "customer"}, twins=Twins(_orders, _cancel_order)),
        "change_order": Update(_change),
        "cancel_order": Operation(_find_cancelled, _cancel),
        "set_payment_status": Operation(_find_paid, _set_paid),
        "create_gl_entry": Operation(find_entry, create_entry, twins=Twins(entries)),
        "create_credit_memo": Operation(find_memo, create_memo, twins=Twins(memos)),
    }
    creates: Mapping[str, str] = {
        "customer": "create_customer",
        "order": "create_order",
        "gl_entry": "create_gl_entry",
        "credit_memo": "create_credit_memo",
    }


TARGET = BngTarget()
