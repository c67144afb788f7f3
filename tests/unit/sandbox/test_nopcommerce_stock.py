from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from towpath.sandbox.kit.catalogue import STOCK, catalogue

Shop = Any
OpenShop = Callable[..., Awaitable[Shop]]
BAG = "BAG-BLA-001"


async def bag(shop: Shop) -> dict[str, Any]:
    product: dict[str, Any] = await shop.ask("GET", f"Product/GetProductBySku?sku={BAG}")
    return product


async def set_all(shop: Shop, quantity: int) -> None:
    for item in catalogue():
        await shop.control(f"products/{item.sku}", {"stock_quantity": quantity})


async def test_the_shop_starts_with_what_the_erp_has(open_shop: OpenShop) -> None:
    shop = await open_shop()
    products = (await shop.ask("GET", "Product/GetAll"))["items"]
    assert {product["sku"]: product["stock_quantity"] for product in products} == {item.sku: STOCK for item in catalogue()}


async def test_a_product_that_is_put_back_as_it_was_read_is_unchanged(open_shop: OpenShop) -> None:
    shop = await open_shop()
    before = await bag(shop)
    assert await shop.ask("PUT", "Product/Update", before) is None
    assert await bag(shop) == before
    assert await shop.rows("stock_changes") == []


async def test_a_product_update_loses_what_it_leaves_out_and_what_was_sold_meanwhile(open_shop: OpenShop) -> None:
    shop = await open_shop()
    read = await bag(shop)
    await shop.ask("POST", "Product/AdjustInventory/1?quantityToChange=-2&message=sold")
    await shop.ask("PUT", "Product/Update", {**read, "stock_quantity": read["stock_quantity"] + 5})
    assert (await bag(shop))["stock_quantity"] == STOCK + 5
    last = (await shop.rows("stock_changes"))[-1]
    assert (last["from"], last["to"], last["by"], last["order_id"]) == (STOCK - 2, STOCK + 5, "Product/Update", None)
    await shop.ask("PUT", "Product/Update", {"id": 1, "sku": BAG})
    product = await bag(shop)
    assert (product["name"], product["price"], product["published"], product["stock_quantity"]) == (None, 0.0, False, 0)


async def test_an_adjustment_is_a_difference_and_is_applied_each_time(open_shop: OpenShop) -> None:
    shop = await open_shop()
    for _ in range(2):
        assert await shop.ask("POST", "Product/AdjustInventory/1?quantityToChange=-2&message=once") is None
    assert (await bag(shop))["stock_quantity"] == STOCK - 4
    assert [(row["from"], row["to"], row["by"]) for row in await shop.rows("stock_changes")] == [
        (STOCK, STOCK - 2, "Product/AdjustInventory"),
        (STOCK - 2, STOCK - 4, "Product/AdjustInventory"),
    ]


async def test_stock_that_is_not_managed_stays(open_shop: OpenShop) -> None:
    shop = await open_shop()
    await shop.control(f"products/{BAG}", {"manage_inventory_method_id": 0, "stock_quantity": 3})
    await shop.ask("POST", "Product/AdjustInventory/1?quantityToChange=-2")
    assert (await bag(shop))["stock_quantity"] == 3


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("PUT", "Product/Update", {"id": 777}, 404, "Product Id=777 is not found"),
        ("POST", "Product/AdjustInventory/777?quantityToChange=1", None, 404, "Product Id=777 is not found"),
        ("PUT", "ProductWarehouse/Update", {"id": 777}, 404, "Product warehouse inventory Id=777 is not found"),
        ("GET", "Product/GetProductBySku?sku=NONE", None, 404, "Product sku=NONE not found"),
    ],
)
async def test_what_is_not_there_is_404_in_words(open_shop: OpenShop, method: str, path: str, body: Any, status: int, words: str) -> None:  # noqa: ANN401 - JSON
    shop = await open_shop()
    assert await shop.ask(method, path, body, status=status) == words


@pytest.mark.parametrize(
    "change", [{"stock_quantity": "7"}, {"stock_quantity": None}, {"stock_quantity": 1.5}, {"published": 1}, {"created_on_utc": "soon"}]
)
async def test_a_field_of_the_wrong_type_is_400_and_changes_nothing(open_shop: OpenShop, change: dict[str, Any]) -> None:
    shop = await open_shop()
    before = await bag(shop)
    problem = await shop.ask("PUT", "Product/Update", {**before, **change}, status=400)
    assert problem["Detail"].startswith(next(iter(change)))
    assert await bag(shop) == before


@pytest.mark.parametrize("query", ["", "?quantityToChange=x", "?quantityToChange=1.5"])
async def test_an_adjustment_without_a_whole_number_is_400(open_shop: OpenShop, query: str) -> None:
    shop = await open_shop()
    await shop.ask("POST", f"Product/AdjustInventory/1{query}", status=400)


async def test_unpublished_products_are_listed_only_when_asked_for(open_shop: OpenShop) -> None:
    shop = await open_shop()
    await shop.control(f"products/{BAG}", {"published": False})
    shown = await shop.ask("GET", "Product/GetAll?pageSize=7&pageIndex=1")
    every = await shop.ask("GET", "Product/GetAll?showHidden=true")
    hidden = await shop.ask("GET", "Product/GetAll?showHidden=true&overridePublished=false")
    assert (shown["total_count"], [product["id"] for product in shown["items"]]) == (59, list(range(9, 16)))
    assert (every["total_count"], [product["sku"] for product in hidden["items"]]) == (60, [BAG])
    skus = await shop.ask("GET", f"Product/GetProductsBySku?skuArray={BAG};BAG-BLU-002;NONE")
    assert [product["id"] for product in skus] == [1, 2]


