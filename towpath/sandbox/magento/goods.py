"""The catalogue as Magento has it: simple products, a configurable one over the bags, and a bundle of a bottle and a mug."""

from __future__ import annotations

from typing import Any, Final

from towpath.sandbox.kit.catalogue import STOCK, catalogue
from towpath.sandbox.kit.store import Doc

CONFIGURABLE, BUNDLE = 1001, 1002
BUNDLED: Final = (11, 41)  # a bottle and a mug, one and two of which are in a set
SOURCES: Final = ("default", "east")


def number(value: Any) -> float | int:  # noqa: ANN401 - a Decimal, a float or an int
    """Return a number as PHP's JSON has it: 165, not 165.0."""
    return int(value) if int(value) == value else float(value)


def products(moment: str) -> list[Doc]:
    """Return all products."""
    found = [_product(item.number, item.sku, item.name, "simple", number(item.price), moment) for item in catalogue()]
    found.append(_product(CONFIGURABLE, "BAG", "Bag", "configurable", 0, moment))
    found.append(_product(BUNDLE, "SET", "Drinking set", "bundle", 0, moment, shipment_type="0", price_type="0"))
    return found


def source_items() -> list[Doc]:
    """Return the stock of each simple product: all of it in the default source."""
    return [{"sku": item.sku, "source_code": SOURCES[0], "quantity": STOCK, "status": 1} for item in catalogue()]


def _product(number_: int, sku: str, name: str, kind: str, price: float, moment: str, **custom: str) -> Doc:
    return {
        "id": number_,
        "sku": sku,
        "name": name,
        "attribute_set_id": 4,
        "price": price,
        "status": 1,
        "visibility": 4,
        "type_id": kind,
        "created_at": moment,
        "updated_at": moment,
        "custom_attributes": [{"attribute_code": code, "value": value} for code, value in custom.items()],
    }
