"""What the documents of products have in common, whichever target they are for."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from sinks.base import Document
from towpath.errors import DataError


def brought(document: Document) -> str:
    """Return what a dead letter may wait for that a product makes right: its stock, say, came before it."""
    return f"product {document.get('SKU')}"


def price_of(document: Document) -> Decimal | None:
    """Return the price, None where the document has none; raises DataError for what is no amount of money."""
    value = document.get("Price")
    if value is None:
        return None
    try:
        price = Decimal(value) if isinstance(value, str) else Decimal(-1)
    except InvalidOperation:
        price = Decimal(-1)
    if not price.is_finite() or price < 0:
        raise DataError("Price is no amount of money", field="Price", value=repr(value))
    return price


def attributes_of(document: Document) -> dict[str, str]:
    """Return the attributes by name, where an empty text takes one away; raises DataError for what is no object of texts."""
    found = document.get("Attributes") or {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise DataError("Attributes is no object of texts", field="Attributes", value=repr(found)[:80])
    return {name.strip(): value.strip() for name, value in found.items() if name.strip()}
