"""NopCommerce's paths."""

from __future__ import annotations

from typing import Any, Final

from towpath.sandbox.kit.messages import Answer, Control, Endpoint, Refusal
from towpath.sandbox.kit.system import Site, System, World
from towpath.sandbox.nopcommerce.api import BASE, endpoints
from towpath.sandbox.nopcommerce.auth import Auth
from towpath.sandbox.nopcommerce.controls import Desk
from towpath.sandbox.nopcommerce.settings import NopSettings
from towpath.sandbox.nopcommerce.shop import Shop
from towpath.sandbox.nopcommerce.shopper import Shopper

BAD_REQUEST: Final = 400
INDEXES: Final = {
    "order": ("order_guid", "custom_order_number", "created_on_utc", "order_status_id", "customer_id"),
    "order_item": ("order_id",),
    "customer": ("email",),
    "product": ("sku",),
    "generic_attribute": ("entity_id",),
}
DUMPS: Final = {
    "orders": "order",
    "order_items": "order_item",
    "customers": "customer",
    "addresses": "address",
    "products": "product",
    "generic_attributes": "generic_attribute",
}


def open_site(world: World, settings: NopSettings) -> Site:
    """Return the shop over this store, with its catalogue in it."""
    shop, auth = Shop(world), Auth(settings, world.tokens)
    shop.fill()
    shopper = Shopper(world, settings, shop)
    paths = [Endpoint("POST", f"{BASE}/Authenticate/GetToken", auth.token, public=True), *endpoints(shop, world.store)]
    controls = [
        Control("POST", "/_sandbox/shopper", shopper.start),
        Control("GET", "/_sandbox/shopper", shopper.progress),
        *Desk(world, shop).paths(),
    ]
    return Site(paths, auth.authenticate, refuse, DUMPS, controls)


def refuse(refusal: Refusal) -> Answer:
    """Return the refusal as the API words it: ProblemDetails for 400, text for everything else."""
    if refusal.status == BAD_REQUEST:
        body: Any = {"Type": None, "Title": "One or more validation errors occurred.", "Status": 400, "Detail": refusal.message, "Instance": None}
    else:
        body = refusal.message
    return Answer(refusal.status, body, refusal.headers)


def _open(world: World, settings: Any) -> Site:  # noqa: ANN401 - the toolkit hands back what SYSTEM.settings made
    return open_site(world, NopSettings.model_validate(settings))


SYSTEM: Final = System("nopcommerce", NopSettings, _open, INDEXES)
