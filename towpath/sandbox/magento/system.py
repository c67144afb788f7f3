"""Magento's paths."""

from __future__ import annotations

from typing import Any, Final

from towpath.sandbox.kit.messages import Control
from towpath.sandbox.kit.system import Site, System, World
from towpath.sandbox.magento.api import endpoints
from towpath.sandbox.magento.auth import Auth
from towpath.sandbox.magento.catalog import Catalog
from towpath.sandbox.magento.clients import Clients
from towpath.sandbox.magento.controls import Desk
from towpath.sandbox.magento.gateway import Gateway
from towpath.sandbox.magento.inventory import Inventory
from towpath.sandbox.magento.processing import Processing
from towpath.sandbox.magento.refunds import Refunds
from towpath.sandbox.magento.search import Lists
from towpath.sandbox.magento.settings import MagentoSettings
from towpath.sandbox.magento.shipping import Shipping
from towpath.sandbox.magento.shop import Shop
from towpath.sandbox.magento.shopper import Shopper
from towpath.sandbox.magento.wording import refuse

INDEXES: Final = {
    "order": ("updated_at",),
    "customer": ("updated_at", "email"),
    "product": ("sku",),
    "shipment": ("order_id",),
    "invoice": ("order_id",),
    "creditmemo": ("order_id", "updated_at"),
    "source_item": ("sku",),
    "reservation": ("sku",),
    "option": ("attribute_code",),
}
DUMPS: Final = {
    "orders": "order",
    "customers": "customer",
    "products": "product",
    "attribute_options": "option",
    "source_items": "source_item",
    "reservations": "reservation",
    "shipments": "shipment",
    "invoices": "invoice",
    "creditmemos": "creditmemo",
    "sales": "sale",
    "stock_changes": "stock_change",
    "mails": "mail",
}


def open_site(world: World, settings: MagentoSettings) -> Site:
    """Return the shop over this store, with its catalogue in it."""
    lists = Lists(world.store, settings)
    inventory = Inventory(world, lists)
    shop = Shop(world, settings, inventory)
    shop.fill()
    catalog = Catalog(shop, lists)
    catalog.fill()
    gateway = Gateway(world.store)
    processing = Processing(shop, gateway)
    refunds = Refunds(shop, lists, gateway)
    shopper = Shopper(world, shop, processing)
    controls = [
        Control("POST", "/_sandbox/shopper", shopper.start),
        Control("GET", "/_sandbox/shopper", shopper.progress),
        *Desk(shop, processing).paths(),
        *gateway.paths(),
        *refunds.paths(),
    ]
    own = [*inventory.endpoints(), *catalog.endpoints(), *refunds.endpoints(), *Clients(shop).endpoints()]
    paths = [*endpoints(shop, lists, processing, Shipping(shop)), *own]
    return Site(paths, Auth(settings, world.clock).authenticate, refuse, DUMPS, controls)


def _open(world: World, settings: Any) -> Site:  # noqa: ANN401 - the toolkit hands back what SYSTEM.settings made
    return open_site(world, MagentoSettings.model_validate(settings))


SYSTEM: Final = System("magento", MagentoSettings, _open, INDEXES)
