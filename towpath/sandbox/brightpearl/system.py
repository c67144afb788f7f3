"""Brightpearl's paths (vendor-apis.md, section 2). Error codes that no recording shows are made up in the vendor's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from towpath.sandbox.brightpearl.arrivals import Arrivals
from towpath.sandbox.brightpearl.books import Books
from towpath.sandbox.brightpearl.credits import Credits
from towpath.sandbox.brightpearl.crew import Crew
from towpath.sandbox.brightpearl.door import Door
from towpath.sandbox.brightpearl.goods import Goods
from towpath.sandbox.brightpearl.hooks import Hooks
from towpath.sandbox.brightpearl.notes import Notes
from towpath.sandbox.brightpearl.orders import Orders
from towpath.sandbox.brightpearl.people import People
from towpath.sandbox.brightpearl.records import Account
from towpath.sandbox.brightpearl.sales import SalesOrders
from towpath.sandbox.brightpearl.settings import BrightpearlSettings
from towpath.sandbox.brightpearl.warehouse import Warehouse
from towpath.sandbox.kit.messages import Endpoint, Handler
from towpath.sandbox.kit.system import Site, System, World

DUMPS: Final = {
    "contacts": "contact",
    "addresses": "address",
    "orders": "order",
    "products": "product",
    "prices": "price",
    "stock": "stock",
    "notes": "note",
    "reservations": "reservation",
    "payments": "payment",
    "journals": "journal",
    "goods_in_notes": "goods_in",
    "subscriptions": "webhook",
}


def open_site(world: World, settings: BrightpearlSettings) -> Site:
    """Return Brightpearl over this store, with the catalogue in it."""
    door, account = Door(settings, world), Account(world.store, world.clock, settings.utc_offset_minutes)
    hooks, people, books = Hooks(world, account, settings), People(account), Books(account)
    goods = Goods(account, hooks)
    goods.fill(settings)
    orders = Orders(account, settings, people, goods, hooks)
    notes = Notes(account, orders, goods, hooks)
    arrivals = Arrivals(account, orders, goods, people, hooks)
    credits_ = Credits(settings, orders)
    paths: dict[str, Handler] = {
        **_contacts(people),
        **_products(goods),
        **_orders(orders, SalesOrders(orders, notes, people)),
        **_warehouse(notes, goods),
        "POST order-service/sales-credit": credits_.create,
        "POST order-service/sales-credit/{ids}/close": credits_.close,
        "POST warehouse-service/order/{order}/goods-note/goods-in": arrivals.create,
        "GET warehouse-service/order/{order}/goods-note/goods-in": arrivals.get,
        "GET warehouse-service/order/{order}/goods-note/goods-in/{ids}": arrivals.get,
        "POST accounting-service/customer-payment": books.pay,
        "GET accounting-service/customer-payment-search": books.search.answer,
        "POST accounting-service/journal-entry": books.post,
        "GET accounting-service/journal-search": books.journal_search.answer,
        "GET accounting-service/tax-code": books.tax_code,
        "GET accounting-service/tax-code/{ids}": books.tax_code,
        "GET product-service/price-list/{ids}": books.price_list,
        "POST integration-service/webhook": hooks.subscribe,
        "GET integration-service/webhook/{ids}": hooks.get,
        "DELETE integration-service/webhook/{ids}": hooks.delete,
    }
    endpoints = [Endpoint("POST", "/token/{account}", door.token, public=True)]
    for name, handle in paths.items():
        method, _, path = name.partition(" ")
        answer = door.dressed(hooks.flushed(handle))
        endpoints.append(Endpoint(method, f"/public-api/{settings.account}/{path}", answer, write=method not in {"GET", "OPTIONS"}))
    more: dict[str, Handler] = {
        "purchase-orders": arrivals.buy,
        "purchase-orders/{ids}/receive": arrivals.receive,
        "sales-credits/{ids}/close": credits_.close,
    }
    controls = Warehouse(world, people=people, goods=goods, orders=orders, notes=notes, books=books, hooks=hooks, more=more)
    crew = Crew(world, orders, notes, goods, hooks)

    def stats() -> dict[str, Any]:
        return {**door.stats(), "busy": crew.busy, "oversold": notes.oversold()}

    return Site(endpoints, door.authenticate, door.refuse, DUMPS, [*crew.paths(), *controls.paths()], stats)


def _contacts(people: People) -> Mapping[str, Handler]:
    return {
        "POST contact-service/postal-address": people.add_address,
        "POST contact-service/contact": people.add_contact,
        "GET contact-service/contact/{ids}": people.get,
        "PATCH contact-service/contact/{ids}": people.patch,
        "PUT contact-service/contact/{ids}/postal-address": people.name_addresses,
        "PUT contact-service/postal-address/{ids}": people.change_address,
        "GET contact-service/contact-search": people.search.answer,
    }


def _products(goods: Goods) -> Mapping[str, Handler]:
    return {
        "POST product-service/product": goods.create,
        "GET product-service/product/{ids}": goods.get,
        "OPTIONS product-service/product/{ids}": goods.options,
        "PUT product-service/product/{ids}": goods.change,
        "GET product-service/product-search": goods.search.answer,
        "GET product-service/product-price/{ids}": goods.price,
        "PUT product-service/product-price/{ids}/price-list": goods.set_price,
    }


def _orders(orders: Orders, sales: SalesOrders) -> Mapping[str, Handler]:
    return {
        "POST order-service/order": orders.create,
        "GET order-service/order/{ids}": orders.get,
        "POST order-service/order/{ids}/row": orders.add_row,
        "PATCH order-service/order/{ids}/row/{row}": orders.patch_row,
        "PUT order-service/order/{ids}/status": orders.set_status,
        "GET order-service/order-search": orders.search.answer,
        "GET order-service/order-status/{ids}": orders.status,
        "POST order-service/sales-order": orders.create_sales_order,
        "GET order-service/sales-order/{ids}": sales.get,
        "PUT order-service/sales-order/{ids}": sales.put,
    }


def _warehouse(notes: Notes, goods: Goods) -> Mapping[str, Handler]:
    return {
        "GET warehouse-service/product-availability/{ids}": goods.availability,
        "POST warehouse-service/order/{order}/reservation/warehouse/{warehouse}": notes.reserve,
        "POST warehouse-service/order/{order}/goods-note/goods-out": notes.create,
        "GET warehouse-service/order/{order}/goods-note/goods-out": notes.of_order,
        "GET warehouse-service/order/{order}/goods-note/goods-out/{ids}": notes.get,
        "PUT warehouse-service/goods-note/goods-out/{ids}": notes.change,
        "POST warehouse-service/goods-note/goods-out/{ids}/event": notes.event,
        "GET warehouse-service/goods-note/goods-out-search": notes.search.answer,
    }


def _open(world: World, settings: Any) -> Site:  # noqa: ANN401 - the toolkit hands back what SYSTEM.settings made
    return open_site(world, BrightpearlSettings.model_validate(settings))


INDEXES: Final = {
    "order": ("_id", "_reference", "_external_ref", "_updated"),
    "product": ("_id", "_sku", "_updated"),
    "contact": ("_id", "_email", "_updated"),
    "note": ("_id", "orderId"),
    "stock": ("product",),
}
SYSTEM: Final = System("brightpearl", BrightpearlSettings, _open, INDEXES)
