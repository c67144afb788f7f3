from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from towpath.sandbox.kit.clock import ManualClock

Shop = Any
OpenShop = Callable[..., Awaitable[Shop]]
CREATED = "2026-03-01T12:00:00Z"


async def an_order(shop: Shop, least: int = 2, status: int = 30) -> tuple[int, list[dict[str, Any]]]:
    """Return an order of that payment status with at least so many lines, and its items."""
    await shop.control("shopper", {"orders": 20, "seed": 1})
    for order in await shop.rows("orders"):
        items = await shop.ask("GET", f"OrderItem/GetOrderItems/{order['id']}")
        if len(items) >= least and order["payment_status_id"] == status:
            return order["id"], items
    pytest.fail("no such order")


async def pack(shop: Shop, order: int, parts: dict[int, int], **more: object) -> int:
    """Return the shipment that was made of these items and quantities."""
    made = await shop.ask("POST", "Shipment/Create", {"order_id": order, "created_on_utc": CREATED, **more})
    for item, quantity in parts.items():
        await shop.ask("POST", "ShipmentItem/Create", {"shipment_id": made["id"], "order_item_id": item, "quantity": quantity})
    number: int = made["id"]
    return number


async def statuses(shop: Shop, order: int) -> tuple[int, int]:
    found = await shop.ask("GET", f"Order/GetById/{order}")
    return found["shipping_status_id"], found["order_status_id"]


async def asks(shop: Shop, order: int) -> tuple[bool, bool, bool]:
    names = ("HasItemsToAddToShipment", "HasItemsToShip", "HasItemsToDeliver")
    add, ship, deliver = [await shop.ask("GET", f"Order/{name}/{order}") for name in names]
    return add, ship, deliver


async def test_creating_a_shipment_changes_neither_stock_nor_status_and_mails_nobody(open_shop: OpenShop) -> None:
    shop = await open_shop()
    order, items = await an_order(shop)
    before = await shop.ask("GET", f"Order/GetById/{order}"), await shop.rows("products")
    number = await pack(shop, order, {items[0]["id"]: 1}, tracking_number="1Z9", admin_comment="delivery 77")
    assert (await shop.ask("GET", f"Order/GetById/{order}"), await shop.rows("products")) == before
    assert (await shop.rows("mails"), await asks(shop, order)) == ([], (True, True, False))
    [shipment] = await shop.ask("GET", f"Shipment/GetByOrderId/{order}")
    assert shipment == await shop.ask("GET", f"Shipment/GetById/{number}") == (await shop.ask("GET", f"Shipment/GetByIds/{number};9"))[0]
    assert (shipment["tracking_number"], shipment["admin_comment"], shipment["shipped_date_utc"]) == ("1Z9", "delivery 77", None)
    [item] = await shop.ask("GET", f"ShipmentItem/GetByShipmentId/{number}")
    assert {name: item[name] for name in ("order_item_id", "quantity", "warehouse_id")} == {
        "order_item_id": items[0]["id"],
        "quantity": 1,
        "warehouse_id": 0,
    }


async def test_an_order_is_shipped_in_parts_then_whole_and_then_delivered(open_shop: OpenShop) -> None:
    shop = await open_shop()
    order, items = await an_order(shop)
    assert await asks(shop, order) == (True, False, False)
    first = await pack(shop, order, {items[0]["id"]: items[0]["quantity"]})
    assert await shop.ask("GET", f"OrderProcessing/Ship/{first}?notifyCustomer=true") is None
    assert (await statuses(shop, order), await asks(shop, order)) == ((25, 20), (True, False, True))
    second = await pack(shop, order, {item["id"]: item["quantity"] for item in items[1:]})
    await shop.ask("GET", f"OrderProcessing/Ship/{second}?notifyCustomer=true")
    assert (await statuses(shop, order), await asks(shop, order)) == ((30, 20), (False, False, True))
    await shop.ask("GET", f"OrderProcessing/Deliver/{first}?notifyCustomer=false")
    assert await statuses(shop, order) == (30, 20)
    await shop.ask("GET", f"OrderProcessing/Deliver/{second}?notifyCustomer=true")
    assert (await statuses(shop, order), await asks(shop, order)) == ((40, 30), (False, False, False))
    mails = [(mail["template"].split(".")[0], mail["shipment_id"]) for mail in await shop.rows("mails")]
    assert mails == [("ShipmentSent", first), ("ShipmentSent", second), ("ShipmentDelivered", second), ("OrderCompleted", None)]


