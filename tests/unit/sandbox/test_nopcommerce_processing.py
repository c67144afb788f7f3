from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from towpath.sandbox.kit.clock import ManualClock

Shop = Any
OpenShop = Callable[..., Awaitable[Shop]]


@pytest.fixture
async def hooks() -> AsyncIterator[dict[str, Any]]:
    """The settings of a shop whose webhooks are accepted."""

    async def accept(_request: web.Request) -> web.Response:
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hooks", accept)
    async with TestServer(app) as server:
        yield {"webhook_url": str(server.make_url("/hooks"))}


async def an_order(shop: Shop, payment: int = 30) -> dict[str, Any]:
    """Return an order of that payment status."""
    await shop.control("shopper", {"orders": 20, "seed": 1})
    found: dict[str, Any] = next(order for order in await shop.rows("orders") if order["payment_status_id"] == payment)
    return found


async def told(shop: Shop, order: int) -> list[str]:
    """Return the types of the webhooks that are about an order."""
    return [row["type"] for row in await shop.rows("webhooks") if f'"entityId": {order}}}' in row["body"]]


async def read(shop: Shop, order: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = await shop.ask("GET", f"Order/GetById/{order['id']}")
    return found


async def test_a_cancelled_order_gives_its_stock_back_and_is_told_of(open_shop: OpenShop, hooks: dict[str, Any]) -> None:
    shop = await open_shop(**hooks)
    order = await an_order(shop)
    items = await shop.ask("GET", f"OrderItem/GetOrderItems/{order['id']}")
    before = {product["id"]: product["stock_quantity"] for product in await shop.rows("products")}
    assert await shop.ask("GET", f"OrderProcessing/CanCancelOrder/{order['id']}") is True
    assert await shop.ask("GET", f"OrderProcessing/CancelOrder/{order['id']}?notifyCustomer=true") is None
    after = {product["id"]: product["stock_quantity"] for product in await shop.rows("products")}
    assert {number: after[number] - before[number] for number in after if after[number] != before[number]} == {
        item["product_id"]: item["quantity"] for item in items
    }
    assert {(row["by"], row["order_id"]) for row in (await shop.rows("stock_changes"))[-len(items) :]} == {("cancel", order["id"])}
    assert (await read(shop, order)) == {**order, "order_status_id": 40}
    assert [(mail["template"], mail["order_id"]) for mail in await shop.rows("mails")] == [("OrderCancelled.CustomerNotification", order["id"])]
    assert await told(shop, order["id"]) == ["order.placed", "order.cancelled"]


async def test_a_cancelled_order_cannot_be_cancelled_or_paid_again(open_shop: OpenShop, hooks: dict[str, Any]) -> None:
    shop = await open_shop(**hooks)
    order = await an_order(shop, payment=10)
    await shop.ask("GET", f"OrderProcessing/CancelOrder/{order['id']}?notifyCustomer=false")
    changes = await shop.rows("stock_changes")
    again = await shop.ask("GET", f"OrderProcessing/CancelOrder/{order['id']}?notifyCustomer=true", status=400)
    paid = await shop.ask("GET", f"OrderProcessing/MarkOrderAsPaid/{order['id']}", status=400)
    assert (again["message"], paid["message"]) == ("Cannot do cancel for order.", "You can't mark this order as paid")
    assert [await shop.ask("GET", f"OrderProcessing/Can{name}/{order['id']}") for name in ("CancelOrder", "MarkOrderAsPaid")] == [False, False]
    assert (await shop.rows("stock_changes"), await shop.rows("mails")) == (changes, [])
    assert await told(shop, order["id"]) == ["order.placed", "order.cancelled"]


async def test_cancelling_gives_back_what_was_shipped_too(open_shop: OpenShop) -> None:
    shop = await open_shop()
    order = await an_order(shop)
    items = await shop.ask("GET", f"OrderItem/GetOrderItems/{order['id']}")
    await shop.ask("POST", "Shipment/Create", {"order_id": order["id"]})
    for item in items:
        await shop.ask("POST", "ShipmentItem/Create", {"shipment_id": 1, "order_item_id": item["id"], "quantity": item["quantity"]})
    await shop.ask("GET", "OrderProcessing/Ship/1?notifyCustomer=false")
    await shop.ask("GET", f"OrderProcessing/CancelOrder/{order['id']}?notifyCustomer=false")
    assert [row["to"] - row["from"] for row in await shop.rows("stock_changes") if row["by"] == "cancel"] == [item["quantity"] for item in items]


async def test_what_one_of_several_warehouses_sent_comes_back_to_it(open_shop: OpenShop) -> None:
    shop = await open_shop()
    order = await an_order(shop)
    item = (await shop.ask("GET", f"OrderItem/GetOrderItems/{order['id']}"))[0]
    product = await shop.ask("GET", f"Product/GetById/{item['product_id']}")
    await shop.control(f"products/{product['sku']}", {"use_multiple_warehouses": True})
    for warehouse, stock, reserved in ((1, 90, 0), (2, 50, item["quantity"])):
        row = {"product_id": product["id"], "warehouse_id": warehouse, "stock_quantity": stock, "reserved_quantity": reserved}
        await shop.ask("POST", "ProductWarehouse/Create", row)
    await shop.ask("POST", "Shipment/Create", {"order_id": order["id"]})
    parcel = {"shipment_id": 1, "order_item_id": item["id"], "quantity": item["quantity"], "warehouse_id": 2}
    await shop.ask("POST", "ShipmentItem/Create", parcel)
    seen = []
    for path in ("OrderProcessing/Ship/1?notifyCustomer=false", f"OrderProcessing/CancelOrder/{order['id']}?notifyCustomer=false"):
        await shop.ask("GET", path)
        seen.append([(row["stock_quantity"], row["reserved_quantity"]) for row in await shop.rows("product_warehouses")])
    assert seen == [[(90, 0), (50 - item["quantity"], 0)], [(90, 0), (50, 0)]]


async def test_a_pending_order_that_is_paid_is_processing_and_told_of(open_shop: OpenShop, hooks: dict[str, Any], clock: ManualClock) -> None:
    shop = await open_shop(clock=clock, **hooks)
    order = await an_order(shop, payment=10)
    assert await shop.ask("GET", f"OrderProcessing/MarkOrderAsPaid/{order['id']}") is None
    paid = {"payment_status_id": 30, "paid_date_utc": "2026-03-01T12:00:00.000000Z", "order_status_id": 20}
    assert await read(shop, order) == {**order, **paid}
    await shop.ask("GET", f"OrderProcessing/MarkOrderAsPaid/{order['id']}", status=400)
    assert await told(shop, order["id"]) == ["order.placed", "order.paid"]


async def test_an_update_only_writes_the_row_and_is_told_of_as_a_change(open_shop: OpenShop, hooks: dict[str, Any]) -> None:
    shop = await open_shop(**hooks)
    order, products = await an_order(shop), await shop.rows("products")
    assert await shop.ask("PUT", "Order/Update", {**order, "order_status_id": 40, "nonsense": 1}) is None
    assert await read(shop, order) == {**order, "order_status_id": 40}
    assert (await shop.rows("products"), await shop.rows("mails")) == (products, [])
    await shop.ask("PUT", "Order/Update", {**order, "order_status_id": 40})
    assert await told(shop, order["id"]) == ["order.placed", "order.changed", "order.changed"]


async def test_an_update_loses_what_it_leaves_out_and_what_changed_meanwhile(open_shop: OpenShop) -> None:
    shop = await open_shop()
    order = await an_order(shop, payment=10)
    await shop.ask("GET", f"OrderProcessing/MarkOrderAsPaid/{order['id']}")
    await shop.ask("PUT", "Order/Update", {**order, "order_status_id": 20})
    assert (await read(shop, order))["payment_status_id"] == 10
    await shop.ask("PUT", "Order/Update", {"id": order["id"], "order_status_id": 30})
    bare = await read(shop, order)
    assert (bare["order_status_id"], bare["order_total"], bare["custom_order_number"]) == (30, 0.0, None)
    assert set(bare) == set(order)


@pytest.mark.parametrize("change", [{"order_status_id": "20"}, {"order_total": None}, {"customer_id": 1.5}, {"deleted": 0}, {"order_guid": "x"}])
async def test_a_field_of_the_wrong_type_is_400_and_changes_nothing(open_shop: OpenShop, change: dict[str, Any]) -> None:
    shop = await open_shop()
    order = await an_order(shop)
    assert (await shop.ask("PUT", "Order/Update", {**order, **change}, status=400))["Detail"].startswith(next(iter(change)))
    assert await read(shop, order) == order


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("PUT", "Order/Update", "Order is not found"),
        ("GET", "OrderProcessing/CancelOrder/9?notifyCustomer=true", "Order Id=9 not found"),
        ("GET", "OrderProcessing/MarkOrderAsPaid/9", "Order Id=9 not found"),
        ("GET", "Order/GetByCustomOrderNumber?customOrderNumber=9", "Order is not found"),
    ],
)
async def test_what_is_not_there_is_404_in_words(open_shop: OpenShop, method: str, path: str, words: str) -> None:
    shop = await open_shop()
    assert await shop.ask(method, path, {"id": 9}, status=404) == words


