"""What describes a product: specification attributes, whose values are options of theirs. Neither names nor values are unique at the shop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakKeyDictionary

from sinks.nopcommerce.shop import Row, Shop
from towpath.delivery.gate import Gate
from towpath.errors import DataError, RetryableError

OPTION: Final = 0
"""The type of a specification attribute whose value is one of its options."""
SHOWN: Final[Row] = {"attribute_type_id": OPTION, "allow_filtering": True, "show_on_product_page": True, "display_order": 0}


@dataclass(eq=False)
class _Known:
    """The ids of the attributes of one shop by name, and of their options by value; nobody else makes one while one is looked for."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    attributes: dict[str, int] = field(default_factory=dict)
    options: dict[int, dict[str, int]] = field(default_factory=dict)


_SHOPS: Final[WeakKeyDictionary[Gate, _Known]] = WeakKeyDictionary()


async def describe(shop: Shop, product: int, wanted: Mapping[str, str]) -> bool:
    """Let a product have these attributes, each with one value, none where that is empty; others stay. Return whether a call changed something."""
    if not wanted:
        return False
    known = _SHOPS.setdefault(shop.gate, _Known())
    try:
        rows, changed = await shop.listed("ProductSpecificationAttribute/GetAll", {"productId": str(product)}), False
        for name, value in wanted.items():
            if not value and await _attribute(shop, known, name, make=False) is None:
                continue
            attribute = await _attribute(shop, known, name)
            option = await _option(shop, known, attribute or 0, value) if value else None
            has = [row for row in rows if row.get("specification_attribute_option_id") in known.options.get(attribute or 0, {}).values()]
            changed |= await _set(shop, product, has, option)
    except (DataError, RetryableError):
        _SHOPS.pop(shop.gate, None)  # what we knew may be there no more
        raise
    return changed


async def _set(shop: Shop, product: int, has: list[Row], option: int | None) -> bool:
    """Leave one row of an attribute, with this option; none where that is None."""
    kept = next((row for row in has if row.get("specification_attribute_option_id") == option), has[0] if has else None)
    if option is None:
        kept = None
    elif kept is None:
        await shop.send("POST", "ProductSpecificationAttribute/Create", {**SHOWN, "product_id": product, "specification_attribute_option_id": option})
    elif kept["specification_attribute_option_id"] != option:
        await shop.send("PUT", "ProductSpecificationAttribute/Update", {**kept, "specification_attribute_option_id": option})
    for row in has:
        if row is not kept:
            await shop.send("DELETE", f"ProductSpecificationAttribute/Delete/{row['id']}")
    is_new = option is not None and (kept is None or kept["specification_attribute_option_id"] != option)
    return is_new or any(row is not kept for row in has)


async def _attribute(shop: Shop, known: _Known, name: str, *, make: bool = True) -> int | None:
    """Return the id of an attribute, with its options known; made where the shop has none and `make` says so."""
    async with known.lock:
        if (found := known.attributes.get(name.casefold())) is None:
            known.attributes = _first_of(await shop.listed("SpecificationAttribute/GetAll"))
            found = known.attributes.get(name.casefold())
        if found is None and make:
            found = (await shop.send("POST", "SpecificationAttribute/Create", {"name": name, "display_order": 0}))["id"]
            known.attributes[name.casefold()] = found
        if found is not None and found not in known.options:
            known.options[found] = await _options(shop, found)
        return found


async def _option(shop: Shop, known: _Known, attribute: int, value: str) -> int:
    async with known.lock:
        if (found := known.options[attribute].get(value.casefold())) is None:
            known.options[attribute] = await _options(shop, attribute)
            found = known.options[attribute].get(value.casefold())
        if found is None:
            body = {"specification_attribute_id": attribute, "name": value, "display_order": 0}
            found = (await shop.send("POST", "SpecificationAttributeOption/Create", body))["id"]
            known.options[attribute][value.casefold()] = found
        return found


async def _options(shop: Shop, attribute: int) -> dict[str, int]:
    return _first_of(await shop.listed(f"SpecificationAttributeOption/GetSpecificationAttributeOptionsBySpecificationAttribute/{attribute}"))


def _first_of(rows: list[Row]) -> dict[str, int]:
    """Return the oldest id of each name."""
    return {str(row.get("name")).strip().casefold(): int(row["id"]) for row in sorted(rows, key=lambda row: -int(row["id"]))}
