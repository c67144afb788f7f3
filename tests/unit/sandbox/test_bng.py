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
KEY = {"X-API-Key": "towpath-sandbox-key"}
FORM = {"grant_type": "client_credentials", "client_id": "towpath", "client_secret": "towpath-sandbox-secret"}


def order(customer: str = "C1001", sku: str = "BAG-BLA-001", quantity: int = 2) -> dict[str, Any]:
    line = {"LineNo": 1, "SKU": sku, "Quantity": quantity, "UnitPrice": "39.90"}
    return {"CustomerID": customer, "ExternalOrderID": "shop:1001", "OrderDate": "2026-03-01", "Currency": "USD", "Lines": [line], "Total": "79.80"}


async def ask(client: Client, method: str, path: str, body: Json = None) -> tuple[int, Json]:
    answer = await client.request(method, f"/api/v1{path}", json=body, headers=KEY)
    return answer.status, await answer.json()


async def test_a_token_opens_the_door_until_it_expires(serve: Serve, clock: ManualClock) -> None:
    client = await serve("bng", clock=clock, token_seconds=10)
    token = (await (await client.post("/oauth/token", data=FORM)).json())["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await client.get("/api/v1/products", headers=bearer)).status == 200
    clock.advance(10)
    assert (await client.get("/api/v1/products", headers=bearer)).status == 401


async def test_tokens_can_be_expired_by_hand(serve: Serve) -> None:
    client = await serve("bng")
    token = (await (await client.post("/oauth/token", data=FORM)).json())["access_token"]
    await client.post("/_sandbox/tokens/expire")
    assert (await client.get("/api/v1/products", headers={"Authorization": f"Bearer {token}"})).status == 401


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "wrong"}, {"Authorization": "Bearer wrong"}])
async def test_without_credentials_it_is_401(serve: Serve, headers: dict[str, str]) -> None:
    client = await serve("bng")
    assert (await client.get("/api/v1/products", headers=headers)).status == 401


async def test_a_wrong_client_gets_no_token(serve: Serve) -> None:
    client = await serve("bng")
    assert (await client.post("/oauth/token", data={**FORM, "client_secret": "wrong"})).status == 401


async def test_pages_hold_everything_once(serve: Serve) -> None:
    client = await serve("bng")
    skus = []
    for page in (1, 2, 3, 4):
        _, body = await ask(client, "GET", f"/products?page={page}&pageSize=25")
        assert (body["total"], body["page"], body["pageSize"]) == (60, page, 25)
        skus += [item["SKU"] for item in body["items"]]
    assert (len(skus), len(set(skus))) == (60, 60)


async def test_updated_since_finds_what_changed(serve: Serve, clock: ManualClock) -> None:
    client = await serve("bng", clock=clock)
    for name in ("ann", "bob"):
        await ask(client, "POST", "/customers", {"Email": f"{name}@example.com"})
        clock.advance(60)
    await ask(client, "PATCH", "/customers/C1001", {"FirstName": "Ann"})
    _, body = await ask(client, "GET", "/customers?updatedSince=2026-03-01T12:02:00Z")
    assert [item["CustomerID"] for item in body["items"]] == ["C1001"]


async def test_an_order_allocates_stock_and_raises_the_sequence(serve: Serve) -> None:
    client = await serve("bng")
    await ask(client, "POST", "/customers", {"Email": "ann@example.com"})
    _, before = await ask(client, "GET", "/inventory/BAG-BLA-001")
    assert (await ask(client, "POST", "/sales-orders", order()))[0] == 201
    _, after = await ask(client, "GET", "/inventory/BAG-BLA-001")
    assert (after["Allocated"], after["Available"], after["OnHand"]) == (2, before["Available"] - 2, before["OnHand"])
    assert after["Sequence"] > before["Sequence"]


@pytest.mark.parametrize(("status", "allocated", "taken"), [(20, 2, 0), (30, 0, 2), (40, 0, 2), (90, 0, 0)])
async def test_a_status_frees_or_takes_the_stock(serve: Serve, status: int, allocated: int, taken: int) -> None:
    client = await serve("bng")
    await ask(client, "POST", "/customers", {"Email": "ann@example.com"})
    await ask(client, "POST", "/sales-orders", order())
    await ask(client, "PATCH", "/sales-orders/SO1001", {"OrderStatus": status})
    _, stock = await ask(client, "GET", "/inventory/BAG-BLA-001")
    assert (stock["Allocated"], 1_000_000 - stock["OnHand"]) == (allocated, taken)


async def test_a_cancelled_order_stays_cancelled(serve: Serve) -> None:
    client = await serve("bng")
    await ask(client, "POST", "/customers", {"Email": "ann@example.com"})
    await ask(client, "POST", "/sales-orders", order())
    await ask(client, "PATCH", "/sales-orders/SO1001", {"OrderStatus": 90})
    assert (await ask(client, "PATCH", "/sales-orders/SO1001", {"OrderStatus": 20}))[0] == 409


@pytest.mark.parametrize(("body", "field"), [(order(customer="C9"), "CustomerID"), (order(sku="GHOST-1"), "Lines[0].SKU")])
async def test_an_unknown_reference_is_422_and_named_and_writes_nothing(serve: Serve, body: Json, field: str) -> None:
    client = await serve("bng")
    await ask(client, "POST", "/customers", {"Email": "ann@example.com"})
    status, answer = await ask(client, "POST", "/sales-orders", body)
    _, orders = await ask(client, "GET", "/sales-orders")
    assert (status, answer["error"]["field"], orders["total"]) == (422, field, 0)


async def test_a_product_that_was_put_in_mends_the_order(serve: Serve) -> None:
    client = await serve("bng")
    await ask(client, "POST", "/customers", {"Email": "ann@example.com"})
    assert (await client.put("/_sandbox/products/GHOST-1")).status == 200
    assert (await ask(client, "POST", "/sales-orders", order(sku="GHOST-1")))[0] == 201


async def test_external_ids_are_not_unique(serve: Serve) -> None:
    client = await serve("bng")
    await ask(client, "POST", "/customers", {"Email": "ann@example.com"})
    for _ in range(2):
        await ask(client, "POST", "/sales-orders", order())
    _, found = await ask(client, "GET", "/sales-orders?externalOrderId=shop:1001")
    assert [item["SalesOrderID"] for item in found["items"]] == ["SO1001", "SO1002"]


async def test_an_order_of_a_customer_who_was_deleted_is_refused(serve: Serve) -> None:
    client = await serve("bng")
    for name in ("ann", "bob"):
        await ask(client, "POST", "/customers", {"Email": f"{name}@example.com"})
    assert (await client.delete("/_sandbox/customers/C1001")).status == 200
    assert (await client.delete("/_sandbox/customers/C1001")).status == 404
    statuses = [(await ask(client, "POST", "/sales-orders", order(customer=customer)))[0] for customer in ("C1001", "C1002")]
    assert statuses == [422, 201]
