"""Magento as a target (vendor-apis.md, section 1): no idempotency keys, so whatever can be done twice is looked up by our own mark before."""

from __future__ import annotations

from collections.abc import Mapping

from sinks.base import Document, Operation, Standing, Twins, Update
from sinks.goods import brought
from sinks.magento.customer import create_customer, find_customer, put_customer
from sinks.magento.invoice import create_invoice, find_invoice
from sinks.magento.product import put_product
from sinks.magento.shipment import create_shipment, find_shipment, find_shipments
from sinks.magento.shop import CANCELED, Shop, order_id, text
from sinks.magento.stock import set_stock
from towpath.errors import DataError
from towpath.http import ApiClient


async def _set_status(api: ApiClient, document: Document, _known: int | None) -> tuple[bool, Standing]:
    """Tell the shop's staff how far the order is, as a comment; the status itself follows what is invoiced and shipped, and stays."""
    shop, comment = Shop(api), text(document, "Comment")
    order = await shop.order(document)
    standing, told = Standing(str(order["entity_id"])), order.get("status_histories") or []
    mark = comment.partition(":")[0] + ":"
    ours = [row for row in told if isinstance(row, dict) and str(row.get("comment")).startswith(mark)]
    newest = max(ours, key=lambda row: int(row.get("entity_id") or 0), default=None)
    if newest is not None and newest["comment"] == comment:
        return False, standing
    await shop.comment(order, comment)
    return True, standing


async def _find_cancelled(api: ApiClient, document: Document) -> Standing | None:
    order = await Shop(api).order(document)
    return Standing(str(order["entity_id"])) if order.get("state") == CANCELED else None


async def _cancel(api: ApiClient, document: Document) -> Standing:
    """Cancel an order; the shop answers false, and does nothing, where money or goods of it have moved: a person must refund it."""
    number = order_id(document)
    if not await Shop(api).cancel(number):
        message = f"order {number} cannot be cancelled at {api.name}: it is paid, shipped or over; refund it there"
        raise DataError(message, field="OrderID", value=str(number))
    return Standing(str(number))


class MagentoTarget:
    """What a shop can be asked to do."""

    operations: Mapping[str, Operation | Update] = {
        "set_order_status": Update(_set_status),
        "cancel_order": Operation(_find_cancelled, _cancel),
        "create_shipment": Operation(find_shipment, create_shipment, twins=Twins(find_shipments)),
        "create_invoice": Operation(find_invoice, create_invoice),
        "set_stock": Update(set_stock),
        "create_customer": Operation(find_customer, create_customer),
        "put_customer": Update(put_customer, stale={"CustomerID": "customer"}),
        "put_product": Update(put_product, brings=brought),
    }
    creates: Mapping[str, str] = {"customer": "create_customer"}


TARGET = MagentoTarget()
