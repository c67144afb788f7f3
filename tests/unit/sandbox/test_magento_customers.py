"""Customers that are written by Magento's API: an e-mail address is unique, and addresses that a list leaves out are gone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from towpath.sandbox.kit.server import build
from towpath.sandbox.kit.system import load

HEAD = {"Authorization": "Bearer towpath-sandbox-token"}
ADDRESS = {"firstname": "Ann", "lastname": "Lee", "street": ["1 Oak Ave"], "city": "Purchase", "telephone": "1", "country_id": "US"}
ANN = {
    "email": "ann@shop.example",
    "firstname": "Ann",
    "lastname": "Lee",
    "addresses": [{**ADDRESS, "default_billing": True, "default_shipping": True}],
}
Shop = TestClient[web.Request, web.Application]


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    system = load("magento")
    async with TestClient(TestServer(build(system, tmp_path, system.settings()))) as client:
        yield client


async def call(shop: Shop, method: str, path: str, customer: Any = None) -> tuple[int, Any]:  # noqa: ANN401 - JSON
    body = None if customer is None else {"customer": customer}
    async with shop.request(method, f"/rest/V1/{path}", json=body, headers=HEAD) as answer:
        return answer.status, await answer.json()


async def test_a_new_customer_has_the_ids_of_its_default_addresses_as_texts(shop: Shop) -> None:
    status, made = await call(shop, "POST", "customers", ANN)
    assert (200, str(made["addresses"][0]["id"])) == (status, made["default_billing"])
    assert made == (await call(shop, "GET", f"customers/{made['id']}"))[1]


async def test_an_e_mail_address_is_unique(shop: Shop) -> None:
    await call(shop, "POST", "customers", ANN)
    status, refused = await call(shop, "POST", "customers", {**ANN, "firstname": "Anna"})
    assert (400, "A customer with the same email address already exists in an associated website.") == (status, refused["message"])


async def test_a_change_keeps_what_it_leaves_out_but_for_addresses_of_a_list(shop: Shop) -> None:
    made = (await call(shop, "POST", "customers", ANN))[1]
    after = (await call(shop, "PUT", f"customers/{made['id']}", {"lastname": "Low"}))[1]
    assert ("Low", "ann@shop.example", made["addresses"]) == (after["lastname"], after["email"], after["addresses"])
    other = {**ADDRESS, "city": "Rye", "default_billing": True}
    after = (await call(shop, "PUT", f"customers/{made['id']}", {"addresses": [other]}))[1]
    assert (["Rye"], False) == ([row["city"] for row in after["addresses"]], "default_shipping" in after)


@pytest.mark.parametrize("field", ["email", "firstname", "lastname"])
async def test_what_a_customer_must_have_is_asked_for(shop: Shop, field: str) -> None:
    assert 400 == (await call(shop, "POST", "customers", {**ANN, field: ""}))[0]


@pytest.mark.parametrize("field", ["street", "city", "telephone", "country_id"])
async def test_what_an_address_must_have_is_asked_for(shop: Shop, field: str) -> None:
    assert 400 == (await call(shop, "POST", "customers", {**ANN, "addresses": [{**ADDRESS, field: None}]}))[0]


async def test_a_country_tells_its_regions(shop: Shop) -> None:
    assert {"NY", "TX"} == {row["code"] for row in (await call(shop, "GET", "directory/countries/US"))[1]["available_regions"]}
    assert "available_regions" not in (await call(shop, "GET", "directory/countries/DE"))[1]
    assert 404 == (await call(shop, "GET", "directory/countries/XX"))[0]
    assert 404 == (await call(shop, "PUT", "customers/9", {}))[0]
