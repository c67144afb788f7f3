from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from towpath.sandbox.kit.clock import ManualClock

Json = Any
Client = TestClient[web.Request, web.Application]
Serve = Callable[..., Awaitable[Client]]
LOGIN = {"username": "api@shop.example", "password": "towpath-sandbox-password"}


async def enter(client: Client) -> dict[str, str]:
    answer = await client.post("/api-backend/Authenticate/GetToken", json=LOGIN)
    return {"Authorization": (await answer.json())["token"]}


async def get(client: Client, headers: dict[str, str], path: str) -> Json:
    answer = await client.get(f"/api-backend/{path}", headers=headers)
    assert answer.status == 200, await answer.text()
    return await answer.json()


async def test_a_token_is_taken_raw_and_as_bearer(serve: Serve) -> None:
    shop = await serve("nopcommerce")
    token = (await enter(shop))["Authorization"]
    for header in (token, f"Bearer {token}"):
        assert (await shop.get("/api-backend/Country/GetById/237", headers={"Authorization": header})).status == 200


async def test_refusals_are_text(serve: Serve) -> None:
    shop = await serve("nopcommerce")
    headers = await enter(shop)
    missing = await shop.get("/api-backend/Order/GetById/1", headers=headers)
    nobody = await shop.get("/api-backend/Order/GetById/1")
    wrong = await shop.post("/api-backend/Authenticate/GetToken", json={**LOGIN, "password": "x"})
    assert (missing.status, await missing.text()) == (404, "Order Id=1 not found")
    assert (nobody.status, nobody.content_type, wrong.status) == (401, "text/plain", 400)
    problem = await (await shop.get("/api-backend/Order/GetById/abc", headers=headers)).json()
    assert problem["Status"] == 400


async def test_an_order_leads_to_all_that_belongs_to_it(serve: Serve) -> None:
    shop = await serve("nopcommerce")
    await shop.post("/_sandbox/shopper", json={"orders": 1})
    headers = await enter(shop)
    order = await get(shop, headers, "Order/GetById/1001")
    items = await get(shop, headers, "OrderItem/GetOrderItems/1001")
    address = await get(shop, headers, f"Address/GetById/{order['billing_address_id']}")
    customer = await get(shop, headers, f"Customer/GetById/{order['customer_id']}")
    country = await get(shop, headers, f"Country/GetById/{address['country_id']}")
    product = await get(shop, headers, f"Product/GetById/{items[0]['product_id']}")
    attributes = await get(shop, headers, f"GenericAttribute/GetAttributesForEntity/{customer['id']}?keyGroup=Customer")
    assert {row["order_id"] for row in items} == {1001}
    assert (len(country["two_letter_iso_code"]), address["email"]) == (2, customer["email"])
    assert (await get(shop, headers, f"Product/GetProductBySku?sku={product['sku']}"))["id"] == product["id"]
    assert (await get(shop, headers, f"Customer/GetCustomerByEmail?email={customer['email']}"))["id"] == customer["id"]
    assert "Customer Type" in {row["key"] for row in attributes}
    assert "<key>Order Source</key>" in order["custom_values_xml"]
    assert "first_name" not in customer


async def test_search_pages_from_zero_and_shows_the_newest_first(serve: Serve) -> None:
    shop = await serve("nopcommerce")
    await shop.post("/_sandbox/shopper", json={"orders": 7})
    headers = await enter(shop)
    pages = [await get(shop, headers, f"Order/Search?pageIndex={index}&pageSize=3") for index in (0, 1, 2)]
    assert [[order["id"] for order in page["items"]] for page in pages] == [[1007, 1006, 1005], [1004, 1003, 1002], [1001]]
    assert (pages[0]["total_count"], pages[0]["total_pages"], pages[2]["has_next_page"]) == (7, 3, False)
    assert len((await get(shop, headers, "Order/Search"))["items"]) == 7


async def test_search_filters_by_creation_and_status(serve: Serve, clock: ManualClock) -> None:
    shop = await serve("nopcommerce", clock=clock)
    await shop.post("/_sandbox/shopper", json={"orders": 2})
    clock.advance(3600)
    await shop.post("/_sandbox/shopper", json={"orders": 2, "first_id": 2001})
    await shop.post("/_sandbox/orders/2001", json={"order_status_id": 40})
    headers = await enter(shop)
    late = await get(shop, headers, "Order/Search?createdFromUtc=2026-03-01T12:30:00Z")
    early = await get(shop, headers, "Order/Search?createdToUtc=2026-03-01T12:30:00")
    gone = await get(shop, headers, "Order/Search?osIds=40;55")
    assert [[order["id"] for order in found["items"]] for found in (late, early, gone)] == [[2002, 2001], [1002, 1001], [2001]]


async def test_customers_register_and_change(serve: Serve) -> None:
    shop = await serve("nopcommerce")
    new = {"email": "ann@example.com", "address": {"first_name": "Ann"}, "attributes": {"Customer Type": "VIP"}}
    customer = (await (await shop.post("/_sandbox/customers", json=new)).json())["customer"]
    await shop.post(
        f"/_sandbox/customers/{customer['id']}", json={"customer": {"email": "anna@example.com"}, "attributes": {"Customer Type": "Retail"}}
    )
    headers = await enter(shop)
    found = await get(shop, headers, "Customer/GetCustomerByEmail?email=anna@example.com")
    attributes = await get(shop, headers, f"GenericAttribute/GetAttributesForEntity/{found['id']}?keyGroup=Customer")
    assert [(row["key"], row["value"]) for row in attributes] == [("Customer Type", "Retail")]


@pytest.mark.parametrize("path", ["Order/Search?pageIndex=x", "Order/Search?createdFromUtc=soon", "Order/GetById/0", "Order/GetById/2147483648"])
async def test_what_makes_no_sense_is_400(serve: Serve, path: str) -> None:
    shop = await serve("nopcommerce")
    assert (await shop.get(f"/api-backend/{path}", headers=await enter(shop))).status == 400
