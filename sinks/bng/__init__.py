"""BNG as a target: none of its external ids is unique there, so every create is preceded by a look-up."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sinks.base import Document, Operation, Standing, Twins, Update
from towpath.errors import DataError
from towpath.http import ApiClient
from towpath.systems.bng import Bng, Record

SHIPPED = frozenset({30, 40})
NEW, CANCELLED = 10, 90
BEFORE_IT_LEFT = timedelta(seconds=1)
"""What BNG says of a product as its goods leave may be stamped a moment before the shipment; the order stood by then."""
A_SKU = re.compile(r"Lines\[(\d{1,6})\]\.SKU")


def _reference(document: Document, field: str) -> str:
    """Return what a record is looked up by; without one, every record of BNG would be found."""
    value = document.get(field)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"the mapped document has no {field}", field=field, value=repr(value))
    return value


def _standing(field: str, record: Record) -> Standing:
    """Return the id of a record, and its last change: for a new order, when it took its stock."""
    return Standing(record[field], _moment(record, "UpdatedAt"))


def _moment(record: Record, field: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(record.get(field)))
    except ValueError:
        return None
    return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)


async def _find_customer(api: ApiClient, document: Document) -> Standing | None:
    found = await Bng(api).find_customer(_reference(document, "ExternalID"))
    return None if found is None else _standing("CustomerID", found)


async def _find_customer_again(api: ApiClient, document: Document) -> Standing | None:
    """One that was deleted or merged may live on under another id, and then under an ExternalID that is not ours."""
    found = await Bng(api).find_customer(_reference(document, "ExternalID"))
    found = found or await Bng(api).find_customer_by_email(_reference(document, "Email"))
    return None if found is None else _standing("CustomerID", found)


async def _create_customer(api: ApiClient, document: Document) -> Standing:
    return _standing("CustomerID", await Bng(api).create_customer(document))


async def _find_order(api: ApiClient, document: Document) -> Standing | None:
    """One whose goods leave before it is found has changed since it took its stock, and there may be no later word of its products."""
    found = await Bng(api).find_sales_order(_reference(document, "ExternalOrderID"))
    if found is None:
        return None
    standing = _standing("SalesOrderID", found)
    if standing.at is None or found.get("OrderStatus") == NEW:
        return standing
    left = (_moment(shipment, "ShippedAt") for shipment in await Bng(api).shipments(standing.id))
    return standing._replace(at=min([standing.at, *(at - BEFORE_IT_LEFT for at in left if at is not None)]))


async def _create_order(api: ApiClient, document: Document) -> Standing:
    with _awaiting_products(document.get("Lines", ())):
        return _standing("SalesOrderID", await Bng(api).create_sales_order(document))


@contextlib.contextmanager
def _awaiting_products(lines: Sequence[Record]) -> Iterator[None]:
    """Have a write that is refused for a SKU tried again once BNG has the product."""
    try:
        yield
    except DataError as refusal:
        at_fault = A_SKU.fullmatch(refusal.field)
        if at_fault is not None and int(at_fault[1]) < len(lines):
            refusal.awaits = f"product {lines[int(at_fault[1])]['SKU']}"
        raise


async def _open_order(api: ApiClient, document: Document, what: str) -> Record:
    """Return the sales order; raises DataError where its goods have left, since nothing but a person can mend that."""
    order = await Bng(api).sales_order(_reference(document, "SalesOrderID"))
    return _require_open(order, what)


def _require_open(order: Record, what: str) -> Record:
    if order.get("OrderStatus") in SHIPPED:
        number, status = order["SalesOrderID"], str(order["OrderStatus"])
        raise DataError(f"{what} comes too late: sales order {number} has left the warehouse; settle it by hand", field="OrderStatus", value=status)
    return order


async def _find_cancelled(api: ApiClient, document: Document) -> Standing | None:
    order = await _open_order(api, document, "the cancellation")
    return _standing("SalesOrderID", order) if order.get("OrderStatus") == CANCELLED else None


async def _cancel(api: ApiClient, document: Document) -> Standing:
    return _standing("SalesOrderID", await Bng(api).change_sales_order(document["SalesOrderID"], {"OrderStatus": CANCELLED}))


async def _change(api: ApiClient, document: Document, _known: int | None) -> tuple[bool, Standing]:
    order = await Bng(api).sales_order(_reference(document, "SalesOrderID"))
    if _has(order, document["Change"]):  # what else changed of it is nothing that BNG keeps, so it is never too late for that
        return False, _standing("SalesOrderID", order)
    if _require_open(order, "the change").get("OrderStatus") == CANCELLED:
        return False, _standing("SalesOrderID", order)
    with _awaiting_products(document["Change"].get("Lines", ())):
        return True, _standing("SalesOrderID", await Bng(api).change_sales_order(document["SalesOrderID"], document["Change"]))


def _has(there: object, wanted: object) -> bool:
    """Tell whether a record, or a part of one, is all that is wanted of it, letter by letter."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(name in there and _has(there[name], part) for name, part in wanted.items())
    if isinstance(wanted, list):
        return isinstance(there, list) and len(there) == len(wanted) and all(map(_has, there, wanted))
    return there == wanted


async def _find_paid(api: ApiClient, document: Document) -> Standing | None:
    order = await Bng(api).sales_order(_reference(document, "SalesOrderID"))
    return _standing("SalesOrderID", order) if order.get("PaymentStatus") == document["PaymentStatus"] else None


async def _set_paid(api: ApiClient, document: Document) -> Standing:
    change = {"PaymentStatus": document["PaymentStatus"]}
    return _standing("SalesOrderID", await Bng(api).change_sales_order(document["SalesOrderID"], change))


async def _customers(api: ApiClient, document: Document) -> list[Standing]:
    return [_standing("CustomerID", found) for found in await Bng(api).customers(_reference(document, "ExternalID"))]


async def _orders(api: ApiClient, document: Document) -> list[Standing]:
    found = await Bng(api).sales_orders(_reference(document, "ExternalOrderID"))
    return [_standing("SalesOrderID", order) for order in found if order.get("OrderStatus") != CANCELLED]


async def _cancel_order(api: ApiClient, order_id: str) -> None:
    await Bng(api).change_sales_order(order_id, {"OrderStatus": CANCELLED})


class BngTarget:
    """What BNG can be asked to do."""

    operations: Mapping[str, Operation | Update] = {
        "create_customer": Operation(_find_customer, _create_customer, find_again=_find_customer_again, twins=Twins(_customers)),
        "create_order": Operation(_find_order, _create_order, stale={"CustomerID": "customer"}, twins=Twins(_orders, _cancel_order)),
        "change_order": Update(_change),
        "cancel_order": Operation(_find_cancelled, _cancel),
        "set_payment_status": Operation(_find_paid, _set_paid),
    }
    creates: Mapping[str, str] = {"customer": "create_customer", "order": "create_order"}


TARGET = BngTarget()
