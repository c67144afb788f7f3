"""NopCommerce's paths."""

from __future__ import annotations

from typing import Any, Final

from towpath.sandbox.kit.messages import Answer, Control, Endpoint, Refusal
from towpath.sandbox.kit.system import Site, System, World
from towpath.sandbox.nopcommerce.api import BASE, endpoints
from towpath.sandbox.nopcommerce.auth import Auth
from towpath.sandbox.nopcommerce.clients import Clients
from towpath.sandbox.nopcommerce.controls import Desk
from towpath.sandbox.nopcommerce.goods import Goods
from towpath.sandbox.nopcommerce.later import Later
from towpath.sandbox.nopcommerce.processing import Processing
from towpath.sandbox.nopcommerce.returns import Returns
from towpath.sandbox.nopcommerce.settings import NopSettings
from towpath.sandbox.nopcommerce.shipping import Shipping
from towpath.sandbox.nopcommerce.shop import Shop
from towpath.sandbox.nopcommerce.shopper import Shopper
from towpath.sandbox.nopcommerce.staff import Staff
from towpath.sandbox.nopcommerce.status import THROWN
from towpath.sandbox.nopcommerce.updates import Updates

BAD_REQUEST: Final = 400
INDEXES: Final = {
    "order": ("order_guid", "custom_order_number", "created_on_utc", "order_status_id", "customer_id"),
    "order_item": ("order_id",),
    "customer": ("email", "customer_guid", "billing_address_id", "shipping_address_id"),
    "product": ("sku",),
    "generic_attribute": ("entity_id",),
    "product_warehouse": ("product_id",),
    "shipment": ("order_id",),
    "shipment_item": ("shipment_id",),
    "specification_attribute_option": ("specification_attribute_id",),
    "product_specification_attribute": ("product_id",),
}
DUMPS: Final = {
    "orders": "order",
    "order_items": "order_item",
    "customers": "customer",
    "customer_roles": "customer_role_mapping",
    "addresses": "address",
    "products": "product",
    "generic_attributes": "generic_attribute",
    "product_warehouses": "product_warehouse",
    "specification_attributes": "specification_attribute",
    "specification_attribute_options": "specification_attribute_option",
    "product_specification_attributes": "product_specification_attribute",
    "shipments": "shipment",
    "shipment_items": "shipment_item",
    "sales": "sale",
    "stock_changes": "stock_change",
    "mails": "mail",
    "return_requests": "return_request",
    "refunds": "refund",
}


def open_site(world: World, settings: NopSettings) -> Site:
    """Return the shop over this store, with its catalogue in it."""
    shop, auth = Shop(world), Auth(settings, world.tokens)
    shop.fill()
    processing = Processing(world, settings, shop)
    later = Later(world, shop, processing)
    shopper = Shopper(world, settings, shop, later)
    returns = Returns(world, shop)
    paths = [
        Endpoint("POST", f"{BASE}/Authenticate/GetToken", auth.token, public=True),
        *endpoints(shop, world.store),
        *Updates(world.store, shop).endpoints(),
        *Goods(world.store, shop).endpoints(),
        *Clients(world.store, shop).endpoints(),
        *processing.endpoints(),
        *Shipping(world, shop, processing).endpoints(),
        *returns.endpoints(),
    ]
    controls = [
        Control("POST", "/_sandbox/shopper", shopper.start),
        Control("GET", "/_sandbox/shopper", shopper.progress),
        *Desk(world, shop).paths(),
        *Staff(world, shop, processing, later.edits).paths(),
        *returns.paths(),
    ]
    return Site(paths, auth.authenticate, refuse, DUMPS, controls)


def refuse(refusal: Refusal) -> Answer:
    """Return the refusal as the API words it: what the shop threw as its error handler does, ProblemDetails for 400, text for everything else."""
    if refusal.code == THROWN:
        body: Any = {"message": refusal.message, "inner_exception_message": None, "stack_trace": ""}
    elif refusal.status == BAD_REQUEST:
        body = {"Type": None, "Title": "One or more validation errors occurred.", "Status": 400, "Detail": refusal.message, "Instance": None}
    else:
        body = refusal.message
    return Answer(refusal.status, body, refusal.headers)


def _open(world: World, settings: Any) -> Site:  # noqa: ANN401 - the toolkit hands back what SYSTEM.settings made
    return open_site(world, NopSettings.model_validate(settings))


SYSTEM: Final = System("nopcommerce", NopSettings, _open, INDEXES)
