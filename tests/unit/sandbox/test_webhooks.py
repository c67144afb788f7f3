from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from standardwebhooks import Webhook

SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cw=="
Client = TestClient[web.Request, web.Application]
Serve = Callable[..., Awaitable[Client]]
PLUGIN = Path(__file__).parents[3] / "schemas" / "http" / "nopcommerce-webhooks.yaml"


class Receiver:
    """A real HTTP server that keeps what it gets and answers the statuses it is given, then 204."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.got: list[tuple[dict[str, str], str]] = []
        self.settings: dict[str, Any] = {}
        self._arrived = asyncio.Condition()

    async def handle(self, request: web.Request) -> web.Response:
        async with self._arrived:
            self.got.append(({name.lower(): value for name, value in request.headers.items()}, await request.text()))
            self._arrived.notify_all()
        return web.Response(status=self.statuses.pop(0) if self.statuses else 204)

    async def wait(self, count: int) -> None:
        async with asyncio.timeout(20), self._arrived:
            await self._arrived.wait_for(lambda: len(self.got) >= count)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    app = web.Application()
    app.router.add_post("/hooks", found.handle)
    async with TestServer(app) as server:
        url = str(server.make_url("/hooks"))
        found.settings = {"webhook_url": url, "webhook_secret": SECRET, "webhook_retry_seconds": 0.01, "webhook_retry_max_seconds": 0.02}
        yield found


async def settled(client: Client) -> list[dict[str, Any]]:
    """Return the webhooks once none waits."""
    async with asyncio.timeout(20):
        while (await (await client.get("/_sandbox/stats")).json())["webhooks_pending"]:
            pass
    rows: list[dict[str, Any]] = (await (await client.get("/_sandbox/store/webhooks")).json())["items"]
    return rows


async def test_an_order_is_told_of_with_a_valid_signature(serve: Serve, receiver: Receiver) -> None:
    shop = await serve("nopcommerce", **receiver.settings)
    await shop.post("/_sandbox/shopper", json={"orders": 1})
    await receiver.wait(1)
    headers, body = receiver.got[0]
    message = Webhook(SECRET).verify(body, headers)
    assert (message["type"], message["data"]) == ("order.placed", {"entity": "order", "entityId": 1001})
    assert message["id"] == headers["webhook-id"]
    schemas = yaml.safe_load(PLUGIN.read_text(encoding="utf-8"))["components"]["schemas"]
    jsonschema.validate(message, schemas["Webhook"])


async def test_it_is_tried_until_accepted_under_one_id(serve: Serve, receiver: Receiver) -> None:
    receiver.statuses = [500, 404, 302]
    shop = await serve("nopcommerce", **receiver.settings)
    await shop.post("/_sandbox/shopper", json={"orders": 1})
    [row] = await settled(shop)
    assert (row["state"], row["attempts"], row["last_status"]) == ("delivered", 4, 204)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    for headers, body in receiver.got:
        Webhook(SECRET).verify(body, headers)


async def test_duplicates_are_sent_two_or_three_times(serve: Serve, receiver: Receiver) -> None:
    shop = await serve("nopcommerce", faults={"webhook_duplicate": 1}, **receiver.settings)
    await shop.post("/_sandbox/shopper", json={"orders": 12})
    await settled(shop)
    counts = Counter(headers["webhook-id"] for headers, _ in receiver.got)
    assert set(counts.values()) == {2, 3}
    assert (await (await shop.get("/_sandbox/faults")).json())["injected"]["webhook_duplicate"] == 12


async def test_shuffled_ones_arrive_out_of_order(serve: Serve, receiver: Receiver) -> None:
    shop = await serve("nopcommerce", faults={"webhook_shuffle": 0.5, "shuffle_seconds": 0.2}, **receiver.settings, webhook_parallel=1)
    await shop.post("/_sandbox/shopper", json={"orders": 20})
    await settled(shop)
    order = [json.loads(body)["data"]["entityId"] for _, body in receiver.got]
    assert sorted(order) == list(range(1001, 1021)) != order


async def test_what_waits_is_sent_after_a_restart(serve: Serve, receiver: Receiver) -> None:
    shop = await serve("nopcommerce", **{**receiver.settings, "webhook_url": "http://127.0.0.1:9/nobody"})
    await shop.post("/_sandbox/shopper", json={"orders": 3})
    await shop.close()
    shop = await serve("nopcommerce", **receiver.settings)
    assert [row["state"] for row in await settled(shop)] == ["delivered"] * 3


async def test_rubbish_can_be_sent_signed_and_given_up(serve: Serve, receiver: Receiver) -> None:
    receiver.statuses = [400, 400]
    shop = await serve("nopcommerce", **receiver.settings)
    await shop.post("/_sandbox/emit", json={"body": "{not json", "id": "evt_1", "max_attempts": 2})
    [row] = await settled(shop)
    assert (row["state"], row["id"], row["attempts"]) == ("given_up", "evt_1", 2)
    assert receiver.got[0][1] == "{not json"
    Webhook(SECRET).verify(receiver.got[0][1], receiver.got[0][0], json_parse=False)


async def test_without_a_receiver_nothing_is_queued(serve: Serve) -> None:
    shop = await serve("nopcommerce")
    await shop.post("/_sandbox/shopper", json={"orders": 1})
    assert await settled(shop) == []
    assert (await shop.post("/_sandbox/emit", json={"body": "x"})).status == 409


async def test_bng_tells_of_stock_and_status(serve: Serve, receiver: Receiver) -> None:
    bng, key = await serve("bng", **receiver.settings), {"X-API-Key": "towpath-sandbox-key"}
    line = {"LineNo": 1, "SKU": "BAG-BLA-001", "Quantity": 2, "UnitPrice": "39.90"}
    body = {"CustomerID": "C1001", "OrderDate": "2026-03-01", "Currency": "USD", "Lines": [line], "Total": "79.80"}
    await bng.post("/api/v1/customers", json={"Email": "ann@example.com"}, headers=key)
    await bng.post("/api/v1/sales-orders", json=body, headers=key)
    await bng.patch("/api/v1/sales-orders/SO1001", json={"OrderStatus": 20}, headers=key)
    assert [row["type"] for row in await settled(bng)] == ["customer_updated", "inventory_updated", "order_status_changed"]
