"""NopCommerce as a target (vendor-apis.md, section 3): no idempotency keys, whole-row updates without a version, and GETs that change things."""

from __future__ import annotations

from collections.abc import Mapping

from sinks.base import Document, Operation, Standing, Update
from sinks.goods import brought
from sinks.nopcommerce.customer import create_customer, find_customer, finish_customer, put_customer
from sinks.nopcommerce.product import put_product
from sinks.nopcommerce.refund import close_request, find_refund, refund_order
from sinks.nopcommerce.shipment import create_shipment, find_shipment
from sinks.nopcommerce.shop import CANCELLED, COMPLETE, PENDING, PROCESSING, Shop, order_id, whole
from towpath.errors import DataError
from towpath.http import ApiClient

LARGEST_VERSION = 2**63 - 1


async def _set_order_status(api: ApiClient, document: Document, _known: int | None) -> tuple[bool, Standing]:
    """Move an order on, never back: what is cancelled or further at the shop stays so. Its shipping status is the shipments' matter."""
    shop, wanted = Shop(api), whole(document, "Status", PENDING, most=COMPLETE)
    order = await shop.order(document)
    status, standing = order["order_status_id"], Standing(str(order["id"]))
    for field, value in (("Status", wanted), ("OrderStatus", status)):
        if value not in {PENDING, PROCESSING, COMPLETE, CANCELLED}:
            raise DataError(f"order {order['id']}: {value} is no status that is known of the shop", field=field, value=str(value))
    if status >= wanted:
        return False, standing
    await shop.put_order({**order, "order_status_id": wanted})
    return True, standing


async def _find_cancelled(api: ApiClient, document: Document) -> Standing | None:
    order = await Shop(api).order(document)
    return Standing(str(order["id"])) if order["order_status_id"] == CANCELLED else None


async def _cancel(api: ApiClient, document: Document) -> Standing:
    await Shop(api).cancel(order_id(document))
    return Standing(str(order_id(document)))


async def _set_stock(api: ApiClient, document: Document, known: int | None) -> tuple[bool, Standing]:
    """Set a product's stock, which overwrites what is sold between the read and the write: nothing stands between the two.

    Where our number has not risen since the one that stands (`RaisedAt`), the shop's lower one is what it has sold since: it is left.
    """
    shop, wanted = Shop(api), whole(document, "StockQuantity", 0)
    raised_at = whole(document, "RaisedAt", 0, most=LARGEST_VERSION)
    product = await shop.product_by_sku(str(document.get("SKU") or ""))
    if product.get("use_multiple_warehouses") is True:
        message = f"SKU {product['sku']} is in several warehouses at {shop.name}; let it use one there, or leave it out of the flow"
        raise DataError(message, field="SKU", value=str(product["sku"]))
    stands, standing = product["stock_quantity"], Standing(str(product["id"]))
    sold_since = known is not None and known >= raised_at and stands < wanted
    if stands == wanted or sold_since:
        return False, standing
    await shop.put_product({**product, "stock_quantity": wanted})
    return True, standing


class NopCommerceTarget:
    """What a shop can be asked to do."""

    operations: Mapping[str, Operation | Update] = {
        "set_order_status": Update(_set_order_status),
        "cancel_order": Operation(_find_cancelled, _cancel),
        "create_shipment": Operation(find_shipment, create_shipment),
        "refund_order": Operation(find_refund, refund_order, resume=close_request),
        "set_stock": Update(_set_stock),
        "create_customer": Operation(find_customer, create_customer, resume=finish_customer),
        "put_customer": Update(put_customer, stale={"CustomerID": "customer"}),
        "put_product": Update(put_product, brings=brought),
    }
    creates: Mapping[str, str] = {"customer": "create_customer"}


TARGET = NopCommerceTarget()
