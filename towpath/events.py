"""Canonical events: their shapes (`towpath/shapes.py`), and the ids, keys and digests they carry. No I/O."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from towpath.shapes import (
    Address,
    CustomerChanged,
    InvoiceIssued,
    Meta,
    OrderCancelled,
    OrderChanged,
    OrderLine,
    OrderPlaced,
    OrderStatusChanged,
    PaymentReceived,
    ProductChanged,
    PurchaseLine,
    PurchaseOrderChanged,
    RefundIssued,
    ReturnRequested,
    ShipmentConfirmed,
    ShipmentLine,
    ShipmentRequested,
    StockChanged,
    StockHold,
    VendorChanged,
    Version,
)

__all__ = [
    "AGGREGATES",
    "EPOCH",
    "MOVING",
    "NAMESPACE",
    "PARTS",
    "REFERRING",
    "TOLD_BY_BOTH",
    "Address",
    "CustomerChanged",
    "Event",
    "InvoiceIssued",
    "Meta",
    "OrderCancelled",
    "OrderChanged",
    "OrderLine",
    "OrderPlaced",
    "OrderStatusChanged",
    "PaymentReceived",
    "ProductChanged",
    "PurchaseLine",
    "PurchaseOrderChanged",
    "RefundIssued",
    "ReturnRequested",
    "ShipmentConfirmed",
    "ShipmentLine",
    "ShipmentRequested",
    "StockChanged",
    "StockHold",
    "VendorChanged",
    "Version",
    "business_key",
    "decimal_text",
    "digest",
    "is_newer",
    "micros",
    "seal",
    "stable_id",
]

NAMESPACE: Final = uuid.UUID("6f1d2a0e-6c5b-5a52-9b53-0a6a3c0f7b11")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAMESPACE: Final = NAMESPACE.bytes
_PLAIN: Final = re.compile(r"[ !#-\[\]-~]*").fullmatch
_VARIANT: Final = {digit: f"{int(digit, 16) & 3 | 8:x}" for digit in "0123456789abcdef"}

AGGREGATES: Final[Mapping[str, str]] = {
    "OrderPlaced": "orders",
    "OrderChanged": "orders",
    "OrderStatusChanged": "orders",
    "OrderCancelled": "orders",
    "ShipmentRequested": "orders",
    "ShipmentConfirmed": "orders",
    "InvoiceIssued": "orders",
    "PaymentReceived": "orders",
    "ReturnRequested": "orders",
    "RefundIssued": "orders",
    "StockChanged": "stock",
    "CustomerChanged": "customers",
    "ProductChanged": "products",
    "PurchaseOrderChanged": "purchase-orders",
    "VendorChanged": "vendors",
}
PARTS: Final[Mapping[str, str]] = {
    "ShipmentRequested": "shipment_id",
    "ShipmentConfirmed": "shipment_id",
    "InvoiceIssued": "invoice_id",
    "PaymentReceived": "payment_id",
    "ReturnRequested": "return_id",
    "RefundIssued": "refund_id",
    "StockChanged": "location",
}
"""The field that tells several facts of one type about one key apart."""
TOLD_BY_BOTH: Final = frozenset({"CustomerChanged"})
"""Events that two connections tell of one key, each with versions of its own."""
REFERRING: Final = frozenset({"OrderPlaced", "ShipmentRequested"})
"""Events whose documents carry a reference of ours, by which the target's records are known."""
MOVING: Final = frozenset({"status", "payment_status"})
"""Fields of an order that say how far it has come: events of their own tell that, so a change of nothing else is no OrderChanged."""


class Event(NamedTuple):
    """A canonical event with the name of its type."""

    type: str
    value: Mapping[str, Any]

    @property
    def meta(self) -> Meta:
        """Return what the event says of itself."""
        return self.value["meta"]  # type: ignore[no-any-return]

    @property
    def identity(self) -> str:
        """Return what tells this fact from every other of its type: its key, and the part of it that the fact is about."""
        if self.type in TOLD_BY_BOTH:
            return f"{self.meta['key']}|{self.meta['connection']}"
        part = PARTS.get(self.type)
        return self.meta["key"] if part is None else f"{self.meta['key']}|{self.value[part]}"

    @property
    def record_key(self) -> bytes:
        """Return the key of its record: stock of one SKU meets in one partition, whichever connection tells of it."""
        return str(self.value["sku"] if AGGREGATES[self.type] == "stock" else self.meta["key"]).encode()


def stable_id(*parts: object) -> str:
    """Return the UUIDv5 (RFC 9562) of the parts: equal parts give the same id in every process and at every time."""
    texts = [*map(str, parts)]
    plain = _PLAIN("".join(texts)) and texts  # then JSON has nothing to escape
    name = '["' + '", "'.join(texts) + '"]' if plain else json.dumps(texts)
    text = hashlib.sha1(_NAMESPACE + name.encode(), usedforsecurity=False).hexdigest()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"


def business_key(connection: str, entity: str, natural_id: object) -> str:
    """Return `<connection>/<entity>/<natural id>`: order 1001 of two shops are two orders."""
    return f"{connection}/{entity}/{natural_id}"


def digest(content: Mapping[str, Any], moving: frozenset[str] = frozenset()) -> str:
    """Return the SHA-256, in hex, of the content without its `meta` and its `moving` fields; the order of keys and trailing zeros do not matter."""
    plain = {name: value for name, value in content.items() if name != "meta" and name not in moving}
    return hashlib.sha256(_canonical(plain).encode()).hexdigest()


def seal(event: Event) -> Event:
    """Return the event with its digest and id; of a source without sequence or change time, the id rests on the digest."""
    meta = event.meta
    meta["digest"] = digest(event.value)
    meta["event_id"] = stable_id(meta["key"], event.type, meta["digest"])
    return event


def micros(moment: datetime) -> int:
    """Return microseconds since the epoch of an aware time."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def decimal_text(value: Decimal) -> str:
    """Return a finite decimal in plain digits, exact, without trailing zeros and without a minus before zero."""
    text = str(value)
    text = f"{value:f}" if "E" in text else text
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def is_newer(one: Version, other: Version) -> bool:
    """Tell whether `one` is strictly newer than `other`."""
    return (one["major"], one["minor"]) > (other["major"], other["minor"])


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat()
    message = f"no canonical form for {type(value).__name__}"
    raise TypeError(message)


_canonical = json.JSONEncoder(sort_keys=True, default=_plain, check_circular=False).encode
"""The text that digests are made of; a changed byte of it would make every event news."""
