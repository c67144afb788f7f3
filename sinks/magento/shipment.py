"""One shipment at the shop is one call, which is guarded by nothing but how much is left: a part that is sent twice is shipped twice.

So the shipment carries our reference as a comment that only the staff sees, and is looked for among the order's shipments before it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sinks.base import Document, Standing
from sinks.magento.shop import CANCELED, Row, Shop, order_id, text, whole
from towpath.errors import DataError
from towpath.http import ApiClient
from towpath.systems.magento import id_of

CUSTOM: Final = "custom"
CARRIERS: Final = {"ups": "ups", "usps": "usps", "fedex": "fedex", "dhl": "dhl"}
"""Carrier codes that every shop knows; any other carrier is `custom` with its name as the title."""
QUANTITIES: Final = ("qty_shipped", "qty_refunded", "qty_canceled")


class Item(NamedTuple):
    """One item of goods: how many of it are still to be shipped, and what is named in a shipment for it (itself, or what wraps it)."""

    id: int
    sku: str
    left: Decimal
    ships_as: int
    each: Decimal
    """How many of it are in one of what it ships as."""


async def find_shipment(api: ApiClient, document: Document) -> Standing | None:
    """Return the shipment with our reference."""
    found = await find_shipments(api, document)
    return found[0] if found else None


async def find_shipments(api: ApiClient, document: Document) -> list[Standing]:
    """Return all shipments with our reference, the oldest first: the shop ships a part that is sent twice two times."""
    reference, found = text(document, "Reference"), list[int]()
    for row in await Shop(api).shipments(order_id(document)):
        said = [comment.get("comment") for comment in row.get("comments") or () if isinstance(comment, dict)]
        if reference in said:
            found.append(int(row["entity_id"]))
    return [Standing(str(shipment)) for shipment in sorted(found)]


async def create_shipment(api: ApiClient, document: Document) -> Standing:
    """Ship what the lines say; raises DataError, before anything is written, for what the order does not have left."""
    shop, reference, source = Shop(api), text(document, "Reference"), text(document, "SourceCode")
    lines = _lines(document)
    order = await shop.order(document)
    if order.get("state") == CANCELED:
        message = f"order {order['entity_id']} is cancelled at {shop.name}, yet its goods have left; settle it by hand"
        raise DataError(message, field="OrderStatus", value=CANCELED)
    goods = await _goods(shop, order)
    wanted = _as_shipped(goods, allot(lines, goods))
    shipment: dict[str, Any] = {
        "items": [{"order_item_id": item, "qty": quantity} for item, quantity in wanted.items()],
        "notify": True,
        "appendComment": False,
        "comment": {"comment": reference, "is_visible_on_front": 0},
        "tracks": _tracks(document),
        "arguments": {"extension_attributes": {"source_code": source}},
    }
    return Standing(await shop.ship(order["entity_id"], shipment))


def allot(lines: Sequence[tuple[str, str, int]], goods: Sequence[Item]) -> dict[int, int]:
    """Return how many of which item the lines send (where it stands, SKU, quantity); raises DataError naming the line that asks for too much."""
    left, taken = {item.id: int(item.left) for item in goods}, dict[int, int]()
    for where, sku, quantity in lines:
        missing, same = quantity, [item for item in goods if item.sku.strip().casefold() == sku.casefold()]
        if not same:
            raise DataError(f"the order has no item with SKU {sku}", field=f"{where}.SKU", value=sku)
        for item in same:
            part = min(missing, left[item.id])
            left[item.id], missing = left[item.id] - part, missing - part
            if part:
                taken[item.id] = taken.get(item.id, 0) + part
        if missing:
            message = f"{quantity} of {sku} were shipped, of which the order has {quantity - missing} in no shipment yet"
            raise DataError(message, field=f"{where}.Quantity", value=str(quantity))
    return taken


def _as_shipped(goods: Sequence[Item], taken: Mapping[int, int]) -> dict[int, int]:
    """Return how many of which item a shipment names: of what is wrapped, its wrapping; raises DataError where that leaves in part."""
    found: dict[int, int] = {}
    for parent in dict.fromkeys(item.ships_as for item in goods):
        inside = [item for item in goods if item.ships_as == parent]
        sent = {Decimal(taken.get(item.id, 0)) / item.each for item in inside}
        whole_ones = sent.pop()
        if sent or whole_ones != int(whole_ones):
            parts = ", ".join(f"{taken.get(item.id, 0)} of {item.sku}" for item in inside)
            raise DataError(f"item {parent} is a set that the shop ships as one, and {parts} have left; ship it there", field="Lines", value=parts)
        if whole_ones:
            found[parent] = int(whole_ones)
    return found


async def _goods(shop: Shop, order: Row) -> list[Item]:
    """Return the items that are goods, in the order's sequence: all without children; a configurable's child ships as its parent."""
    rows = {id_of(row.get("item_id"), "items.item_id"): row for row in order["items"] if isinstance(row, dict)}
    parents = {id_of(row["parent_item_id"], "items.parent_item_id") for row in rows.values() if row.get("parent_item_id") is not None}
    as_one = {one for one in parents if one in rows and await _as_one(shop, rows[one])}
    found = []
    for number, row in rows.items():
        if number in parents:
            continue
        above = row.get("parent_item_id")
        ships_as = int(above) if above is not None and int(above) in as_one else number
        each = _number(row, "qty_ordered") / (_number(rows[ships_as], "qty_ordered") or 1)
        left = _number(row, "qty_ordered") - sum((_number(row, field) for field in QUANTITIES), Decimal(0))
        if ships_as != number:
            wrapping = rows[ships_as]
            left = each * (_number(wrapping, "qty_ordered") - sum((_number(wrapping, field) for field in QUANTITIES), Decimal(0)))
        found.append(Item(number, str(row.get("sku") or ""), max(Decimal(0), left), ships_as, each if each > 0 else Decimal(1)))
    return found


async def _as_one(shop: Shop, parent: Row) -> bool:
    return parent.get("product_type") != "bundle" or await shop.ships_together(id_of(parent.get("product_id"), "items.product_id"))


def _lines(document: Document) -> list[tuple[str, str, int]]:
    given = document.get("Lines")
    if not isinstance(given, list) or not given or not all(isinstance(line, dict) for line in given):
        raise DataError("the shipment has no lines", field="Lines", value=repr(given))
    places = [(f"Lines[{index}]", line) for index, line in enumerate(given)]
    return [(where, str(line.get("SKU") or "").strip(), whole(line, "Quantity", 1, where=f"{where}.")) for where, line in places]


def _tracks(document: Document) -> list[dict[str, str]]:
    number, carrier = document.get("TrackingNumber"), str(document.get("Carrier") or "")
    if not number:
        return []
    return [{"track_number": str(number), "title": carrier or CUSTOM, "carrier_code": CARRIERS.get(carrier.casefold(), CUSTOM)}]


def _number(row: Row, field: str) -> Decimal:
    return Decimal(str(row.get(field) or 0))
