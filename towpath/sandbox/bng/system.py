"""BNG's paths."""

from __future__ import annotations

from typing import Any, Final

from towpath.sandbox.bng import kinds
from towpath.sandbox.bng.auth import Auth
from towpath.sandbox.bng.crew import Crew
from towpath.sandbox.bng.customers import Customers
from towpath.sandbox.bng.desk import Desk
from towpath.sandbox.bng.finance import Finance
from towpath.sandbox.bng.orders import Orders
from towpath.sandbox.bng.products import Products
from towpath.sandbox.bng.purchasing import Purchasing
from towpath.sandbox.bng.records import Kind, Records
from towpath.sandbox.bng.settings import BngSettings
from towpath.sandbox.bng.shipping import Shipping
from towpath.sandbox.bng.stock import ALLOCATION, Stock
from towpath.sandbox.bng.warehouse import Warehouse
from towpath.sandbox.kit.contract import Contract
from towpath.sandbox.kit.messages import Answer, Endpoint, Handler, Refusal
from towpath.sandbox.kit.system import Site, System, World

BASE: Final = "/api/v1"
DUMPS: Final = {
    "customers": "customer",
    "sales_orders": "sales_order",
    "products": "product",
    "inventory": "inventory",
    "allocations": ALLOCATION,
    "shipments": "shipment",
    "invoices": "invoice",
    "payments": "payment",
    "gl_entries": "gl_entry",
    "credit_memos": "credit_memo",
    "vendors": "vendor",
    "purchase_orders": "purchase_order",
}


def open_site(world: World, settings: BngSettings) -> Site:
    """Return BNG over this store, with the catalogue in it."""
    contract, auth, stock = Contract("bng"), Auth(settings, world.tokens), Stock(world)
    products, customers, finance = Products(world, stock), Customers(world, contract), Finance(world, contract)
    products.fill(settings)
    orders = Orders(world, contract, stock, finance)
    shipping = Shipping(world, orders, stock)
    crew = Crew(world, orders, shipping, stock)
    endpoints = [
        Endpoint("POST", "/oauth/token", auth.token, public=True),
        *_paths("sales-orders", orders.records, orders.create, orders.change),
        *_paths("customers", customers.records, customers.create, customers.change),
        *_paths("products", products.records),
        Endpoint("GET", f"{BASE}/inventory", stock.rows.page),
        Endpoint("GET", f"{BASE}/inventory/{{SKU}}", stock.one),
        *_paths("shipments", shipping.shipments),
        *_books(world, finance),
    ]
    controls = [*crew.paths(), *Warehouse(world, products, stock, shipping).paths(), *Desk(world, orders, customers).paths()]
    controls += Purchasing(world, stock).paths()
    return Site(endpoints, auth.authenticate, refuse, DUMPS, controls, crew.stats)


def refuse(refusal: Refusal) -> Answer:
    """Return the refusal in BNG's error body."""
    error = {"code": refusal.code, "message": refusal.message, "field": refusal.field}
    return Answer(refusal.status, {"error": error}, refusal.headers)


def _books(world: World, finance: Finance) -> list[Endpoint]:
    def records(kind: Kind) -> Records:
        return Records(world.store, world.clock, kind)

    return [
        *_paths("invoices", records(kinds.INVOICES)),
        Endpoint("POST", f"{BASE}/payments", finance.pay, write=True),
        Endpoint("GET", f"{BASE}/gl-entries", records(kinds.GL_ENTRIES).page),
        Endpoint("POST", f"{BASE}/gl-entries", finance.post_entry, write=True),
        Endpoint("GET", f"{BASE}/credit-memos", records(kinds.CREDIT_MEMOS).page),
        Endpoint("POST", f"{BASE}/credit-memos", finance.credit, write=True),
        Endpoint("GET", f"{BASE}/vendors", records(kinds.VENDORS).page),
        Endpoint("GET", f"{BASE}/purchase-orders", records(kinds.PURCHASE_ORDERS).page),
    ]


def _paths(name: str, records: Records, create: Handler | None = None, change: Handler | None = None) -> list[Endpoint]:
    many = f"{BASE}/{name}"
    one = f"{many}/{{{records.kind.id}}}"
    endpoints = [Endpoint("GET", many, records.page), Endpoint("GET", one, records.one)]
    if create is not None:
        endpoints.append(Endpoint("POST", many, create, write=True))
    if change is not None:
        endpoints.append(Endpoint("PATCH", one, change, write=True))
    return endpoints


def _open(world: World, settings: Any) -> Site:  # noqa: ANN401 - the toolkit hands back what SYSTEM.settings made
    return open_site(world, BngSettings.model_validate(settings))


SYSTEM: Final = System("bng", BngSettings, _open, {ALLOCATION: ("SalesOrderID",), **{kind.name: kind.indexes for kind in kinds.ALL}})
