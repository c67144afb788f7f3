"""Brightpearl, for the contract suites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from towpath.testing.contracts.bench import Bench
from towpath.testing.contracts.example import WAIT, Asked, Emits, Example, Reply, Writes

Json = Any
Document = Mapping[str, Json]
SKU = "BAG-BLA-001"
HOME = {"addressLine1": "Hauptstr. 5", "addressLine2": "", "addressLine3": "Berlin", "postalCode": "10115", "countryIsoCode": "DE"}
AWAY = {"addressLine1": "1 High St", "addressLine2": "", "addressLine3": "Leeds", "postalCode": "LS1 4AP", "countryIsoCode": "GB"}
TOKEN = "towpath-sandbox-token+/="  # noqa: S105 - made up
SECRET = "a-secret-that-stands-in-the-address"  # noqa: S105 - made up


async def _product(bench: Bench, number: int) -> str:
    return str((await bench.control("PUT", f"products/NEW-{number}", {"name": "Cap", "price": "12.50", "on_hand": 5}))["id"])


async def _rename(bench: Bench, product: str) -> None:
    (row,) = await bench.rows("products", id=int(product))
    await bench.control("PUT", f"products/{row['identity']['sku']}", {"name": "Cap, wool"})


async def _count(bench: Bench, product: str) -> None:
    (row,) = await bench.rows("products", id=int(product))
    await bench.control("POST", "warehouse/count", {"sku": row["identity"]["sku"], "on_hand": 3})


async def _contact(bench: Bench, number: int) -> str:
    contact = {"firstName": "Ann", "communication": {"emails": {"PRI": {"email": f"ann{number}@example.com"}}}}
    await bench.control("PUT", f"contacts/{10_000 + number}", contact)
    return str(10_000 + number)


async def _remarry(bench: Bench, contact: str) -> None:
    await bench.control("PUT", f"contacts/{contact}", {"firstName": "Ann", "lastName": "Other"})


async def _sold(bench: Bench, number: int) -> str:
    contact = int(await _contact(bench, number))
    rows = [{"productId": 1001, "quantity": "2", "taxCode": "T20", "net": "10.00", "tax": "2.00"}]
    order = int(
        (await bench.ask("POST", "order-service/sales-order", {"customer": {"id": contact}, "ref": f"SOLD-{number}", "rows": rows}))["response"]
    )
    (placed,) = (await bench.ask("GET", f"order-service/order/{order}"))["response"]
    products = [{"productId": row["productId"], "salesOrderRowId": int(one), "quantity": 2} for one, row in placed["orderRows"].items()]
    await bench.ask("POST", f"warehouse-service/order/{order}/reservation/warehouse/2", {"products": products})
    return str(order)


async def _ordered(bench: Bench, number: int) -> str:
    order = await _sold(bench, number)
    await _set_status(bench, order, 3)
    return order


async def _set_status(bench: Bench, order: str, status: int = 2) -> None:
    await bench.control("PUT", f"orders/{order}/status", {"orderStatusId": status})


async def _noted(bench: Bench, number: int) -> str:
    return str((await bench.control("POST", "warehouse/note", {"order": int(await _sold(bench, number))}))["_id"])


async def _shipped(bench: Bench, number: int) -> str:
    return str((await bench.control("POST", "warehouse/ship", {"order": int(await _sold(bench, number)), "tracking_number": "1Z9"}))["_id"])


async def _address(_bench: Bench, number: int) -> Asked:
    return Asked({"addressLine1": f"Hauptstr. {number}", "addressLine3": "Berlin", "postalCode": "10115", "countryIsoCode": "DE"})


async def _customer(_bench: Bench, number: int) -> Asked:
    return Asked({"firstName": "Zoë", "lastName": "Müller", "communication": {"emails": {"PRI": {"email": f"zoe{number}@example.com"}}}})


async def _new_name(bench: Bench, number: int) -> Asked:
    """Give a contact another name, and another address to ship to than the one that is each of theirs."""
    address = (await bench.ask("POST", "contact-service/postal-address", {**HOME, "countryIsoCode": "DEU"}))["response"]
    ids = {"postAddressIds": dict.fromkeys(("DEF", "BIL", "DEL"), address)}
    contact = await _contact(bench, number)
    await bench.control("PUT", f"contacts/{contact}", ids)
    expected = {"FirstName": "Ann", "LastName": "", "Email": f"ann{number}@example.com", "BillingAddress": HOME, "ShippingAddress": HOME}
    wanted = {**expected, "LastName": "Müller", "Email": f"zoe{number}@example.com", "ShippingAddress": AWAY}
    return Asked({"Customer": contact, "Wanted": wanted, "Expected": expected, "Fills": False})


async def _order(bench: Bench, number: int) -> Asked:
    row: Json = {"SKU": SKU, "name": "Bag", "quantity": "2", "taxCode": "T20", "net": "0.30", "tax": "0.10"}
    document: Json = {"customer": {"id": int(await _contact(bench, number))}, "ref": f"TP-{number}", "placedOn": "2026-11-20T02:30:00.000000Z"}
    document |= {"timeZone": "America/Chicago", "warehouseId": 2, "statusId": 2, "currency": {"code": "USD"}, "rows": [row]}
    return Asked(document, money=("0.30", "0.10"))


async def _edit(bench: Bench, number: int) -> Asked:
    row = {"SKU": SKU, "name": "Bag", "quantity": "3", "taxCode": "T20", "net": "0.30", "tax": "0.10"}
    order = {"OrderID": await _sold(bench, number), "delivery": {"address": {**AWAY, "addressFullName": "Ann"}}, "rows": [row]}
    return Asked(order, money=("0.30", "0.10"))


async def _edited(bench: Bench, document: Document) -> int:
    (order,) = await bench.rows("orders", id=int(document["OrderID"]))
    (row,), (wanted,) = order["orderRows"].values(), document["rows"]
    stands = row["quantity"]["magnitude"], order["parties"]["delivery"]["addressLine1"]
    return int(stands == (f"{wanted['quantity']}.0000", document["delivery"]["address"]["addressLine1"]))


async def _status(bench: Bench, number: int) -> Asked:
    return Asked({"OrderID": await _sold(bench, number), "OrderStatusID": 3})


async def _shipping(bench: Bench, number: int) -> Asked:
    note = await _noted(bench, number)
    return Asked({"NoteID": note, "TrackingNumbers": ["1Z0", "1Z1"], "ShippedAt": "2026-11-20T09:30:00.000000Z", "EventOwnerID": 9})


async def _tracking(bench: Bench, number: int) -> Asked:
    return Asked({"NoteID": await _noted(bench, number), "TrackingNumbers": ["1Z0", "1Z1"]})


async def _payment(bench: Bench, number: int) -> Asked:
    own = {"transactionRef": f"ch_{number}", "paymentMethodCode": "CARD", "paymentType": "RECEIPT", "orderId": await _sold(bench, number)}
    paid = {"currencyIsoCode": "USD", "amountPaid": "12.30", "paymentDate": "2026-11-20T02:30:00.000000Z"}
    return Asked({**own, **paid}, money=("12.30",))


async def _journal(bench: Bench, number: int) -> Asked:
    change = {"currency": "USD", "value": "12.00"}
    sides = {side: [{"nominalCode": code, "change": change}] for side, code in (("debits", "1200"), ("credits", "1100"))}
    entry = {"description": f"shop/order/{number} payment", "currency": "USD", **sides}
    settles = {"OrderID": await _sold(bench, number), "Amount": "12.00", "Currency": "USD"}
    booked = {"PaymentID": "1", "BookedAt": "2026-11-20T02:30:00.000000Z", "TimeZone": "America/Chicago"}
    return Asked({**booked, "Settles": settles, "Entry": entry}, money=("12.00",))


async def _credit(bench: Bench, number: int) -> Asked:
    row = {"SKU": SKU, "name": "Bag", "quantity": "1", "taxCode": "T20", "net": "0.30", "tax": "0.10"}
    own = {"parentId": await _sold(bench, number), "ref": f"TP-{number}-R5", "placedOn": "2026-11-20T02:30:00.000000Z"}
    return Asked({**own, "timeZone": "America/Chicago", "warehouseId": 2, "currency": "USD", "rows": [row]}, money=("0.30", "0.10"))


async def _arrival(bench: Bench, number: int) -> Asked:
    row = {"productId": 1001, "quantity": "1", "taxCode": "T20", "net": "10.00", "tax": "2.00"}
    order = {"parentId": int(await _sold(bench, number)), "customer": {"id": 10_000 + number}, "ref": f"SOLD-{number}-R5", "rows": [row]}
    credit = (await bench.ask("POST", "order-service/sales-credit", order))["response"]
    own = {"CreditID": str(credit), "warehouseId": 2, "receivedOn": "2026-11-20T02:30:00.000000Z"}
    return Asked({**own, "userBatchReference": f"shop/order/{number}/return/5", "rows": [{"SKU": SKU, "quantity": 1}]})


async def _new_product(_bench: Bench, number: int) -> Asked:
    named = {"SKU": f"CAP-{number}", "Name": "Cap", "Price": "0.30", "PriceListID": 2, "BrandID": 74, "CategoryCode": "296", "TaxCode": "T"}
    return Asked(named, money=("0.30",))


async def _addresses(bench: Bench, document: Document) -> int:
    return len(await bench.rows("addresses", addressLine1=document["addressLine1"]))


async def _contacts(bench: Bench, document: Document) -> int:
    wanted = document["communication"]["emails"]["PRI"]["email"]
    return len([row for row in await bench.rows("contacts") if row["communication"]["emails"]["PRI"]["email"] == wanted])


async def _named(bench: Bench, document: Document) -> int:
    wanted = document["Wanted"]
    (row,) = await bench.rows("contacts", contactId=int(document["Customer"]))
    places = {one["addressId"]: one["addressLine1"] for one in await bench.rows("addresses")}
    stands = (row["firstName"], row["lastName"], row["communication"]["emails"]["PRI"]["email"])
    where = [places[row["postAddressIds"][kind]] for kind in ("DEF", "BIL", "DEL")]
    lines = [wanted[name]["addressLine1"] for name in ("BillingAddress", "BillingAddress", "ShippingAddress")]
    return int(stands == (wanted["FirstName"], wanted["LastName"], wanted["Email"]) and where == lines)


async def _orders(bench: Bench, document: Document) -> int:
    orders = await bench.rows("orders", reference=document["ref"])
    return len([order for order in orders if order["allocationStatusCode"] == "AAA"]) if len(orders) == 1 else len(orders)


async def _has_status(bench: Bench, document: Document) -> int:
    (order,) = await bench.rows("orders", id=int(document["OrderID"]))
    return int(order["orderStatus"]["orderStatusId"] == document["OrderStatusID"])


async def _left(bench: Bench, document: Document) -> int:
    (note,) = await bench.rows("notes", _id=int(document["NoteID"]))
    return len([event for event in note["events"] if event["eventCode"] == "SHW"]) if await _tracked(bench, document) else 0


async def _tracked(bench: Bench, document: Document) -> int:
    (note,) = await bench.rows("notes", _id=int(document["NoteID"]))
    return int(note["shipping"]["reference"] == "1Z0, 1Z1")


async def _payments(bench: Bench, document: Document) -> int:
    return len(await bench.rows("payments", transactionRef=document["transactionRef"], amountPaid=document["amountPaid"]))


async def _journals(bench: Bench, document: Document) -> int:
    return len(await bench.rows("journals", description=document["Entry"]["description"]))


async def _credits(bench: Bench, document: Document) -> int:
    return len(await bench.rows("orders", reference=document["ref"], orderTypeCode="SC"))


async def _arrivals(bench: Bench, document: Document) -> int:
    return len(await bench.rows("goods_in_notes", userBatchReference=document["userBatchReference"]))


async def _products(bench: Bench, document: Document) -> int:
    rows = [row for row in await bench.rows("products") if row["identity"]["sku"] == document["SKU"]]
    return len(rows) if [channel["productName"] for row in rows for channel in row["salesChannels"]] == [document["Name"]] else 0


EXAMPLE = Example(
    system="brightpearl",
    base="/public-api/acme/",
    address="/public-api/acme",
    credentials={"app_ref": "acme_towpath", "account_token": TOKEN},
    headers={"brightpearl-app-ref": "acme_towpath", "brightpearl-account-token": TOKEN},
    settings={"calls_per_minute": None},
    webhook_query=f"secret={SECRET}",
    throttled=Reply(
        503,
        {"response": "You have sent too many requests. Please wait before sending another request"},
        {"brightpearl-requests-remaining": "0", "brightpearl-next-throttle-period": str(int(WAIT * 1000))},
    ),
    missing=Reply(200, {"response": []}),
    maps=frozenset({"response", "orderRows", "reference", "warehouses", "postAddressIds", "quantityPrice", "customFields"}),
    anew=frozenset({"create_address"}),
    pages="producers.brightpearl.polls",
    emits={
        "product": Emits(_product, _rename),
        "stock": Emits(_product, _count),
        "contact": Emits(_contact, _remarry, hooked=False),
        "order": Emits(_ordered, _set_status),
        "goods_out_note": Emits(_shipped),
    },
    writes={
        "create_address": Writes(_address, _addresses),
        "create_customer": Writes(_customer, _contacts),
        "create_order": Writes(_order, _orders),
        "change_order": Writes(_edit, _edited, lambda one: {**one, "rows": [{**one["rows"][0], "quantity": "4"}]}),
        "set_order_status": Writes(_status, _has_status, lambda one: {**one, "OrderStatusID": 4}),
        "ship_note": Writes(_shipping, _left),
        "track_note": Writes(_tracking, _tracked),
        "create_sales_credit": Writes(_credit, _credits),
        "create_goods_in": Writes(_arrival, _arrivals),
        "create_payment": Writes(_payment, _payments),
        "create_journal_entry": Writes(_journal, _journals),
        "put_customer": Writes(_new_name, _named, lambda one: {**one, "Wanted": {**one["Wanted"], "FirstName": "Zoë"}}),
        "put_product": Writes(_new_product, _products, lambda one: {**one, "Name": "Cap, wool"}),
    },
)
"""An account by a private app."""