async def test_a_checkout_lowers_the_stock_and_writes_the_sale_down(open_shop: OpenShop) -> None:
    shop = await open_shop()
    await shop.control("shopper", {"orders": 30, "seed": 5})
    sold: dict[int, int] = {}
    for item in await shop.rows("order_items"):
        sold[item["product_id"]] = sold.get(item["product_id"], 0) + item["quantity"]
    products = await shop.rows("products")
    sales, changes = await shop.rows("sales"), await shop.rows("stock_changes")
    assert {product["id"]: STOCK - product["stock_quantity"] for product in products if product["stock_quantity"] != STOCK} == sold
    assert [(row["product_id"], row["order_id"], row["stock_before"], row["quantity"]) for row in sales] == [
        (row["product_id"], row["order_id"], row["from"], row["from"] - row["to"]) for row in changes
    ]
    assert {row["by"] for row in changes} == {"checkout"}
    assert all(row["wanted"] == row["quantity"] for row in sales)


async def test_of_what_is_scarce_the_shopper_gets_less_or_nothing(open_shop: OpenShop) -> None:
    shop = await open_shop()
    await set_all(shop, 4)
    answer = await shop.control("shopper", {"orders": 200, "seed": 5})
    orders, sales = await shop.rows("orders"), await shop.rows("sales")
    assert {product["stock_quantity"] for product in await shop.rows("products")} == {0}
    assert sum(row["quantity"] for row in sales) == 4 * 60
    assert 0 < answer["placed"] == len(orders) < 200
    assert answer["placed"] + answer["given_up"] == 200
    assert {0} < {row["quantity"] for row in sales if row["quantity"] < row["wanted"]}
    assert all(row["quantity"] == min(row["wanted"], row["stock_before"]) for row in sales)
    for order in orders:
        amounts = {name: Decimal(str(order[f"order_{name}"])) for name in ("subtotal_excl_tax", "shipping_excl_tax", "tax", "discount", "total")}
        items = await shop.ask("GET", f"OrderItem/GetOrderItems/{order['id']}")
        goods = sum(Decimal(str(item["price_excl_tax"])) for item in items)
        assert goods == amounts["subtotal_excl_tax"]
        assert goods + amounts["shipping_excl_tax"] + amounts["tax"] - amounts["discount"] == amounts["total"]


async def test_a_spree_that_gave_up_and_is_repeated_places_nothing_more(open_shop: OpenShop) -> None:
    shop = await open_shop()
    await set_all(shop, 1)
    first = await shop.control("shopper", {"orders": 60, "seed": 5})
    await set_all(shop, 1000)
    again = await shop.control("shopper", {"orders": 60, "seed": 5})
    assert (again["placed"], again["given_up"], len(await shop.rows("orders"))) == (0, 0, first["placed"])


async def test_it_oversells_when_it_is_told_to(open_shop: OpenShop) -> None:
    shop = await open_shop()
    await set_all(shop, 1)
    answer = await shop.control("shopper", {"orders": 60, "seed": 5, "oversell": True})
    sales = await shop.rows("sales")
    assert answer["placed"] == 60
    assert min(product["stock_quantity"] for product in await shop.rows("products")) < 0
    assert any(row["quantity"] > row["stock_before"] for row in sales)


async def test_nobody_buys_what_is_not_shown(open_shop: OpenShop) -> None:
    shop = await open_shop()
    for item in catalogue():
        await shop.control(f"products/{item.sku}", {"published": False})
    assert (await shop.control("shopper", {"orders": 5}))["given_up"] == 5


async def test_stock_in_several_warehouses_is_reserved_booked_and_freed(open_shop: OpenShop) -> None:
    shop = await open_shop()
    await shop.control(f"products/{BAG}", {"use_multiple_warehouses": True})
    for warehouse, quantity in ((1, 5), (2, 8)):
        row = {"product_id": 1, "warehouse_id": warehouse, "stock_quantity": quantity, "reserved_quantity": 0}
        assert (await shop.ask("POST", "ProductWarehouse/Create", row))["id"] == warehouse
    await shop.ask("POST", "Product/AdjustInventory/1?quantityToChange=-10")
    rows = await shop.ask("GET", "ProductWarehouse/GetAllProductWarehouseInventoryRecords/1")
    assert [(row["stock_quantity"], row["reserved_quantity"]) for row in rows] == [(5, 2), (8, 8)]
    await shop.ask("PUT", "ProductWarehouse/Update", {**rows[0], "stock_quantity": 9})
    await shop.ask("POST", "Product/AdjustInventory/1?quantityToChange=9")
    rows = await shop.ask("GET", "ProductWarehouse/GetAllProductWarehouseInventoryRecords/1")
    assert [(row["stock_quantity"], row["reserved_quantity"]) for row in rows] == [(9, 1), (8, 0)]
    assert [(row["from"], row["to"]) for row in await shop.rows("stock_changes")][-3:] == [(13, 3), (3, 7), (7, 16)]
    await shop.ask("POST", "Product/AdjustInventory/1?quantityToChange=-20")
    rows = await shop.ask("GET", "ProductWarehouse/GetAllProductWarehouseInventoryRecords/1")
    assert [(row["stock_quantity"], row["reserved_quantity"]) for row in rows] == [(9, 13), (8, 8)]
    error = await shop.ask("PUT", "ProductWarehouse/Update", {**rows[0], "warehouse_id": 7}, status=500)
    assert "FOREIGN KEY" in error["message"]
