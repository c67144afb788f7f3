"""One shipment at the shop is many calls: a row, its items, and then a GET that ships it (vendor-apis.md, section 3.3).

The row carries our reference in `admin_comment`, a line of its own, so that whoever comes after a crash or a lost answer finds how far it
got and goes on from there. Only the last call moves anything and tells the customer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sinks.base import Document, Standing
from sinks.nopcommerce.shop import CANCELLED, LARGEST, Row, Shop, order_id, whole
from towpath.errors import DataError
from towpath.http import ApiClient, gather_all


class Line(NamedTuple):
    """What a shipment sends of one line; `where` names the line in the document, and its number is 0 where only the SKU is known."""

    where: str
    number: int
    sku: str
    quantity: int


class Item(NamedTuple):
    """One item of the order: how many of it are in no other shipment, and where it leaves from (None: from one of several warehouses)."""

    id: int
    sku: str
    left: int
    warehouse: int | None = 0


async def find_shipment(api: ApiClient, document: Document) -> Standing | None:
    """Return the shipment with our reference, once it is shipped with as many pieces as ours has."""
    shop, pieces = Shop(api), sum(line.quantity for line in _lines(document))
    ours = _ours(await shop.shipments(order_id(document)), _reference(document))
    if ours is None or not _is_shipped(ours) or sum((await shop.shipped(ours["id"])).values()) != pieces:
        return None
    return Standing(str(ours["id"]))


async def create_shipment(api: ApiClient, document: Document) -> Standing:
    """Create what is missing of the shipment and ship it; raises DataError, before anything is written, for what the order does not have."""
    shop, lines = Shop(api), _lines(document)
    order = await shop.order(document)
    if order["order_status_id"] == CANCELLED:
        message = f"order {order['id']} is cancelled at {shop.name}, yet its goods have left; settle it by hand"
        raise DataError(message, field="OrderStatus", value=str(CANCELLED))
    items, shipments = await gather_all(shop.items(order["id"]), shop.shipments(order["id"]))
    packed = dict(zip([row["id"] for row in shipments], await gather_all(*(shop.shipped(row["id"]) for row in shipments)), strict=True))
    shipment = _ours(shipments, _reference(document))
    done = packed.pop(shipment["id"]) if shipment else {}
    open_items = await _open(shop, items, packed.values())
    wanted = allot(lines, open_items)
    if shipment is not None:
        _agree(shipment, done, wanted)
    else:
        shipment = await shop.add_shipment(_new(document, items, wanted))
    warehouses = {item.id: item.warehouse for item in open_items}
    for item, quantity in wanted.items():
        if item not in done:
            row = {"shipment_id": shipment["id"], "order_item_id": item, "quantity": quantity, "warehouse_id": warehouses[item]}
            await shop.add_to_shipment(row)
    if not _is_shipped(shipment):
        await shop.ship(shipment["id"])
    return Standing(str(shipment["id"]))


def allot(lines: Sequence[Line], items: Sequence[Item]) -> dict[int, int]:
    """Return how many of which order item the lines send; raises DataError naming the line that asks for what the order does not have.

    A SKU may be in several items: a line takes from the one at its own number, where that has its SKU, else from the first that has some left.
    """
    left, taken = {item.id: item.left for item in items}, dict[int, int]()
    at = {line.where: [item for item in items[max(0, line.number - 1) : line.number] if _same(item, line)] for line in lines}
    for line in sorted(lines, key=lambda line: not at[line.where]):
        candidates = at[line.where] or [item for item in items if _same(item, line)]
        if not candidates:
            raise DataError(f"the order has no item with SKU {line.sku}", field=f"{line.where}.SKU", value=line.sku)
        missing = line.quantity
        for item in candidates:
            part = min(missing, left[item.id])
            if part and item.warehouse is None:
                message = f"{line.sku} is in several warehouses, and which one it left is not mapped; let it use one, or ship it at the shop"
                raise DataError(message, field=f"{line.where}.SKU", value=line.sku)
            left[item.id], missing = left[item.id] - part, missing - part
            if part:
                taken[item.id] = taken.get(item.id, 0) + part
        if missing:
            message = f"{line.quantity} of {line.sku} were shipped, of which the order has {line.quantity - missing} in no shipment yet"
            raise DataError(message, field=f"{line.where}.Quantity", value=str(line.quantity))
    return taken


def _lines(document: Document) -> list[Line]:
    given = document.get("Lines")
    if not isinstance(given, list) or not given or not all(isinstance(line, dict) for line in given):
        raise DataError("the shipment has no lines", field="Lines", value=repr(given))
    return [_line(line, f"Lines[{index}]") for index, line in enumerate(given)]


def _line(line: Document, where: str) -> Line:
    sku = line.get("SKU")
    if not isinstance(sku, str) or not sku.strip():
        raise DataError(f"{where} has no SKU", field=f"{where}.SKU", value=repr(sku))
    number = 0 if line.get("LineNo") is None else whole(line, "LineNo", 1, f"{where}.", LARGEST)
    return Line(where, number, sku, whole(line, "Quantity", 1, f"{where}."))


def _same(item: Item, line: Line) -> bool:
    return item.sku.strip().casefold() == line.sku.strip().casefold()


async def _open(shop: Shop, items: Sequence[Row], others: Collection[Mapping[int, int]]) -> list[Item]:
    """Return the order's items with what is in none of the other shipments; a product that the shop knows no more has no SKU."""
    numbers = sorted({item["product_id"] for item in items})
    products = dict(zip(numbers, await gather_all(*(shop.product(number) for number in numbers)), strict=True))
    return [_item(item, products[item["product_id"]] or {}, sum(packed.get(item["id"], 0) for packed in others)) for item in items]


