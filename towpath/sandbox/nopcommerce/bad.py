"""Orders with one thing wrong, each to be mended later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

from towpath.sandbox.kit.catalogue import STOCK
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.nopcommerce.bundle import Bundle

GHOST_PRODUCTS: Final = 900_000
ODD_CUSTOMERS: Final = 5_000_000
UNKNOWN_STATUS: Final = 55


def _unknown_sku(bundle: Bundle) -> None:
    item, number = bundle.items[-1], GHOST_PRODUCTS + bundle.order["id"]
    bundle.wanted[number] = bundle.wanted.pop(item["product_id"])
    item["product_id"] = number


def _bad_email(bundle: Bundle) -> None:
    """Give the order a customer of its own, so that others stay good."""
    number = ODD_CUSTOMERS + bundle.order["id"]
    bundle.order["customer_id"] = bundle.customer["id"] = number
    bundle.customer["customer_guid"] = bundle.customer["customer_guid"][:-8] + f"{number:08x}"
    bundle.customer["email"] = bundle.customer["username"] = "not-an-email"
    for row in bundle.addresses:
        row["email"] = "not-an-email"
    bundle.addresses[-1]["id"] = bundle.customer["billing_address_id"] = bundle.customer["shipping_address_id"] = 500_000_000 + number


def _bad_total(bundle: Bundle) -> None:
    bundle.order["order_total"] = float(Decimal(str(bundle.order["order_total"])) + 5)


def _bad_address(bundle: Bundle) -> None:
    """Give the order a postcode that no country has; the customer keeps a good address."""
    bundle.addresses[1]["zip_postal_code"] = "1"


def _bad_currency(bundle: Bundle) -> None:
    bundle.order["customer_currency_code"] = "QQQ"


def _unknown_status(bundle: Bundle) -> None:
    bundle.order["order_status_id"] = UNKNOWN_STATUS


BAD: Final[dict[str, Callable[[Bundle], None]]] = {
    "unknown_sku": _unknown_sku,
    "bad_email": _bad_email,
    "bad_total": _bad_total,
    "bad_address": _bad_address,
    "bad_currency": _bad_currency,
    "unknown_status": _unknown_status,
}


def ghost(order_id: int, template: Doc) -> Doc:
    """Return the product that only the shop knows, with SKU `GHOST-<order>`."""
    number = GHOST_PRODUCTS + order_id
    own = {"id": number, "sku": f"GHOST-{order_id}", "name": f"Not yet at the ERP {order_id}"}
    return {**template, **own, "use_multiple_warehouses": False, "stock_quantity": STOCK}


def spread(kinds: Sequence[str], orders: int) -> dict[int, str]:
    """Return which of so many orders gets which kind: spaced evenly, the first ones good where there is room."""
    return {(index + 1) * orders // (len(kinds) + 1): kind for index, kind in enumerate(kinds)}
