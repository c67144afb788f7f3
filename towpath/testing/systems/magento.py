"""Magento, for the contract suites."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from towpath.testing.contracts.bench import Bench
from towpath.testing.contracts.example import Asked, Emits, Example, Reply, Writes

Json = Any
Document = Mapping[str, Json]
TRIES = 60
HOME = {"Lines": ["12 Oak Ave", "Apt 4"], "City": "Purchase", "State": "NY", "Zip": "10577", "Country": "US"}
AWAY = {"Lines": ["Hauptstr. 5"], "City": "Berlin", "State": "", "Zip": "10115", "Country": "DE"}


def _is_new(order: Json) -> bool:
    return bool(order["state"] == "new")


async def _bought(bench: Bench, number: int, fits: Callable[[Json], bool] = _is_new) -> Json:
    for attempt in range(TRIES):
        entity_id = 1_000 + number * TRIES + attempt
        await bench.control("POST", "shopper", {"orders": 1, "seed": 7, "first_id": entity_id})
        (order,) = await bench.rows("orders", entity_id=entity_id)
        if fits(order):
            return order
    raise AssertionError(f"none of {TRIES} orders fits")


async def _order(bench: Bench, number: int) -> str:
    return str((await _bought(bench, number))["entity_id"])


async def _pay(bench: Bench, order: str) -> None:
    await bench.control("POST", f"orders/{order}/pay")


async def _refunded(bench: Bench, number: int) -> str:
    order = await _order(bench, number)
    await _pay(bench, order)
    memo = await bench.control("POST", f"orders/{order}/refund", {"comment": "too small"})
    return str(memo["entity_id"])


async def _customer(bench: Bench, number: int) -> str:
    made = await bench.control("POST", "customers", {"email": f"ann{number}@example.com"})
    return str(made["customer"]["id"])


async def _rename(bench: Bench, customer: str) -> None:
    await bench.control("POST", f"customers/{customer}", {"firstname": "Ada"})


async def _status(bench: Bench, number: int) -> Asked:
    return Asked({"OrderID": await _order(bench, number), "Comment": "erp: Processing"})


async def _cancellation(bench: Bench, number: int) -> Asked:
    return Asked({"OrderID": await _order(bench, number)})


async def _shipment(bench: Bench, number: int) -> Asked:
    """Ship a part of an order: what is shipped whole is refused a second time by the shop itself."""
    order = await _bought(bench, number, lambda one: _is_new(one) and any(item["qty_ordered"] > 1 for item in one["items"]))
    item = next(item for item in order["items"] if item["qty_ordered"] > 1)
    lines = [{"LineNo": 1, "SKU": item["sku"], "Quantity": 1}]
    own = {"OrderID": str(order["entity_id"]), "Reference": f"erp/shipment/SH-{number}", "TrackingNumber": "JD014600003"}
    return Asked({**own, "Carrier": "DHL", "SourceCode": "default", "Lines": lines})


async def _invoice(bench: Bench, number: int) -> Asked:
    order = await _bought(bench, number)
    total = str(Decimal(str(order["grand_total"])).quantize(Decimal("0.01")))
    own = {"OrderID": str(order["entity_id"]), "Reference": f"erp/invoice/INV-{number}"}
    return Asked({**own, "Total": total, "Currency": order["order_currency_code"], "Capture": True, "Notify": True})


async def _stock(bench: Bench, number: int) -> Asked:
    sku = (await bench.rows("products"))[number % 60]["sku"]
    await bench.control("POST", "stock", {"sku": sku, "quantity": 500 + number})
    return Asked({"SKU": sku, "Salable": 1_000 + number, "RaisedAt": 1, "SourceCode": "default", "StockID": 1})


async def _product(_bench: Bench, number: int) -> Asked:
    named = {"SKU": f"CAP-{number}", "Name": "Cap", "Price": "0.30", "AttributeSet": "Default", "Attributes": {"Colour": "Blue"}}
    return Asked({**named, "AttributeCodes": {"Colour": "color"}}, money=("0.30",))


async def _new_customer(_bench: Bench, number: int) -> Asked:
    named = {"Email": f"zoe{number}@example.com", "FirstName": "Zoë", "LastName": "Müller", "Company": "Oak Ltd", "GroupID": 2}
    return Asked({**named, "BillingAddress": HOME, "ShippingAddress": AWAY, "Telephone": "+1 555 0100", "Match": {"Confidence": 0.8}})


async def _new_name(bench: Bench, number: int) -> Asked:
    """Give a customer another name, and another address to ship to than the one that is both of theirs."""
    customer = await _customer(bench, number)
    region = {"region": {"region_id": 43, "region_code": "NY", "region": "New York"}, "region_id": 43}
    where = {"street": HOME["Lines"], "city": "Purchase", "postcode": "10577", "country_id": "US", **region}
    named = {"firstname": "Ann", "lastname": "Lee", "group_id": 1}
    await bench.control("POST", f"customers/{customer}", {**named, "address": {**where, "company": "Oak Ltd"}})
    names = {"Email": f"ann{number}@example.com", "FirstName": "Ann", "LastName": "Lee", "Company": "Oak Ltd", "GroupID": 1}
    expected = {**names, "BillingAddress": HOME, "ShippingAddress": HOME}
    wanted = {**expected, "Email": f"zoe{number}@example.com", "LastName": "Müller", "GroupID": 2, "ShippingAddress": AWAY}
    return Asked({"Customer": customer, "Wanted": wanted, "Expected": expected, "Fills": False})


async def _comments(bench: Bench, document: Document) -> int:
    (order,) = await bench.rows("orders", entity_id=int(document["OrderID"]))
    said = [row["comment"] for row in order["status_histories"] if row["comment"].startswith("erp:")]
    return said.count(document["Comment"]) if said[:1] == [document["Comment"]] else 0


async def _cancelled(bench: Bench, document: Document) -> int:
    return len(await bench.rows("orders", entity_id=int(document["OrderID"]), state="canceled"))


async def _shipments(bench: Bench, document: Document) -> int:
    return len(await bench.rows("shipments", order_id=int(document["OrderID"])))


async def _invoices(bench: Bench, document: Document) -> int:
    rows = await bench.rows("invoices", order_id=int(document["OrderID"]))
    return len(rows) if [row["comments"][0]["comment"] for row in rows] == [document["Reference"]] else -len(rows)


async def _salable(bench: Bench, document: Document) -> int:
    return int((await bench.control("GET", f"salable/{document['SKU']}"))["salable"] == document["Salable"])


async def _products(bench: Bench, document: Document) -> int:
    rows = await bench.rows("products", sku=document["SKU"], name=document["Name"])
    return len([row for row in rows if str(row["price"]) == str(float(document["Price"]))])


async def _customers(bench: Bench, document: Document) -> int:
    rows = await bench.rows("customers", email=document["Email"])
    return len([row for row in rows if _stands(row, document)])


async def _named(bench: Bench, document: Document) -> int:
    (row,) = await bench.rows("customers", id=int(document["Customer"]))
    return int(_stands(row, document["Wanted"]))


def _stands(row: Json, wanted: Document) -> bool:
    """Tell whether a customer is as wanted, with two addresses and no more."""
    names = {"email": "Email", "firstname": "FirstName", "lastname": "LastName", "group_id": "GroupID"}
    places = {str(one["id"]): one for one in row["addresses"]}
    billing, shipping = (places.get(row.get(field), {}) for field in ("default_billing", "default_shipping"))
    where = [(one.get("street"), one.get("city"), one.get("country_id")) for one in (billing, shipping)]
    asked = [(one["Lines"], one["City"], one["Country"]) for one in (wanted["BillingAddress"], wanted["ShippingAddress"])]
    is_named = all(row[field] == wanted[name] for field, name in names.items()) and billing.get("company") == wanted["Company"]
    return is_named and len(places) == len(asked) and where == asked


EXAMPLE = Example(
    system="magento",
    base="/rest/V1/",
    credentials={"access_token": "towpath-sandbox-token"},
    headers={"Authorization": "Bearer towpath-sandbox-token"},
    missing=Reply(404, {"message": "No such entity with %fieldName = %fieldValue", "parameters": {"fieldName": "id", "fieldValue": 7}}),
    maps=frozenset({"parameters"}),
    pages="producers.magento.polls",
    emits={"order": Emits(_order, _pay), "customer": Emits(_customer, _rename), "creditmemo": Emits(_refunded)},
    writes={
        "set_order_status": Writes(_status, _comments, lambda one: {**one, "Comment": "erp: Shipped"}),
        "cancel_order": Writes(_cancellation, _cancelled),
        "create_shipment": Writes(_shipment, _shipments),
        "create_invoice": Writes(_invoice, _invoices),
        "set_stock": Writes(_stock, _salable, lambda one: {**one, "Salable": one["Salable"] + 7, "RaisedAt": 2}),
        "create_customer": Writes(_new_customer, _customers),
        "put_customer": Writes(_new_name, _named, lambda one: {**one, "Wanted": {**one["Wanted"], "Company": "Elm Ltd"}}),
        "put_product": Writes(_product, _products, lambda one: {**one, "Name": "Cap, wool"}),
    },
)
"""A shop whose integration's token is a bearer."""
