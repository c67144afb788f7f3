from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from towpath.sandbox.kit.clock import ManualClock

Shop = Any
OpenShop = Callable[..., Awaitable[Shop]]
HOOKS = {"webhook_url": "http://127.0.0.1:9/nobody"}
SHARES = {"paid_later": 0.5, "cancelled": 0.2, "edited": 0.3}


async def told(shop: Shop) -> list[str]:
    return [row["type"] for row in await shop.rows("webhooks")]


async def progress(shop: Shop) -> dict[str, Any]:
    found: dict[str, Any] = await (await shop.client.get("/_sandbox/shopper")).json()
    return found


def adds_up(order: dict[str, Any], items: list[dict[str, Any]]) -> bool:
    amounts = {name: Decimal(str(order[f"order_{name}"])) for name in ("subtotal_excl_tax", "shipping_excl_tax", "tax", "discount", "total")}
    goods = sum(Decimal(str(item["price_excl_tax"])) for item in items)
    due = goods + amounts["shipping_excl_tax"] + amounts["tax"] - amounts["discount"]
    return (goods, due) == (amounts["subtotal_excl_tax"], amounts["total"])


async def test_without_shares_nothing_becomes_of_an_order(open_shop: OpenShop) -> None:
    shop = await open_shop(**HOOKS)
    await shop.control("shopper", {"orders": 40, "seed": 2})
    assert set(await told(shop)) == {"order.placed"}
    assert {order["payment_status_id"] for order in await shop.rows("orders")} == {10, 30}
    assert await progress(shop) == {"wanted": 40, "done": 40, "paid": 0, "cancelled": 0, "edited": 0, "busy": False}


async def test_shares_of_the_orders_are_edited_paid_and_cancelled(open_shop: OpenShop) -> None:
    shop = await open_shop(**HOOKS)
    await shop.control("shopper", {"orders": 200, "seed": 2, **SHARES})
    types, orders, counts = Counter(await told(shop)), await shop.rows("orders"), await progress(shop)
    assert types == {"order.placed": 200, "order.paid": counts["paid"], "order.cancelled": counts["cancelled"], "order.changed": counts["edited"]}
    assert sum(order["order_status_id"] == 40 for order in orders) == counts["cancelled"]
    assert (10 < counts["paid"] < 40, 20 < counts["cancelled"] < 60, 35 < counts["edited"] < 85) == (True, True, True)
    for order in orders:
        assert adds_up(order, await shop.ask("GET", f"OrderItem/GetOrderItems/{order['id']}"))


async def test_stock_follows_every_edit_and_cancellation(open_shop: OpenShop) -> None:
    shop = await open_shop()
    await shop.control("shopper", {"orders": 200, "seed": 2, **SHARES})
    cancelled = {order["id"] for order in await shop.rows("orders") if order["order_status_id"] == 40}
    held: Counter[int] = Counter()
    for item in await shop.rows("order_items"):
        held[item["product_id"]] += item["quantity"] * (item["order_id"] not in cancelled)
    assert {product["id"]: 1_000_000 - product["stock_quantity"] for product in await shop.rows("products")} == {n: held[n] for n in range(1, 61)}
    assert {row["by"] for row in await shop.rows("stock_changes")} == {"checkout", "cancel", "edit"}


async def test_nothing_is_cancelled_that_is_of_a_product_of_which_little_is_left(open_shop: OpenShop) -> None:
    shop = await open_shop()
    await shop.control("shopper", {"orders": 40, "seed": 2, "cancelled": 1, "spare": 1_000_000})
    assert 0 == (await progress(shop))["cancelled"]
    await shop.control("shopper", {"orders": 40, "seed": 2, "first_id": 2001, "cancelled": 1, "spare": 900_000})
    assert 40 == (await progress(shop))["cancelled"]


