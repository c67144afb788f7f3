"""A product at the shop: made where no product has its SKU, else only what differs is changed; its stock is not touched, which is another flow's.

The shop refuses no second product of one SKU, so it is looked for before it is made, and who writes to one SKU stands in one lane.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from sinks.base import Document, Standing
from sinks.goods import attributes_of, price_of
from sinks.nopcommerce.describing import describe
from sinks.nopcommerce.shop import Row, Shop
from towpath.errors import DataError
from towpath.http import ApiClient

LONGEST: Final = 400
"""Characters of a SKU and of a name (Nop.Data, ProductBuilder)."""
MANAGED: Final = 1
NEW: Final[Row] = {
    "product_type_id": 5,
    "product_template_id": 1,
    "visible_individually": True,
    "allow_customer_reviews": True,
    "is_ship_enabled": True,
    "manage_inventory_method_id": MANAGED,
    "stock_quantity": 0,
    "display_stock_availability": True,
    "order_minimum_quantity": 1,
    "order_maximum_quantity": 10_000,
}
"""What a simple product is that the shop's own pages make; nothing of it lies anywhere before its stock is told."""


async def put_product(api: ApiClient, document: Document, _known: int | None) -> tuple[bool, Standing]:
    """Give a product its name, price and attributes; one that is new and has no price is not published, lest it be sold for nothing."""
    shop, sku, price = Shop(api), text(document, "SKU"), price_of(document)
    wanted: Row = {"name": text(document, "Name")} | ({} if price is None else {"price": float(price)})
    attributes = _attributes(document)
    product = await shop.find_product(sku)
    now = api.gate.clock.now().isoformat(timespec="microseconds").replace("+00:00", "Z")
    if product is None:
        published = document.get("Publish") is not False and price is not None
        made = {**NEW, **wanted, "sku": sku, "published": published, "created_on_utc": now, "updated_on_utc": now}
        product, written = await shop.add_product(made), True
    else:
        written = product.get("name") != wanted["name"] or (price is not None and Decimal(str(product.get("price"))) != price)
        if written:
            await shop.put_product({**product, **wanted, "updated_on_utc": now})
    described = await describe(shop, product["id"], attributes)
    return written or described, Standing(str(product["id"]))


def text(document: Document, field: str) -> str:
    """Return a text of a document; raises DataError naming it where there is none that the shop can hold."""
    value = document.get(field)
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST or not value.isprintable():
        raise DataError(f"the product has no {field} of at most {LONGEST} characters", field=field, value=repr(value))
    return value.strip()


def _attributes(document: Document) -> dict[str, str]:
    """Return the attributes by name, the product's type among them where the flow names one for it."""
    kind = document.get("TypeAttribute")
    return attributes_of(document) | ({str(kind): str(document.get("ProductType") or "")} if kind else {})
