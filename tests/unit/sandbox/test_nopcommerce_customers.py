"""Customers that are written by the shop's API: rows as they are given, nothing unique, and a webhook for every write."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from towpath.sandbox.kit.server import build
from towpath.sandbox.kit.system import load

USER = {"username": "api@shop.example", "email": "api@shop.example", "password": "towpath-sandbox-password"}


class Shop:
    """The API, and what the plugin told."""

    def __init__(self, client: TestClient[web.Request, web.Application], token: str) -> None:
        self._client, self._head = client, {"Authorization": token}

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:  # noqa: ANN401 - JSON
        async with self._client.request(method, f"/api-backend/{path}", json=body, headers=self._head) as answer:
            return answer.status, await answer.json() if answer.content_type == "application/json" else await answer.text()

    async def told(self) -> list[tuple[str, int]]:
        hooks = (await (await self._client.get("/_sandbox/store/webhooks")).json())["items"]
        return [(hook["type"], json.loads(hook["body"])["data"]["entityId"]) for hook in hooks]


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    system = load("nopcommerce")
    async with TestClient(TestServer(build(system, tmp_path, system.settings.model_validate({"webhook_url": "http://127.0.0.1:1/hooks"})))) as client:
        token = (await (await client.post("/api-backend/Authenticate/GetToken", json=USER)).json())["token"]
        yield Shop(client, token)


async def made(shop: Shop) -> dict[str, Any]:
    status, row = await shop.call("POST", "Customer/Create", {"email": "ann@shop.example", "active": True, "created_on_utc": "2026-11-20T09:00:00Z"})
    assert status == 200
    return dict(row)


async def test_a_customer_is_a_guest_until_it_has_the_role_and_gets_it_once(shop: Shop) -> None:
    number = (await made(shop))["id"]
    assert await shop.call("GET", f"CustomerRole/IsRegistered/{number}") == (200, False)
    role = (await shop.call("GET", "CustomerRole/GetCustomerRoleBySystemName?systemName=Registered"))[1]["id"]
    mapping = {"customer_id": number, "customer_role_id": role}
    assert (await shop.call("POST", "CustomerRole/AddCustomerRoleMapping", mapping))[0] == 200
    assert (await shop.call("POST", "CustomerRole/AddCustomerRoleMapping", mapping))[0] >= 400
    assert await shop.call("GET", f"CustomerRole/IsRegistered/{number}") == (200, True)
    assert await shop.told() == [("customer.registered", number)]


async def test_an_e_mail_address_is_not_unique_and_the_oldest_is_found(shop: Shop) -> None:
    first, second = await made(shop), await made(shop)
    assert first["id"] != second["id"]
    assert (await shop.call("GET", "Customer/GetCustomerByEmail?email=ann@shop.example"))[1]["id"] == first["id"]
    assert (await shop.call("GET", f"Customer/GetCustomerByGuid?guid={second['customer_guid']}"))[1]["id"] == second["id"]


async def test_a_row_that_is_written_loses_what_was_left_out(shop: Shop) -> None:
    row = await made(shop)
    assert (await shop.call("PUT", "Customer/Update", {"id": row["id"], "email": "ann@oak.example"}))[0] == 200
    after = (await shop.call("GET", f"Customer/GetById/{row['id']}"))[1]
    assert (after["email"], after["active"]) == ("ann@oak.example", False)
    assert await shop.told() == [("customer.changed", row["id"])]


async def test_an_address_is_told_of_where_it_is_a_customers(shop: Shop) -> None:
    row = await made(shop)
    address = (await shop.call("POST", "Address/Create", {"city": "Berlin", "country_id": 82, "created_on_utc": "2026-11-20T09:00:00Z"}))[1]
    assert (await shop.call("PUT", "Address/Update", {**address, "city": "Potsdam"}))[0] == 200
    assert await shop.told() == []
    assert (await shop.call("GET", f"Customer/InsertCustomerAddress/{row['id']}/{address['id']}"))[0] == 200
    await shop.call("PUT", "Customer/Update", {**row, "billing_address_id": address["id"]})
    await shop.call("PUT", "Address/Update", {**address, "city": "Köln"})
    assert await shop.told() == [("customer.changed", row["id"])] * 2


async def test_an_attribute_is_made_and_changed(shop: Shop) -> None:
    number = (await made(shop))["id"]
    given = {"entity_id": number, "key_group": "Customer", "key": "FirstName", "value": "Ann", "store_id": 0}
    attribute = (await shop.call("POST", "GenericAttribute/Create", given))[1]
    assert (await shop.call("PUT", "GenericAttribute/Update", {**attribute, "value": "Anna"}))[0] == 200
    listed = (await shop.call("GET", f"GenericAttribute/GetAttributesForEntity/{number}?keyGroup=Customer"))[1]
    assert [(row["id"], row["value"]) for row in listed] == [(attribute["id"], "Anna")]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "Customer/Update", {"id": 9}),
        ("PUT", "Address/Update", {"id": 9}),
        ("POST", "Address/Create", {"country_id": 9}),
        ("PUT", "GenericAttribute/Update", {"id": 9, "entity_id": 9, "key_group": "Customer", "key": "x"}),
        ("POST", "GenericAttribute/Create", {"entity_id": 9, "key_group": "Order", "key": "x"}),
        ("POST", "CustomerRole/AddCustomerRoleMapping", {"customer_id": 9, "customer_role_id": 3}),
        ("GET", "CustomerRole/GetCustomerRoleBySystemName?systemName=Kings", None),
        ("GET", "Customer/InsertCustomerAddress/9/9", None),
    ],
)
async def test_what_is_not_there_is_refused(shop: Shop, method: str, path: str, body: Any) -> None:  # noqa: ANN401 - JSON
    assert (await shop.call(method, path, body))[0] >= 400