async def test_the_same_seed_decides_the_same(open_shop: OpenShop, clock: ManualClock) -> None:
    shop = await open_shop(clock=clock)
    await shop.control("shopper", {"orders": 60, "seed": 2, **SHARES})
    first = await shop.rows("orders")
    await shop.control("shopper", {"orders": 60, "seed": 2, **SHARES})
    assert await shop.rows("orders") == first
    await shop.control("shopper", {"orders": 60, "seed": 3, "first_id": 5001, **SHARES})
    others = (await shop.rows("orders"))[60:]
    assert [order["order_status_id"] for order in first] != [order["order_status_id"] for order in others]


async def test_a_spree_that_is_repeated_after_a_crash_does_what_is_left(open_shop: OpenShop, clock: ManualClock) -> None:
    shop = await open_shop(clock=clock)
    await shop.control("shopper", {"orders": 60, "seed": 2, "later_seconds": 5, **SHARES})
    assert (await progress(shop))["busy"]
    await shop.client.close()
    shop = await open_shop(clock=clock, **HOOKS)
    await shop.control("shopper", {"orders": 60, "seed": 2, **SHARES})
    counts = await progress(shop)
    assert Counter(await told(shop)) == {"order.paid": counts["paid"], "order.cancelled": counts["cancelled"], "order.changed": counts["edited"]}
    assert sum(order["order_status_id"] == 40 for order in await shop.rows("orders")) == counts["cancelled"] > 0


async def test_bad_orders_are_left_as_they_are(open_shop: OpenShop) -> None:
    shop = await open_shop()
    body = {"orders": 20, "seed": 2, "bad": ["unknown_status", "bad_total"], "cancelled": 1}
    bad = {int(number) for number in (await shop.control("shopper", body))["bad"]}
    assert {order["id"] for order in await shop.rows("orders") if order["order_status_id"] != 40} == bad


async def test_what_becomes_of_an_order_comes_after_its_time(open_shop: OpenShop, clock: ManualClock) -> None:
    shop = await open_shop(clock=clock, **HOOKS)
    await shop.control("shopper", {"orders": 3, "seed": 2, "per_second": 1, "cancelled": 1, "later_seconds": 1.5}, status=202)
    seen = []
    for _ in range(8):
        await shop.rows("orders")
        seen.append(["placed" if kind.endswith("placed") else "cancelled" for kind in await told(shop)])
        clock.advance(0.5)
    assert seen[2:6] == [["placed"] * 2, ["placed"] * 2 + ["cancelled"], ["placed"] * 2 + ["cancelled", "placed"], seen[4] + ["cancelled"]]
    assert seen[7] == ["placed", "placed", "cancelled", "placed", "cancelled", "cancelled"]


async def test_one_order_can_be_paid_cancelled_and_edited(open_shop: OpenShop) -> None:
    shop = await open_shop(**HOOKS)
    await shop.control("shopper", {"orders": 20, "seed": 2})
    order = next(order for order in await shop.rows("orders") if order["payment_status_id"] == 10)
    items = await shop.ask("GET", f"OrderItem/GetOrderItems/{order['id']}")
    product = await shop.ask("GET", f"Product/GetById/{items[0]['product_id']}")
    edit = {"quantities": {product["sku"]: items[0]["quantity"] + 4}, "shipping_address": {"city": "Moved"}}
    edited = await shop.control(f"orders/{order['id']}/edit", edit)
    assert adds_up(edited["order"], edited["items"])
    assert (edited["items"][0]["quantity"], edited["order"]["order_total"] > order["order_total"]) == (items[0]["quantity"] + 4, True)
    assert (await shop.ask("GET", f"Product/GetById/{product['id']}"))["stock_quantity"] == product["stock_quantity"] - 4
    assert (await shop.ask("GET", f"Address/GetById/{order['shipping_address_id']}"))["city"] == "Moved"
    assert (await shop.control(f"orders/{order['id']}/pay", {}))["payment_status_id"] == 30
    assert (await shop.control(f"orders/{order['id']}/cancel", {"notify": False}))["order_status_id"] == 40
    assert (await told(shop))[20:] == ["order.changed", "order.paid", "order.cancelled"]
    assert await shop.rows("mails") == []
    back = {"quantities": {product["sku"]: items[0]["quantity"]}}
    assert (await shop.control(f"orders/{order['id']}/edit", back))["order"]["order_total"] == order["order_total"]


