"""The paths of REST V1 that the sandbox has, without its inventory."""

from __future__ import annotations

from typing import Any, Final

from towpath.sandbox.kit.messages import Answer, Call, Endpoint
from towpath.sandbox.magento.auth import BASE
from towpath.sandbox.magento.processing import Processing
from towpath.sandbox.magento.search import Lists
from towpath.sandbox.magento.shipping import Shipping
from towpath.sandbox.magento.shop import Shop
from towpath.sandbox.magento.wording import NOT_THERE, Worded, no_such

LISTS: Final = {"orders": "order", "customers/search": "customer", "products": "product", "shipments": "shipment", "invoices": "invoice"}


def endpoints(shop: Shop, lists: Lists, processing: Processing, shipping: Shipping) -> list[Endpoint]:
    """Return the paths over this shop."""

    def listed(path: str, kind: str) -> Endpoint:
        return Endpoint("GET", f"{BASE}{path}", lambda call: lists.page(kind, call))

    return [
        *(listed(path, kind) for path, kind in LISTS.items()),
        Endpoint("GET", f"{BASE}orders/{{id}}", lambda call: Answer(body=shop.order(call.params["id"]))),
        Endpoint("GET", f"{BASE}customers/{{id}}", lambda call: Answer(body=_customer(shop, call.params["id"]))),
        Endpoint("GET", f"{BASE}products/{{sku}}", lambda call: Answer(body=_product(shop, call))),
        Endpoint("POST", f"{BASE}orders/{{id}}/cancel", processing.cancel, write=True),
        Endpoint("POST", f"{BASE}orders/{{id}}/comments", processing.comment, write=True),
        Endpoint("POST", f"{BASE}order/{{orderId}}/invoice", processing.invoice, write=True),
        Endpoint("POST", f"{BASE}order/{{orderId}}/ship", shipping.ship, write=True),
    ]


def _customer(shop: Shop, number: str) -> dict[str, Any]:
    found = shop.store.get("customer", number)
    if found is None:
        raise no_such("customerId", number)
    return found


def _product(shop: Shop, call: Call) -> dict[str, Any]:
    found = shop.store.find("product", [("sku", "=", call.params["sku"])], limit=1)
    if not found:
        raise Worded(404, NOT_THERE)
    return found[0]
