"""A product at a shop, saved by its SKU: a save of one that is there changes what it names, so once more changes nothing.

Attributes are sent under the codes that the flow gives them (`AttributeCodes`). Of an attribute with options the value is an option's id; a label
that has none gets one. What is not in the product's attribute set Magento drops in silence, so what was saved is compared with what was sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from weakref import WeakKeyDictionary

from sinks.base import Document, Standing
from sinks.goods import attributes_of, price_of
from sinks.magento.shop import Row, Shop, text
from towpath.delivery.gate import Gate
from towpath.errors import DataError, RetryableError
from towpath.http import ApiClient

CHOSEN: Final = frozenset({"select", "multiselect"})
TRUTHS: Final = {"1": "1", "true": "1", "yes": "1", "0": "0", "false": "0", "no": "0"}
ENABLED, DISABLED = 1, 2
NEW: Final[Row] = {"type_id": "simple", "visibility": 4}


@dataclass(eq=False)
class _Known:
    """What is known of the attributes of one shop; nobody else adds an option while one is looked for."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    sets: dict[str, int] = field(default_factory=dict)
    attributes: dict[str, Row] = field(default_factory=dict)


_SHOPS: Final[WeakKeyDictionary[Gate, _Known]] = WeakKeyDictionary()


async def put_product(api: ApiClient, document: Document, _known: int | None) -> tuple[bool, Standing]:
    """Give a product its name, price, attribute set and attributes; one that is new and has no price is an error, for the shop needs one."""
    shop, sku, known = Shop(api), text(document, "SKU"), _SHOPS.setdefault(api.gate, _Known())
    price, wanted = price_of(document), {"name": text(document, "Name")}
    product = await shop.product(sku)
    if product is None and price is None:
        raise DataError(f"SKU {sku} has no price, which a new product of {shop.name} needs", field="Price")
    try:
        row: Row = wanted | {"attribute_set_id": await _set_of(shop, known, document)} | ({} if price is None else {"price": float(price)})
        custom = await _custom(shop, known, document)
        if product is not None and _has(product, row, custom):
            return False, Standing(str(product["id"]))
        status = {} if product is not None else {**NEW, "status": DISABLED if document.get("Publish") is False else ENABLED}
        attributes = [{"attribute_code": code, "value": value} for code, value in custom.items()]
        saved = await shop.save_product({"sku": sku, **status, **row, "custom_attributes": attributes})
    except (DataError, RetryableError):
        _SHOPS.pop(api.gate, None)  # what we knew may be there no more
        raise
    if missing := [code for code, value in custom.items() if _values(saved).get(code, "") != value]:
        message = f"{shop.name} did not take the attribute {missing[0]}: put it into the attribute set {document.get('AttributeSet')} there"
        raise DataError(message, field=f"Attributes.{missing[0]}", value=custom[missing[0]])
    return True, Standing(str(saved["id"]))


def _has(product: Row, row: Row, custom: Mapping[str, str]) -> bool:
    """Tell whether a product is already what it is to become."""
    has, values = {**product, "price": Decimal(str(product.get("price") or 0))}, _values(product)
    wanted = row | ({"price": Decimal(str(row["price"]))} if "price" in row else {})
    return all(has.get(name) == value for name, value in wanted.items()) and all(values.get(code, "") == value for code, value in custom.items())


def _values(product: Row) -> dict[str, str]:
    rows = [row for row in product.get("custom_attributes") or [] if isinstance(row, dict)]
    return {str(row.get("attribute_code")): str(row.get("value") or "") for row in rows}


async def _set_of(shop: Shop, known: _Known, document: Document) -> int:
    """Return the id of the attribute set that the document names, by its id or name."""
    wanted = document.get("AttributeSet")
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        return wanted
    name = text(document, "AttributeSet").casefold()
    async with known.lock:
        if name not in known.sets:
            known.sets = await shop.attribute_sets()
    if name not in known.sets:
        message = f"{shop.name} has no attribute set {wanted}; make it there, or name another in the flow's option attribute_sets"
        raise DataError(message, field="AttributeSet", value=str(wanted))
    return known.sets[name]


async def _custom(shop: Shop, known: _Known, document: Document) -> dict[str, str]:
    """Return the values by attribute code; an empty one takes the attribute away."""
    codes = document.get("AttributeCodes") or {}
    if not isinstance(codes, dict) or not all(isinstance(code, str) and code.isidentifier() and code.isascii() for code in codes.values()):
        raise DataError("AttributeCodes is no object of attribute codes", field="AttributeCodes", value=repr(codes)[:80])
    wanted = {codes[name]: value for name, value in attributes_of(document).items() if name in codes}
    return {code: await _value(shop, known, code, value) for code, value in wanted.items()}


async def _value(shop: Shop, known: _Known, code: str, value: str) -> str:
    async with known.lock:
        attribute = known.attributes.get(code) or await shop.attribute(code)
        known.attributes[code] = attribute
        if not value:
            return value
        if attribute.get("frontend_input") == "boolean":
            if value.casefold() not in TRUTHS:
                raise DataError(f"attribute {code} is yes or no", field=f"Attributes.{code}", value=value)
            return TRUTHS[value.casefold()]
        if attribute.get("frontend_input") not in CHOSEN:
            return value
        if (found := _option(attribute, value)) is None:  # an option that somebody else has added is there now
            found = _option(attribute := await shop.attribute(code), value)
        if found is None:
            await shop.add_option(code, value)
            found = _option(attribute := await shop.attribute(code), value)
        known.attributes[code] = attribute
        if found is None:
            raise RetryableError(f"{shop.name}: attribute {code} does not show its new option {value} yet")
        return found


def _option(attribute: Row, label: str) -> str | None:
    options: list[Any] = attribute.get("options") or []
    named = [one for one in options if isinstance(one, dict) and str(one.get("label")).strip().casefold() == label.casefold() and one.get("value")]
    return str(named[0]["value"]) if named else None
