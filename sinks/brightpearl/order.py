"""A sales order: created in one piece, then read back, its stock reserved, and that read back as well.

A repeat is refused by Brightpearl only where an instance app sends externalRef *and* its instance id; so an order is looked up by customerRef
before it is created, whoever we are. One warehouse can reserve for an order, once; a part of it, or nothing, is told by
`allocationStatusCode` alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from sinks.base import Document, Standing
from sinks.brightpearl.fields import address, moment, number, part, text, zone
from sinks.brightpearl.products import forget, product_ids
from towpath.errors import DataError, RetryableError
from towpath.http import Answer, ApiClient
from towpath.systems.brightpearl import content_of, created_id, search

INSTANCE: Final = "brightpearl-installed-integration-instance-id"
UNALLOCATED: Final = "ANA"
ALLOCATED: Final = frozenset({"AAA", "ANR"})
"""All of it, and nothing to allocate."""
SALES_ORDER: Final = "1"
_instances: dict[str, int] = {}
Row = Mapping[str, Any]


async def find_order(api: ApiClient, document: Document) -> Standing | None:
    """Return the oldest sales order with this reference; it is not whole while nothing is reserved for it."""
    reference = text(document, "ref")
    page = await search(api, "/order-service/order-search", {"customerRef": reference, "orderTypeId": SALES_ORDER, "sort": "orderId.ASC"})
    _note_instance(api, page.answer)
    found = [row["orderId"] for row in page.rows if str(row.get("customerRef")).strip().casefold() == reference.strip().casefold()]
    if not found:
        return None
    return _standing(document, await read_order(api, min(found)))


async def create_order(api: ApiClient, document: Document) -> Standing:
    """Create the order and reserve its stock; raises DataError naming what is refused."""
    created = await _create(api, document)
    order = await read_order(api, created)
    if str(order.get("reference")).strip() != text(document, "ref").strip():
        raise RetryableError(f"{api.name}: order {created} was answered to a POST, and has another reference: looked up again")
    return await reserve(api, document, _standing(document, order), order)


async def reserve(api: ApiClient, document: Document, found: Standing, order: Row | None = None) -> Standing:
    """Reserve the stock of an order that has none reserved; what could not be is said in `review`."""
    if found.whole:
        return found
    order = order or await read_order(api, int(found.id))
    warehouse, refused = number(document, "warehouseId"), ""
    products = [
        {"productId": row["productId"], "salesOrderRowId": int(row_id), "quantity": _whole(row["quantity"]["magnitude"])}
        for row_id, row in order["orderRows"].items()
        if row.get("productSku")
    ]
    at = found.at
    try:
        answer = await api.write("POST", f"/warehouse-service/order/{found.id}/reservation/warehouse/{warehouse}", {"products": products})
        at = api.source_time
        content_of(answer)
    except DataError as error:  # nothing was there, or somebody has reserved it meanwhile: the order says which
        refused = str(error)
    after = _standing(document, await read_order(api, int(found.id)))
    reviews = [after.review, "" if after.whole else "nothing is reserved", refused]
    return Standing(found.id, at, review="; ".join(review for review in reviews if review))


async def set_order_status(api: ApiClient, document: Document, _known: int | None) -> tuple[bool, Standing]:
    """Set an order's status."""
    order_id, wanted = number(document, "OrderID"), number(document, "OrderStatusID")
    order = await read_order(api, order_id)
    if (order.get("orderStatus") or {}).get("orderStatusId") == wanted:
        return False, Standing(str(order_id))
    content_of(await api.write("PUT", f"/order-service/order/{order_id}/status", {"orderStatusId": wanted}))
    return True, Standing(str(order_id))


async def _create(api: ApiClient, document: Document) -> int:
    """Return the new order's id."""
    skus = [text(row, "SKU", f"rows[{index}].") for index, row in enumerate(rows_of(document)) if "SKU" in row]
    products = await product_ids(api, skus)
    try:
        return await _post(api, document, products)
    except DataError:
        if not await _knows_contact(api, document):
            raise DataError("the order's contact does not exist any more", field="customer.id", value=str(document["customer"]["id"])) from None
        if not forget(api, skus):
            raise
    return await _post(api, document, await product_ids(api, skus))


async def _post(api: ApiClient, document: Document, products: Mapping[str, int | None]) -> int:
    answer = await api.write("POST", "/order-service/sales-order", _wire(api, document, products))
    _note_instance(api, answer)
    return created_id(answer)