async def test_a_shop_can_complete_a_paid_order_when_it_is_shipped(open_shop: OpenShop) -> None:
    shop = await open_shop(complete_order_when_delivered=False)
    order, items = await an_order(shop)
    number = await pack(shop, order, {item["id"]: item["quantity"] for item in items})
    await shop.ask("GET", f"OrderProcessing/Ship/{number}?notifyCustomer=false")
    assert await statuses(shop, order) == (30, 30)


async def test_shipping_an_unpaid_order_makes_it_processing_only(open_shop: OpenShop) -> None:
    shop = await open_shop(complete_order_when_delivered=False)
    order, items = await an_order(shop, least=1, status=10)
    number = await pack(shop, order, {item["id"]: item["quantity"] for item in items})
    await shop.ask("GET", f"OrderProcessing/Ship/{number}?notifyCustomer=false")
    assert await statuses(shop, order) == (30, 20)


@pytest.mark.parametrize(("name", "words"), [("Ship", "This shipment is already shipped"), ("Deliver", "This shipment is already delivered")])
async def test_what_was_done_is_refused_with_500_and_nobody_is_mailed_twice(open_shop: OpenShop, name: str, words: str) -> None:
    shop = await open_shop()
    order, items = await an_order(shop)
    number = await pack(shop, order, {items[0]["id"]: 1})
    for done in ("Ship", "Deliver"):
        await shop.ask("GET", f"OrderProcessing/{done}/{number}?notifyCustomer=true")
    before = await shop.rows("shipments"), await shop.rows("mails")
    error = await shop.ask("GET", f"OrderProcessing/{name}/{number}?notifyCustomer=true", status=500)
    assert error == {"message": words, "inner_exception_message": None, "stack_trace": ""}
    assert (await shop.rows("shipments"), await shop.rows("mails")) == before


async def test_what_is_not_shipped_cannot_be_delivered(open_shop: OpenShop) -> None:
    shop = await open_shop()
    order, items = await an_order(shop)
    number = await pack(shop, order, {items[0]["id"]: 1})
    error = await shop.ask("GET", f"OrderProcessing/Deliver/{number}?notifyCustomer=true", status=500)
    assert error["message"] == "This shipment is not shipped yet"


@pytest.mark.parametrize(
    "path", ["OrderProcessing/Ship/1", "OrderProcessing/Ship/1?notifyCustomer=perhaps", "OrderProcessing/Ship/0?notifyCustomer=true"]
)
async def test_a_call_without_its_parameters_is_400(open_shop: OpenShop, path: str) -> None:
    shop = await open_shop()
    order, _ = await an_order(shop)
    await pack(shop, order, {})
    assert (await shop.ask("GET", path, status=400))["Status"] == 400
    assert (await shop.rows("shipments"))[0]["shipped_date_utc"] is None


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("OrderProcessing/Ship/9?notifyCustomer=true", "Shipment Id=9 not found"),
        ("Shipment/GetById/9", "Shipment Id=9 not found"),
        ("Order/HasItemsToShip/9", "Order is not found"),
        ("OrderItem/GetTotalNumberOfItemsCanBeAddedToShipment/9", "Order item is not found"),
    ],
)
async def test_what_is_not_there_is_404_in_words(open_shop: OpenShop, path: str, words: str) -> None:
    shop = await open_shop()
    assert await shop.ask("GET", path, status=404) == words


