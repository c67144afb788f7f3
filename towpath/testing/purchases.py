"""Purchase orders, vendors and returns as tests need them: whole, valid, and changed in one place by keyword."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from towpath.events import Event, PurchaseOrderChanged, ReturnRequested, VendorChanged, business_key, seal
from towpath.testing.events import PLACED_AT, a_meta, a_refund, an_address


def a_purchase_order(number: str = "PO-1", **changes: Any) -> PurchaseOrderChanged:  # noqa: ANN401 - any field of the schema
    """Return a purchase order of the ERP, of which four of ten have come in."""
    ordered: PurchaseOrderChanged = {
        "meta": a_meta(business_key("erp", "purchase_order", number), connection="erp", major=1),
        "purchase_order_id": number,
        "reference": "",
        "vendor_id": "V-1",
        "status": "PartiallyReceived",
        "ordered_at": PLACED_AT,
        "currency": "EUR",
        "lines": [{"line_no": 1, "sku": "TP-0001", "quantity": Decimal(10), "received": Decimal(4), "unit_cost": Decimal("3.25")}],
        "custom_fields": {},
    }
    ordered.update(changes)  # type: ignore[typeddict-item]
    seal(Event("PurchaseOrderChanged", ordered))
    return ordered


def a_vendor(number: str = "V-1", **changes: Any) -> VendorChanged:  # noqa: ANN401 - any field of the schema
    """Return a vendor of the ERP."""
    vendor: VendorChanged = {
        "meta": a_meta(business_key("erp", "vendor", number), connection="erp", major=1),
        "vendor_id": number,
        "name": "Kiln & Co",
        "email": "sales@kiln.example",
        "currency": "EUR",
        "address": an_address(),
        "custom_fields": {},
    }
    vendor.update(changes)  # type: ignore[typeddict-item]
    seal(Event("VendorChanged", vendor))
    return vendor


def a_return(number: int = 1001, **changes: Any) -> ReturnRequested:  # noqa: ANN401 - any field of the schema
    """Return a request to give back one of the two pieces of the first line of `an_order`."""
    asked: ReturnRequested = {
        "meta": a_meta(business_key("shop", "order", number), trace=number),
        "return_id": "5",
        "return_number": "R5",
        "order_id": str(number),
        "order_number": str(number),
        "status": "0",
        "refund": "",
        "reason": "Too small",
        "action": "Refund",
        "currency": "EUR",
        "lines": a_refund()["lines"],
        "requested_at": PLACED_AT,
        "custom_fields": {},
    }
    asked.update(changes)  # type: ignore[typeddict-item]
    seal(Event("ReturnRequested", asked))
    return asked