def _wire(api: ApiClient, document: Document, products: Mapping[str, int | None]) -> dict[str, Any]:
    """Return the order as Brightpearl takes it: ids for SKUs, times in the account's zone, and the key that protects an instance app."""
    placed = moment(document, "placedOn").astimezone(zone(document, "timeZone"))
    dates = {"placedOn": placed.isoformat(timespec="milliseconds"), "taxDate": placed.date().isoformat()}
    key = instance_key(api, document["ref"])
    plain = {name: value for name, value in document.items() if name not in {"timeZone", "rows", "customer"}}
    customer = {"id": number(part(document, "customer"), "id", "customer.")}
    delivery = part(document, "delivery") if document.get("delivery") is not None else {}
    to = {"delivery": {**delivery, "address": address(part(delivery, "address"), "delivery.address.")}} if delivery.get("address") else {}
    return {**plain, **dates, **key, **to, "customer": customer, "rows": [row_of(row, products) for row in rows_of(document)]}


def instance_key(api: ApiClient, reference: str) -> dict[str, object]:
    """Return what protects a create of an instance app from a second one, nothing for a private app."""
    return {"externalRef": reference, "installedIntegrationInstanceId": _instances[api.name]} if api.name in _instances else {}


def row_of(row: Document, products: Mapping[str, int | None]) -> dict[str, Any]:
    """Return a row; one of an unknown SKU is free text that names it, and one without SKU, such as shipping, is as it was mapped."""
    plain = {name: value for name, value in row.items() if name != "SKU"}
    if "SKU" not in row:
        return plain
    product = products[row["SKU"]]
    return (
        {**plain, "productId": product} if product is not None else {**plain, "name": f"{_free_text(row['SKU'])}{row.get('name') or 'unknown SKU'}"}
    )


async def read_order(api: ApiClient, order_id: int) -> Row:
    """Return an order with its rows; raises DataError where there is none."""
    answer = await api.get(f"/order-service/order/{order_id}")
    _note_instance(api, answer)
    found = content_of(answer) if answer.status != 404 else []  # noqa: PLR2004 - not found, which is an empty list here
    if not isinstance(found, list) or not all(isinstance(order, dict) for order in found):
        raise answer.unreadable("it is no list of orders")
    if not found:
        raise DataError(f"order {order_id} does not exist at {api.name}", field="OrderID", value=str(order_id))
    if found[0].get("id") != order_id or not isinstance(found[0].get("orderRows", {}), dict):
        raise answer.unreadable("it is another order than asked for, or its rows are no object")
    order: Row = {"orderRows": {}, **found[0]}
    return order


def _standing(document: Document, order: Row) -> Standing:
    code = str(order.get("allocationStatusCode"))
    is_whole = document.get("warehouseId") is None or code != UNALLOCATED
    partial = document.get("warehouseId") is not None and is_whole and code not in ALLOCATED
    reviews = [f"not all is reserved in warehouse {document.get('warehouseId')} (allocation status {code})"] if partial else []
    free = [str(row.get("productName")) for row in order["orderRows"].values() if not row.get("productSku")]
    skus = (str(row["SKU"]) for row in rows_of(document) if "SKU" in row)
    unknown = [sku for sku in dict.fromkeys(skus) if any(name.startswith(_free_text(sku)) for name in free)]
    reviews += [f"unknown at the target, placed as rows of free text: SKU {', '.join(unknown)}"] if unknown else []
    return Standing(str(order["id"]), _created_at(order), whole=is_whole, review="; ".join(reviews))


def _created_at(order: Row) -> datetime | None:
    """Return since when an order that is found may hold its stock: no later, for who waits for figures from after that gets no others."""
    try:
        created = datetime.fromisoformat(str(order.get("createdOn")))
    except ValueError:
        return None
    return created if created.tzinfo is not None else None


def _free_text(sku: str) -> str:
    """Return what the name of a row begins with that stands for a SKU which Brightpearl does not know."""
    return f"{sku}: "


async def _knows_contact(api: ApiClient, document: Document) -> bool:
    answer = await api.get(f"/contact-service/contact/{number(part(document, 'customer'), 'id', 'customer.')}")
    return answer.status != 404  # noqa: PLR2004 - not found


def _note_instance(api: ApiClient, answer: Answer) -> None:
    """Keep the id of our installation, which every answer to an instance app carries."""
    value = answer.headers.get(INSTANCE, "")
    if value.isascii() and value.isdecimal():
        _instances[api.name] = int(value)


def rows_of(document: Document) -> Sequence[Document]:
    """Return the rows of a mapped order; raises DataError where there are none."""
    rows = document.get("rows")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise DataError("the order has no rows", field="rows", value=repr(rows)[:80])
    return rows


def _whole(value: object) -> int:
    try:
        return int(Decimal(str(value)))
    except InvalidOperation as error:
        raise RetryableError(f"an order row's quantity {value!r} cannot be read") from error
