"""NopCommerce, for the contract suites."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from towpath.testing.contracts.bench import Bench, now
from towpath.testing.contracts.example import Asked, Emits, Example, Reply, Writes

Json = Any
Document = Mapping[str, Json]
TRIES = 60
SKUS = 60
PENDING, CANCELLED = 10, 40
PAID, REFUNDED = 30, 40
ADDRESS = {"Address1": "Hauptstr. 5", "Address2": "", "City": "Berlin", "State": "", "Zip": "10115", "Country": "DE", "Phone": "+49 30 1234"}


def _is_open(order: Json, _items: Json) -> bool:
    return bool(order["order_status_id"] == PENDING)


async def _bought(bench: Bench, number: int, fits: Callable[[Json, Json], bool] = _is_open) -> tuple[Json, Json]:
    for attempt in range(TRIES):
        order_id = 1_000 + number * TRIES + attempt
        await bench.control("POST", "shopper", {"orders": 1, "seed": 1, "first_id": order_id})
        (order,), items = await bench.rows("orders", id=order_id), await bench.rows("order_items", order_id=order_id)
        if fits(order, items):
            return order, items
    raise AssertionError(f"none of {TRIES} orders fits")


async def _order(bench: Bench, number: int) -> str:
    return str((await _bought(bench, number))[0]["id"])


async def _cancel(bench: Bench, order: str) -> None:
    await bench.control("POST", f"orders/{order}/cancel")


async def _customer(bench: Bench, number: int) -> str:
    return str((await bench.control("POST", "customers", {"email": f"ann{number}@example.com"}))["customer"]["id"])


async def _move(bench: Bench, customer: str) -> None:
    await bench.control("POST", f"customers/{customer}", {"address": {"city": "Bremen"}})


async def _returned(bench: Bench, number: int) -> str:
    order, items = await _bought(bench, number)
    (product,) = await bench.rows("products", id=items[0]["product_id"])
    paid = {"payment_status_id": PAID, "paid_date_utc": "2026-11-20T09:45:00Z", "event": None}
    await bench.control("POST", f"orders/{order['id']}", paid)
    return str((await bench.control("POST", f"orders/{order['id']}/return", {"sku": product["sku"]}))["id"])


async def _authorise(bench: Bench, request: str) -> None:
    await bench.control("POST", f"return-requests/{request}", {"return_request_status_id": 20})


async def _product(bench: Bench, number: int) -> str:
    product = (await bench.rows("products"))[number % SKUS]
    changed = await bench.control("POST", f"products/{product['sku']}", {"name": f"Cap {number}", "updated_on_utc": _now()})
    return str(changed["id"])


async def _reprice(bench: Bench, product: str) -> None:
    (row,) = await bench.rows("products", id=int(product))
    await bench.control("POST", f"products/{row['sku']}", {"price": row["price"] + 1, "updated_on_utc": _now()})


async def _status(bench: Bench, number: int) -> Asked:
    return Asked({"OrderID": await _order(bench, number), "Status": 20})


async def _cancellation(bench: Bench, number: int) -> Asked:
    return Asked({"OrderID": await _order(bench, number)})


async def _shipment(bench: Bench, number: int) -> Asked:
    order, items = await _bought(bench, number, lambda one, items: _is_open(one, items) and any(item["quantity"] > 1 for item in items))
    item = next(item for item in items if item["quantity"] > 1)
    (product,) = await bench.rows("products", id=item["product_id"])
    lines = [{"SKU": product["sku"], "Quantity": 1}]
    own = {"OrderID": str(order["id"]), "Reference": f"erp/shipment/SH-{number}", "TrackingNumber": "JD014600003", "Carrier": "DHL"}
    return Asked({**own, "ShippedAt": "2026-11-20T09:30:00.000000Z", "Lines": lines})


async def _stock(bench: Bench, number: int) -> Asked:
    sku = (await bench.rows("products"))[number % SKUS]["sku"]
    return Asked({"SKU": sku, "StockQuantity": 1_000 + number, "RaisedAt": 1})


async def _new_product(_bench: Bench, number: int) -> Asked:
    return Asked({"SKU": f"CAP-{number}", "Name": "Cap", "Price": "0.30", "Attributes": {"Colour": "blue"}, "ProductType": "simple"}, money=("0.30",))


async def _new_customer(_bench: Bench, number: int) -> Asked:
    named = {"FirstName": "Zoë", "LastName": "Müller", "BillingAddress": ADDRESS}
    return Asked({"Reference": f"erp/customer/C{number}", "Email": f"zoe{number}@example.com", **named, "Match": {"Confidence": 0.8}})


async def _new_name(bench: Bench, number: int) -> Asked:
    """Give a customer of whom nothing is known but an address and an e-mail address another of each, and a name."""
    names = {"FirstName": "", "LastName": "Müller", "Company": ""}
    named = {"Reference": f"erp/customer/C{number}", "Email": f"zoe{number}@example.com", **names}
    expected = {**named, "Email": f"ann{number}@example.com", "LastName": "", "Attributes": {}}
    wanted = {**named, "BillingAddress": ADDRESS, "Attributes": {"CustomerType": "Retail"}}
    return Asked({"Customer": await _customer(bench, number), "Wanted": wanted, "Expected": expected, "Fills": False})


async def _refund(bench: Bench, number: int) -> Asked:
    request = await _returned(bench, number)
    (asked,) = await bench.rows("return_requests", id=int(request))
    (item,) = await bench.rows("order_items", id=asked["order_item_id"])
    (order,) = await bench.rows("orders", id=item["order_id"])
    own = {"OrderID": str(order["id"]), "ReturnRequestID": request, "Reference": f"erp/refund/{number}"}
    return Asked({**own, "Amount": "1.25", "Currency": order["customer_currency_code"], "Offline": False})


async def _moved_on(bench: Bench, document: Document) -> int:
    return len(await bench.rows("orders", id=int(document["OrderID"]), order_status_id=document["Status"]))


async def _cancelled(bench: Bench, document: Document) -> int:
    return len(await bench.rows("orders", id=int(document["OrderID"]), order_status_id=CANCELLED))


async def _shipments(bench: Bench, document: Document) -> int:
    rows = await bench.rows("shipments", order_id=int(document["OrderID"]))
    items = [item for row in rows for item in await bench.rows("shipment_items", shipment_id=row["id"])]
    return len(items) if [row for row in rows if row["shipped_date_utc"]] else 0


async def _quantity(bench: Bench, document: Document) -> int:
    return len(await bench.rows("products", sku=document["SKU"], stock_quantity=document["StockQuantity"]))


async def _products(bench: Bench, document: Document) -> int:
    return len(await bench.rows("products", sku=document["SKU"], name=document["Name"], price=float(document["Price"])))


async def _customers(bench: Bench, document: Document) -> int:
    rows = await bench.rows("customers", email=document["Email"], admin_comment=document["Reference"])
    return len([role for row in rows for role in await bench.rows("customer_roles", customer_id=row["id"])]) if len(rows) == 1 else len(rows)


async def _refunds(bench: Bench, document: Document) -> int:
    refunds = await bench.rows("refunds", order_id=int(document["OrderID"]))
    return len(refunds) if await bench.rows("return_requests", id=int(document["ReturnRequestID"]), return_request_status_id=REFUNDED) else 0


async def _named(bench: Bench, document: Document) -> int:
    wanted = document["Wanted"]
    (row,) = await bench.rows("customers", id=int(document["Customer"]))
    (billing,) = await bench.rows("addresses", id=row["billing_address_id"])
    said = [(one["key"], one["value"]) for one in await bench.rows("generic_attributes", entity_id=row["id"])]
    own = [*((name, wanted[name]) for name in ("FirstName", "LastName", "Company") if wanted[name]), *wanted["Attributes"].items()]
    where = (row["email"], billing["address1"], billing["city"])
    return int(where == (wanted["Email"], ADDRESS["Address1"], ADDRESS["City"]) and sorted(said) == sorted(own))


def _now() -> str:
    return now().isoformat(timespec="microseconds").replace("+00:00", "Z")


EXAMPLE = Example(
    system="nopcommerce",
    base="/api-backend/",
    logins=("Authenticate/",),
    changing_gets=("OrderProcessing/",),
    credentials={"username": "api@shop.example", "password": "towpath-sandbox-password"},
    missing=Reply(404, "not found"),
    pages="producers.nopcommerce.polls",
    emits={
        "order": Emits(_order, _cancel),
        "customer": Emits(_customer, _move),
        "product": Emits(_product, _reprice, hooked=False),
        "return_request": Emits(_returned, _authorise),
    },
    writes={
        "set_order_status": Writes(_status, _moved_on, lambda one: {**one, "Status": 30}),
        "cancel_order": Writes(_cancellation, _cancelled),
        "create_shipment": Writes(_shipment, _shipments),
        "set_stock": Writes(_stock, _quantity, lambda one: {**one, "StockQuantity": one["StockQuantity"] + 7, "RaisedAt": 2}),
        "refund_order": Writes(_refund, _refunds),
        "create_customer": Writes(_new_customer, _customers),
        "put_customer": Writes(_new_name, _named, lambda one: {**one, "Wanted": {**one["Wanted"], "Company": "Oak Ltd"}}),
        "put_product": Writes(_new_product, _products, lambda one: {**one, "Name": "Cap, wool"}),
    },
)
"""A shop with the official Web API Backend."""