async def test_an_edit_that_is_taken_back_leaves_the_order_as_it_was(open_shop: OpenShop) -> None:
    shop = await open_shop()
    await shop.control("shopper", {"orders": 100, "seed": 2})
    reduced = {order["id"] for order in await shop.rows("orders") if order["order_discount"]}
    items = [item for item in await shop.rows("order_items") if item["order_id"] in reduced and item["discount_amount_excl_tax"]]
    item = next(item for item in items if item["quantity"] > 1)
    product = await shop.ask("GET", f"Product/GetById/{item['product_id']}")
    before = await shop.rows("orders"), await shop.rows("order_items"), await shop.rows("products")
    for quantity in (item["quantity"] + 1, item["quantity"]):
        edited = await shop.control(f"orders/{item['order_id']}/edit", {"quantities": {product["sku"]: quantity}})
        assert adds_up(edited["order"], edited["items"])
        assert edited["order"]["order_discount"] > 0
    assert (await shop.rows("orders"), await shop.rows("order_items"), await shop.rows("products")) == before


async def test_second_thoughts_do_not_oversell(open_shop: OpenShop, clock: ManualClock) -> None:
    shop = await open_shop(clock=clock)
    await shop.control("shopper", {"orders": 100, "seed": 2, "edited": 1, "later_seconds": 60})
    for product in await shop.rows("products"):
        await shop.control(f"products/{product['sku']}", {"stock_quantity": 0})
    clock.advance(60)
    async with asyncio.timeout(10):
        while (await progress(shop))["busy"]:
            pass
    changes = [row for row in await shop.rows("stock_changes") if row["by"] == "edit"]
    assert (await progress(shop))["edited"] == 100
    assert min(row["to"] for row in changes) >= 0
    assert len(changes) > 10


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("orders/9/pay", {}, 404),
        ("orders/x/cancel", {}, 400),
        ("orders/1001/edit", {"quantities": {"NONE": 1}}, 404),
        ("orders/1001/edit", {"quantities": {"BAG-BLA-001": 0}}, 400),
        ("orders/1001/edit", {"shipping_address": {"colour": "red"}}, 400),
        ("products/NONE", {"stock_quantity": 1}, 404),
        ("products/BAG-BLA-001", {"colour": "red"}, 400),
        ("shopper", {"orders": 1, "cancelled": 1.5}, 400),
    ],
)
async def test_a_control_says_what_is_wrong(open_shop: OpenShop, path: str, body: Any, status: int) -> None:  # noqa: ANN401 - JSON
    shop = await open_shop()
    await shop.control("shopper", {"orders": 1, "seed": 2})
    before = await shop.rows("orders"), await shop.rows("products")
    assert (await shop.control(path, body, status=status))["error"]["message"]
    assert (await shop.rows("orders"), await shop.rows("products")) == before


async def test_a_product_that_an_order_does_not_have_cannot_be_edited(open_shop: OpenShop) -> None:
    shop = await open_shop()
    await shop.control("shopper", {"orders": 1, "seed": 2})
    inside = {item["product_id"] for item in await shop.rows("order_items")}
    other = next(product["sku"] for product in await shop.rows("products") if product["id"] not in inside)
    error = (await shop.control("orders/1001/edit", {"quantities": {other: 1}}, status=400))["error"]
    assert error["field"] == "quantities"


async def test_a_spree_is_busy_until_its_last_thought(open_shop: OpenShop, clock: ManualClock) -> None:
    shop = await open_shop(clock=clock)
    assert (await shop.control("shopper", {"orders": 3, "seed": 2, "cancelled": 1, "later_seconds": 60}))["placed"] == 3
    assert ((await progress(shop))["busy"], (await progress(shop))["cancelled"]) == (True, 0)
    clock.advance(60)
    async with asyncio.timeout(10):
        while (await progress(shop))["busy"]:
            pass
    assert (await progress(shop))["cancelled"] == 3