async def test_a_status_can_be_checked(open_shop: OpenShop, hooks: dict[str, Any]) -> None:
    shop = await open_shop(**hooks)
    order = await an_order(shop)
    await shop.ask("PUT", "Order/Update", {**order, "shipping_status_id": 40})
    for _ in range(2):
        await shop.ask("GET", f"OrderProcessing/CheckOrderStatus/{order['id']}")
    assert (await read(shop, order))["order_status_id"] == 30
    assert await told(shop, order["id"]) == ["order.placed", "order.changed", "order.changed"]


async def test_shipping_and_delivery_are_told_of_as_changes(open_shop: OpenShop, hooks: dict[str, Any]) -> None:
    shop = await open_shop(**hooks)
    order = await an_order(shop)
    await shop.ask("POST", "Shipment/Create", {"order_id": order["id"]})
    assert await told(shop, order["id"]) == ["order.placed"]
    for name in ("Ship", "Deliver"):
        await shop.ask("GET", f"OrderProcessing/{name}/1?notifyCustomer=false")
    assert await told(shop, order["id"]) == ["order.placed", "order.changed", "order.changed"]


async def test_deleted_orders_are_not_listed(open_shop: OpenShop) -> None:
    shop = await open_shop()
    order = await an_order(shop)
    await shop.ask("PUT", "Order/Update", {**order, "deleted": True})
    found = await shop.ask("GET", "Order/Search?storeId=0&psIds=30&ssIds=20")
    assert order["id"] not in [listed["id"] for listed in found["items"]]
    assert found["total_count"] > 5


async def test_customers_are_listed_by_the_time_they_came(open_shop: OpenShop, clock: ManualClock) -> None:
    shop = await open_shop(clock=clock)
    for name in ("ann", "bob", "cid"):
        await shop.control("customers", {"email": f"{name}@example.com"}, status=201)
        clock.advance(60)
    found = await shop.ask("GET", "Customer/GetAll?createdFromUtc=2026-03-01T12:00:30Z&createdToUtc=2026-03-01T12:02:00Z&pageSize=1&pageIndex=1")
    assert (found["total_count"], [customer["email"] for customer in found["items"]]) == (2, ["bob@example.com"])
