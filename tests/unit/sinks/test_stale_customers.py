"""What becomes of an order whose customer is gone at BNG, though the ledger knows an id: over HTTP, at the sandbox's own BNG."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy.engine import URL

from sinks.bng import TARGET
from sinks.effector import Effector, Patience
from sinks.effects import Effected
from towpath.clock import SystemClock
from towpath.config.connections import Connection
from towpath.delivery.database import open_engine
from towpath.delivery.ledger import Effect, Ledger
from towpath.errors import DataError, RetryableError
from towpath.metrics import Metrics
from towpath.sandbox.kit.server import build
from towpath.sandbox.kit.system import load
from towpath.systems.base import connect

KEY = "towpath-sandbox-key"
CUSTOMER = Effect("erp", "create_customer", "shop/customer/7")


class Bng:
    """BNG as its operators see it."""

    def __init__(self, client: TestClient[web.Request, web.Application]) -> None:
        self.client, self.url = client, str(client.make_url("/"))

    async def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        async with self.client.request(method, path, json=body, headers={"X-API-Key": KEY}) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def put_customer(self, external_id: str, email: str) -> str:
        created: str = (await self.call("POST", "/api/v1/customers", {"ExternalID": external_id, "Email": email}))["CustomerID"]
        return created

    async def delete_customer(self, customer: str) -> None:
        await self.call("DELETE", f"/_sandbox/customers/{customer}")

    async def customers(self) -> list[tuple[str, str]]:
        items = (await self.call("GET", "/_sandbox/store/customers"))["items"]
        return [(item["CustomerID"], item["ExternalID"]) for item in items]

    async def orders(self) -> list[tuple[str, str]]:
        items = (await self.call("GET", "/_sandbox/store/sales_orders"))["items"]
        return [(item["ExternalOrderID"], item["CustomerID"]) for item in items]

    async def posts(self, path: str) -> int:
        """How often something was sent to be created, refused ones too."""
        items = (await self.call("GET", f"/_sandbox/journal?path=/api/v1/{path}"))["items"]
        return sum(item["method"] == "POST" for item in items)


class Sink:
    """One process of the sink role."""

    def __init__(self, url: str, database: Path, owner: str = "one") -> None:
        connection = Connection.model_validate({"system": "bng", "url": url, "credentials": {"api_key": KEY}})
        self.ledger = Ledger(open_engine(URL.create("sqlite", database=str(database))), SystemClock(), owner)
        self.api = connect("erp", connection, SystemClock(), Metrics())
        self.effector = Effector("erp", TARGET, self.api, self.ledger, Patience(timeout=10, settle=5), SystemClock())

    async def apply(self, number: int, *, sku: str = "BAG-BLA-001", email: str = "zoe@shop.example") -> Effected:
        document = {
            "ExternalOrderID": f"SHOP-{number}",
            "CustomerID": {"$ref": "customer", "key": CUSTOMER.key},
            "OrderDate": "2026-03-01",
            "Currency": "USD",
            "Lines": [{"LineNo": 1, "SKU": sku, "Quantity": 1, "UnitPrice": "39.90"}],
            "Total": "39.90",
        }
        related = {f"customer {CUSTOMER.key}": json.dumps({"ExternalID": "SHOP-7", "Email": email})}
        return await self.effector.apply("create_order", f"shop/order/{number}", document, related)

    async def known_customer(self) -> str:
        claim = await self.ledger.peek(CUSTOMER)
        assert claim is not None
        return claim.external_id

    async def close(self) -> None:
        await self.api.close()
        await self.ledger.close()


@pytest.fixture
async def bng(tmp_path: Path) -> AsyncIterator[Bng]:
    system = load("bng")
    async with TestClient(TestServer(build(system, tmp_path / "bng", system.settings.model_validate({"requests_per_minute": 60_000})))) as client:
        yield Bng(client)


@pytest.fixture
async def sink(bng: Bng, tmp_path: Path) -> AsyncIterator[Sink]:
    sink = Sink(bng.url, tmp_path / "towpath.db")
    yield sink
    await sink.close()


async def test_a_customer_who_was_deleted_is_made_again_and_the_order_written_once(bng: Bng, sink: Sink) -> None:
    await sink.apply(1)
    await bng.delete_customer("C1001")
    assert "applied" == (await sink.apply(2)).outcome
    assert [("C1002", "SHOP-7")] == await bng.customers()
    assert [("SHOP-1", "C1001"), ("SHOP-2", "C1002")] == await bng.orders()
    assert "C1002" == await sink.known_customer()
    await sink.apply(3)
    assert (4, 2) == (await bng.posts("sales-orders"), await bng.posts("customers")), "one was refused, and no other after it"


async def test_a_customer_who_was_merged_into_another_is_found_by_e_mail(bng: Bng, sink: Sink) -> None:
    await sink.apply(1)
    merged = await bng.put_customer("CRM-55", "Zoe@Shop.example")
    await bng.delete_customer("C1001")
    await sink.apply(2)
    assert ("SHOP-2", merged) == (await bng.orders())[-1]
    assert [(merged, "CRM-55")] == await bng.customers()
    assert merged == await sink.known_customer()


async def test_a_customer_who_was_put_in_anew_is_found_by_our_own_reference_first(bng: Bng, sink: Sink) -> None:
    await sink.apply(1)
    await bng.put_customer("CRM-55", "zoe@shop.example")
    anew = await bng.put_customer("SHOP-7", "other@shop.example")
    await bng.delete_customer("C1001")
    await sink.apply(2)
    assert ("SHOP-2", anew) == (await bng.orders())[-1]
    assert 3 == await bng.posts("customers"), "none of them ours but the first"


async def test_a_new_customer_never_becomes_a_stranger_with_the_same_e_mail(bng: Bng, sink: Sink) -> None:
    stranger = await bng.put_customer("CRM-55", "zoe@shop.example")
    await sink.apply(1)
    [(_, customer)] = await bng.orders()
    assert stranger != customer
    assert [(stranger, "CRM-55"), (customer, "SHOP-7")] == await bng.customers()


async def test_orders_at_once_of_a_customer_who_was_deleted_make_one_customer(bng: Bng, sink: Sink, tmp_path: Path) -> None:
    await sink.apply(1)
    await bng.delete_customer("C1001")
    other = Sink(bng.url, tmp_path / "towpath.db", "other")
    waiting = [(process, number) for number in range(2, 8) for process in (sink, other)]
    async with asyncio.timeout(30):
        while waiting:
            results = await asyncio.gather(*(process.apply(number) for process, number in waiting), return_exceptions=True)
            assert all(isinstance(result, Effected | RetryableError) for result in results)
            waiting = [one for one, result in zip(waiting, results, strict=True) if isinstance(result, RetryableError)]
    await other.close()
    assert [("C1002", "SHOP-7")] == await bng.customers()
    assert [(f"SHOP-{number}", "C1002") for number in range(2, 8)] == sorted((await bng.orders())[1:])


async def test_a_customer_who_cannot_be_made_again_is_a_data_error_until_it_can(bng: Bng, sink: Sink) -> None:
    await sink.apply(1)
    await bng.delete_customer("C1001")
    with pytest.raises(DataError) as refused:
        await sink.apply(2, email="no address")
    assert "Email" == refused.value.field
    await bng.put_customer("CRM-55", "zoe@shop.example")
    await sink.apply(2)
    assert [("SHOP-1", "C1001"), ("SHOP-2", "C1002")] == await bng.orders(), "it is still looked for by e-mail"


async def test_another_refusal_looks_for_no_customer(bng: Bng, sink: Sink) -> None:
    await sink.apply(1)
    with pytest.raises(DataError) as refused:
        await sink.apply(2, sku="GHOST")
    assert "Lines[0].SKU" == refused.value.field
    assert (2, 1) == (await bng.posts("sales-orders"), await bng.posts("customers"))