async def test_more_than_was_ordered_can_be_packed(open_shop: OpenShop) -> None:
    shop = await open_shop()
    order, items = await an_order(shop)
    item, path = items[0], f"OrderItem/GetTotalNumberOfItemsCanBeAddedToShipment/{items[0]['id']}"
    assert await shop.ask("GET", path) == item["quantity"]
    number = await pack(shop, order, {item["id"]: item["quantity"] + 5})
    assert await shop.ask("GET", path) == 0
    assert await shop.ask("GET", f"OrderItem/GetTotalNumberOfItemsInAllShipments/{item['id']}") == item["quantity"] + 5
    await shop.ask("GET", f"OrderProcessing/Ship/{number}?notifyCustomer=false")


async def test_an_item_that_was_created_twice_in_a_shipment_is_counted_once(open_shop: OpenShop) -> None:
    shop = await open_shop()
    order, items = await an_order(shop)
    number = await pack(shop, order, {items[0]["id"]: items[0]["quantity"]})
    await shop.ask("POST", "ShipmentItem/Create", {"shipment_id": number, "order_item_id": items[0]["id"], "quantity": items[0]["quantity"]})
    assert await shop.ask("GET", f"OrderItem/GetTotalNumberOfItemsInAllShipments/{items[0]['id']}") == items[0]["quantity"]
    assert len(await shop.ask("GET", f"ShipmentItem/GetByShipmentId/{number}")) == 2


async def test_a_shipment_for_nothing_known_fails_like_the_database(open_shop: OpenShop) -> None:
    shop = await open_shop()
    for path, body in (("Shipment/Create", {"order_id": 9}), ("ShipmentItem/Create", {"shipment_id": 9, "quantity": 1})):
        assert "FOREIGN KEY" in (await shop.ask("POST", path, body, status=500))["message"]
    assert (await shop.rows("shipments"), await shop.rows("shipment_items")) == ([], [])
    assert await shop.ask("GET", "Shipment/GetByOrderId/9") == []


async def test_what_is_not_sent_of_a_shipment_is_empty(open_shop: OpenShop) -> None:
    shop = await open_shop()
    order, _ = await an_order(shop)
    made = await shop.ask("POST", "Shipment/Create", {"order_id": order, "id": 500})
    assert (made["id"], made["created_on_utc"], made["tracking_number"], made["total_weight"]) == (1, "0001-01-01T00:00:00", None, None)
    await shop.ask("PUT", "Shipment/Update", {**made, "tracking_number": "1Z9"})
    assert (await shop.ask("GET", f"Shipment/GetById/{made['id']}"))["tracking_number"] == "1Z9"


async def test_a_shipment_is_deleted_with_its_items(open_shop: OpenShop) -> None:
    shop = await open_shop()
    order, items = await an_order(shop)
    kept, gone = [await pack(shop, order, {items[0]["id"]: 1}) for _ in range(2)]
    assert await shop.ask("DELETE", f"Shipment/Delete/{gone}") is None
    assert [shipment["id"] for shipment in await shop.ask("GET", f"Shipment/GetByOrderId/{order}")] == [kept]
    assert [item["shipment_id"] for item in await shop.rows("shipment_items")] == [kept]


async def test_shipments_are_listed_by_what_is_asked(open_shop: OpenShop, clock: ManualClock) -> None:
    shop = await open_shop(clock=clock)
    order, items = await an_order(shop)
    for minute in range(3):
        await pack(shop, order, {items[0]["id"]: 1}, tracking_number=f"T{minute}", created_on_utc=f"2026-03-01T12:0{minute}:00+00:00")
    await shop.ask("GET", "OrderProcessing/Ship/2?notifyCustomer=false")
    late = await shop.ask("GET", "Shipment/GetAll?createdFromUtc=2026-03-01T12:00:30Z&pageSize=1")
    assert (late["total_count"], [shipment["id"] for shipment in late["items"]]) == (2, [3])
    assert [shipment["id"] for shipment in (await shop.ask("GET", f"Shipment/GetAll?trackingNumber=T0&orderId={order}"))["items"]] == [1]
    sent = [await shop.ask("GET", f"Shipment/GetByOrderId/{order}?shipped={flag}") for flag in ("true", "false")]
    assert [[shipment["id"] for shipment in found] for found in sent] == [[2], [1, 3]]
    assert sent[0][0]["shipped_date_utc"] == "2026-03-01T12:00:00.000000Z"
