"""BNG, for the contract suites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from towpath.testing.contracts.bench import Bench
from towpath.testing.contracts.example import WAIT, Asked, Emits, Example, Reply, Writes

Json = Any
Document = Mapping[str, Json]
SKU = "BAG-BLA-001"
ADDRESS = {"Street": "Hauptstr. 5", "City": "Berlin", "Zip": "10115", "Country": "DE"}


async def _product(bench: Bench, number: int) -> str:
    row = await bench.control("PUT", f"products/NEW-{number}", {"name": "Cap", "price": "19.99", "attributes": {"Colour": "red"}, "on_hand": 5})
    return str(row["ProductID"])


async def _reprice(bench: Bench, product: str) -> None:
    (row,) = await bench.rows("products", ProductID=product)
    await bench.control("PUT", f"products/{row['SKU']}", {"price": "20.49"})


async def _stock(bench: Bench, number: int) -> str:
    await bench.control("PUT", f"products/STOCK-{number}", {"on_hand": 5})
    return f"STOCK-{number}"


async def _count(bench: Bench, sku: str) -> None:
    await bench.control("POST", "warehouse/count", {"sku": sku, "on_hand": 3})


async def _sold(bench: Bench, number: int) -> str:
    customer = await bench.control("POST", "customers", {"Email": f"ann{number}@example.com"})
    line = {"LineNo": 1, "SKU": SKU, "Quantity": 2, "UnitPrice": "39.90"}
    order = {"CustomerID": customer["CustomerID"], "OrderDate": "2026-11-20", "Currency": "GBP", "Total": "79.80", "Lines": [line]}
    return str((await bench.ask("POST", "sales-orders", order | {"ExternalOrderID": f"SOLD-{number}"}))["SalesOrderID"])


async def _move_on(bench: Bench, order: str) -> None:
    await bench.control("PATCH", f"sales-orders/{order}", {"OrderStatus": 20})


async def _ordered(bench: Bench, number: int) -> str:
    order = await _sold(bench, number)
    await _move_on(bench, order)
    return order


async def _shipped(bench: Bench, number: int) -> str:
    return str((await bench.control("POST", "warehouse/ship", {"order": await _sold(bench, number)}))["ShipmentID"])


async def _invoiced(bench: Bench, number: int) -> str:
    order = await _sold(bench, number)
    await bench.control("POST", "warehouse/ship", {"order": order})
    (invoice,) = await bench.rows("invoices", SalesOrderID=order)
    return str(invoice["InvoiceID"])


async def _known(bench: Bench, number: int) -> str:
    named = {"Email": f"ann{number}@example.com", "FirstName": "Ann", "CustomFields": {"Tier": "gold"}, "BillingAddress": ADDRESS}
    return str((await bench.control("POST", "customers", named))["CustomerID"])


async def _marry(bench: Bench, customer: str) -> None:
    await bench.control("PATCH", f"customers/{customer}", {"LastName": "Other"})


async def _vendor(bench: Bench, number: int) -> str:
    return str((await bench.control("POST", "vendors", {"name": f"Kiln & Co {number}", "address": ADDRESS}))["VendorID"])


async def _purchase(bench: Bench, number: int) -> str:
    lines = {"vendor": await _vendor(bench, number), "lines": {SKU: 10}, "unit_cost": "3.25"}
    return str((await bench.control("POST", "purchase-orders", lines))["PurchaseOrderID"])


async def _receive(bench: Bench, purchase: str) -> None:
    await bench.control("POST", f"purchase-orders/{purchase}/receive", {"lines": {SKU: 4}})


async def _recall(bench: Bench, order: str) -> None:
    await bench.control("PATCH", f"sales-orders/{order}", {"OrderStatus": 10})


async def _customer(_bench: Bench, number: int) -> Asked:
    named = {"ExternalID": f"TP-{number}", "Email": f"zoe{number}@example.com", "FirstName": "Zoë", "BillingAddress": ADDRESS}
    return Asked({**named, "Match": {"Confidence": 0.8}})


async def _new_name(bench: Bench, number: int) -> Asked:
    expected = {"ExternalID": f"TP-{number}", "FirstName": "Ann", "LastName": "", "CompanyName": "", "BillingAddress": ADDRESS, "CustomFields": {}}
    changed = {"LastName": "Müller", "BillingAddress": {**ADDRESS, "City": "Potsdam"}, "CustomFields": {"Customer Type": "Retail"}}
    return Asked({"Customer": await _known(bench, number), "Wanted": expected | changed, "Expected": expected, "Fills": False})


async def _order(_bench: Bench, number: int) -> Asked:
    key = f"shop/customer/{number}"
    lines = [{"LineNo": 1, "SKU": SKU, "Quantity": 2, "UnitPrice": "0.10", "TaxAmount": "0.30"}]
    document = {"ExternalOrderID": f"TP-{number}", "CustomerID": {"$ref": "customer", "key": key}, "OrderDate": "2026-11-20", "Currency": "EUR"}
    customer = f'{{"ExternalID": "TP-{number}", "Email": "zoe{number}@example.com"}}'
    return Asked(document | {"Lines": lines, "Total": "0.50", "ShippingAddress": ADDRESS}, {f"customer {key}": customer}, ("0.10", "0.30", "0.50"))


async def _of_order(bench: Bench, number: int, **more: Json) -> Asked:
    return Asked({"SalesOrderID": await _sold(bench, number), **more})


async def _change(bench: Bench, number: int) -> Asked:
    return await _of_order(bench, number, Change={"CustomFields": {"Order Source": "web"}, "ShippingAmount": "4.90"})


async def _cancellation(bench: Bench, number: int) -> Asked:
    return await _of_order(bench, number)


async def _payment(bench: Bench, number: int) -> Asked:
    return await _of_order(bench, number, PaymentStatus="Paid")


async def _entry(bench: Bench, number: int) -> Asked:
    lines = [{"Account": "1020", "Debit": "79.80", "Credit": "0.00"}, {"Account": "1200", "Debit": "0.00", "Credit": "79.80"}]
    entry = {"EntryDate": "2026-11-20", "Reference": f"shop/order/{number} payment", "Lines": lines}
    settles = {"SalesOrderID": await _sold(bench, number), "Amount": "79.80", "Currency": "GBP"}
    return Asked({"Entry": entry, "Settles": settles}, money=("79.80", "0.00"))


async def _memo(bench: Bench, number: int) -> Asked:
    line = {"LineNo": 1, "SKU": SKU, "Quantity": 1, "UnitPrice": "39.90", "TaxAmount": "0.10"}
    own = {"Reference": f"shop/order/{number} refund", "Currency": "GBP", "Total": "40.00", "Lines": [line]}
    asked = await _of_order(bench, number, **own)
    return Asked(asked.document, money=("39.90", "0.10", "40.00"))


async def _customers(bench: Bench, document: Document) -> int:
    return len(await bench.rows("customers", ExternalID=document["ExternalID"]))


async def _named(bench: Bench, document: Document) -> int:
    (row,) = await bench.rows("customers", CustomerID=document["Customer"])
    wanted = document["Wanted"] | {"CustomFields": {"Tier": "gold", **document["Wanted"]["CustomFields"]}, "ExternalID": None}
    return int(all((row[name] or "") == (value or "") for name, value in wanted.items()))


async def _entries(bench: Bench, document: Document) -> int:
    return len(await bench.rows("gl_entries", Reference=document["Entry"]["Reference"]))


async def _memos(bench: Bench, document: Document) -> int:
    return len(await bench.rows("credit_memos", Reference=document["Reference"], SalesOrderID=document["SalesOrderID"]))


async def _orders(bench: Bench, document: Document) -> int:
    orders = await bench.rows("sales_orders", ExternalOrderID=document["ExternalOrderID"])
    return len([order for order in orders if order["OrderStatus"] != 90])  # noqa: PLR2004 - cancelled: a twin that was undone


async def _changed(bench: Bench, document: Document) -> int:
    return len(await bench.rows("sales_orders", SalesOrderID=document["SalesOrderID"], **document["Change"]))


async def _cancelled(bench: Bench, document: Document) -> int:
    return len(await bench.rows("sales_orders", SalesOrderID=document["SalesOrderID"], OrderStatus=90))


async def _paid(bench: Bench, document: Document) -> int:
    return len(await bench.rows("sales_orders", SalesOrderID=document["SalesOrderID"], PaymentStatus="Paid"))


EXAMPLE = Example(
    system="bng",
    base="/api/v1/",
    credentials={"api_key": "towpath-sandbox-key"},
    headers={"X-API-Key": "towpath-sandbox-key"},
    throttled=Reply(429, {"error": {"code": "rate_limited", "message": "too many requests"}}, {"Retry-After": str(int(WAIT))}),
    missing=Reply(404, {"error": {"code": "not_found", "message": "there is none"}}),
    maps=frozenset({"Attributes", "CustomFields", "Dimensions"}),
    pages="producers.bng.polls",
    emits={
        "product": Emits(_product, _reprice),
        "inventory": Emits(_stock, _count),
        "sales_order": Emits(_ordered, _recall),
        "shipment": Emits(_shipped),
        "invoice": Emits(_invoiced),
        "customer": Emits(_known, _marry),
        "vendor": Emits(_vendor, hooked=False, named=False),
        "purchase_order": Emits(_purchase, _receive, hooked=False, named=False),
    },
    writes={
        "create_customer": Writes(_customer, _customers),
        "put_customer": Writes(_new_name, _named, lambda one: {**one, "Wanted": {**one["Wanted"], "CompanyName": "Oak Ltd"}}),
        "create_order": Writes(_order, _orders),
        "change_order": Writes(_change, _changed, lambda one: {**one, "Change": {"ShippingAmount": "5.90"}}),
        "cancel_order": Writes(_cancellation, _cancelled),
        "set_payment_status": Writes(_payment, _paid),
        "create_gl_entry": Writes(_entry, _entries),
        "create_credit_memo": Writes(_memo, _memos),
    },
)
"""BNG by its API key."""
