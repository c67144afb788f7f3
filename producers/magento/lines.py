"""An order's lines, of goods that can leave a warehouse, each counted once.

A configurable product or a bundle is a parent item with children (`parent_item_id`): the parent has the price and is no goods, the children
are goods and mostly cost nothing. So the children are the lines, with what they cost themselves, else with the parent's share.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from producers.magento.fields import NONE
from producers.wire import Json, amount, text
from towpath.errors import DataError
from towpath.events import OrderLine
from towpath.systems.magento import id_of

COSTS: Final = ("row_total", "tax_amount")
CENT: Final = Decimal("0.01")


def lines_of(order: Json) -> list[OrderLine]:
    """Return the lines of an order; raises DataError naming the item."""
    items = order.get("items")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise DataError("the order has no list of items", field="items", value=str(items)[:60])
    ids = [id_of(item.get("item_id"), f"items[{index}].item_id") for index, item in enumerate(items)]
    below = [_parent(item, ids, f"items[{index}].") for index, item in enumerate(items)]
    children = {one: [index for index, parent in enumerate(below) if parent == one] for one in ids}
    goods = [index for index, one in enumerate(ids) if not children[one]]
    costs = {index: {field: amount(items[index], field, NONE, f"items[{index}].") for field in COSTS} for index in range(len(items))}
    for one, inside in children.items():
        if inside:
            _share(items, costs, ids.index(one), inside)
    return [_line(items[index], number, costs[index], f"items[{index}].") for number, index in enumerate(goods, start=1)]


def _parent(item: Json, ids: Sequence[int], where: str) -> int | None:
    value = item.get("parent_item_id")
    if value is None:
        return None
    found = id_of(value, f"{where}parent_item_id")
    if found not in ids:
        raise DataError(f"{where}parent_item_id: the order has no item {found}", field=f"{where}parent_item_id", value=str(found))
    return found


def _share(items: Sequence[Json], costs: dict[int, dict[str, Decimal]], parent: int, inside: Sequence[int]) -> None:
    """Give the children what their parent costs, by their pieces, where they cost less than it themselves; the last one gets what is left."""
    pieces = [amount(items[index], "qty_ordered", where=f"items[{index}].") for index in inside]
    total = sum(pieces, NONE)
    for field in COSTS:
        left = costs[parent][field] - sum((costs[index][field] for index in inside), NONE)
        if left <= 0 or total <= 0:
            continue
        share = left
        for index, quantity in zip(inside, pieces, strict=True):
            part = share if index == inside[-1] else min(share, (left * quantity / total).quantize(CENT, ROUND_HALF_UP))
            costs[index][field], share = costs[index][field] + part, share - part


def _line(item: Json, number: int, costs: dict[str, Decimal], where: str) -> OrderLine:
    sku, quantity = text(item, "sku"), amount(item, "qty_ordered", where=where)
    if not sku.strip():
        raise DataError(f"{where}sku: the item has no SKU", field=f"{where}sku")
    own = amount(item, "price", NONE, where)
    return {
        "line_no": number,
        "line_id": str(id_of(item.get("item_id"), f"{where}item_id")),
        "sku": sku,
        "name": text(item, "name"),
        "quantity": quantity,
        "unit_price": own if quantity <= 0 or own * quantity == costs["row_total"] else (costs["row_total"] / quantity).quantize(Decimal("0.0001")),
        "line_total": costs["row_total"],
        "tax_amount": costs["tax_amount"],
    }