def _item(item: Row, product: Row, packed: int) -> Item:
    warehouse = None if product.get("use_multiple_warehouses") is True else int(product.get("warehouse_id") or 0)
    return Item(item["id"], str(product.get("sku") or ""), max(0, item["quantity"] - packed), warehouse)


def _new(document: Document, items: Sequence[Row], wanted: Mapping[int, int]) -> Row:
    """Return the row of a new shipment; what is not sent is empty at the shop, also the time."""
    weight = sum((item.get("item_weight") or 0) * wanted.get(item["id"], 0) for item in items)
    comment = "\n".join(str(line) for line in (_reference(document), document.get("Carrier")) if line)
    row = {"order_id": order_id(document), "tracking_number": document.get("TrackingNumber"), "admin_comment": comment}
    return {**row, "total_weight": round(weight, 4), "created_on_utc": document.get("ShippedAt")}


def _agree(shipment: Row, done: Mapping[int, int], wanted: Mapping[int, int]) -> None:
    """Raise DataError where the shop's shipment has what ours has not, or left without all of it: somebody else's hand was in it."""
    differs = any(wanted.get(item) != quantity for item, quantity in done.items())
    if differs or (_is_shipped(shipment) and done != wanted):
        message = f"shipment {shipment['id']} has {done} by order item at the shop, not {wanted}; settle it by hand"
        raise DataError(message, field="Lines", value=str(done))


def _reference(document: Document) -> str:
    value = document.get("Reference")
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise DataError("the shipment has no Reference to be found by", field="Reference", value=repr(value))
    return value.strip()


def _ours(shipments: Sequence[Row], reference: str) -> Row | None:
    """Return the shipment with this reference, None where there is none; of two, the one that is shipped, else the older."""
    found = [row for row in shipments if reference in (line.strip() for line in str(row.get("admin_comment")).splitlines())]
    return min(found, key=lambda row: not _is_shipped(row), default=None)


def _is_shipped(shipment: Row) -> bool:
    return shipment.get("shipped_date_utc") is not None
