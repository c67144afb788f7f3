from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from standardwebhooks import Webhook

Json = Any
Client = TestClient[web.Request, web.Application]
Serve = Callable[..., Awaitable[Client]]
SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cw=="
KEY = {"X-API-Key": "towpath-sandbox-key"}
LINES = [{"LineNo": 1, "SKU": "BAG-BLA-001", "Quantity": 2, "UnitPrice": "39.90"}]
ORDER = {"CustomerID": "C1001", "OrderDate": "2026-03-01", "Currency": "USD", "Lines": LINES, "Total": "79.80"}
PATHS = {
    "inventory_updated": ("inventory", "SKU"),
    "order_status_changed": ("sales-orders", "SalesOrderID"),
    "shipment_created": ("shipments", "ShipmentID"),
}


class Taken:
    """The webhooks that a real HTTP server took, each verified."""

    def __init__(self) -> None:
        self.messages: list[Json] = []
        self.refuse = 0
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        message = Webhook(SECRET).verify(await request.text(), {name.lower(): value for name, value in request.headers.items()})
        if self.refuse:
            self.refuse -= 1
            return web.Response(status=503)
        self.messages.append(message)
        return web.Response(status=204)

    def of(self, kind: str) -> list[Json]:
        return [message["data"] for message in self.messages if message["type"] == kind]


@pytest.fixture
async def taken() -> AsyncIterator[Taken]:
    found, app = Taken(), web.Application()
    app.router.add_post("/hooks", found.handle)
    async with TestServer(app) as server:
        found.url = str(server.make_url("/hooks"))
        yield found


async def run(serve: Serve, taken: Taken, orders: int, **settings: Json) -> Client:
    """Have orders placed and all of them shipped, and return when every webhook was taken."""
    hooks = {"webhook_url": taken.url, "webhook_secret": SECRET, "webhook_retry_seconds": 0.01, "webhook_retry_max_seconds": 0.02}
    client = await serve("bng", requests_per_minute=None, **hooks, **settings)
    await client.post("/_sandbox/customers", json={"Email": "ann@example.com"})
    for _ in range(orders):
        assert (await client.post("/api/v1/sales-orders", json=ORDER, headers=KEY)).status == 201
    assert (await client.post("/_sandbox/warehouse", json={"partial": 0.5})).status == 200
    async with asyncio.timeout(20):
        while (await (await client.get("/_sandbox/stats")).json())["webhooks_pending"]:
            pass
    return client


async def test_data_is_what_its_get_gives(serve: Serve, taken: Taken) -> None:
    client = await run(serve, taken, 1)
    for kind, (path, name) in PATHS.items():
        newest = max(taken.of(kind), key=lambda data: int(data["Sequence"]))
        assert newest == await (await client.get(f"/api/v1/{path}/{newest[name]}", headers=KEY)).json()


async def test_each_change_of_stock_is_told_with_a_higher_sequence(serve: Serve, taken: Taken) -> None:
    await run(serve, taken, 8, webhook_parallel=1)
    rows = taken.of("inventory_updated")
    parcels = taken.of("shipment_created")
    assert len(rows) == 8 + len(parcels)
    assert [row["Sequence"] for row in rows] == sorted({row["Sequence"] for row in rows})
    assert rows[-1]["OnHand"] == rows[0]["OnHand"] - 16


async def test_a_receiver_that_fails_gets_all_of_them_in_the_end(serve: Serve, taken: Taken) -> None:
    taken.refuse = 9
    client = await run(serve, taken, 4)
    sent = {json.loads(row["body"])["id"] for row in (await (await client.get("/_sandbox/store/webhooks")).json())["items"]}
    assert {message["id"] for message in taken.messages} == sent
    assert taken.refuse == 0


async def test_shipments_and_stock_are_repeated_and_shuffled_as_dialled(serve: Serve, taken: Taken) -> None:
    faults = {"webhook_duplicate": 0.5, "webhook_shuffle": 0.5, "shuffle_seconds": 0.3}
    await run(serve, taken, 20, faults=faults, webhook_parallel=1)
    counts = Counter(message["id"] for message in taken.messages if message["type"] == "shipment_created")
    sequences = [data["Sequence"] for data in taken.of("inventory_updated")]
    assert {1, 2} <= set(counts.values()) <= {1, 2, 3}
    assert sequences != sorted(sequences)


@pytest.mark.parametrize("path", ["/shipments", "/inventory?updatedSince=2026-01-01T00:00:00Z", "/inventory/BAG-BLA-001", "/sales-orders"])
@pytest.mark.parametrize(("fault", "status"), [("unavailable", 503), ("throttle", 429)])
async def test_dialled_faults_meet_reads_of_the_warehouse_and_leave_the_controls_alone(serve: Serve, path: str, fault: str, status: int) -> None:
    client = await serve("bng", faults={fault: 1})
    assert (await client.get(f"/api/v1{path}", headers=KEY)).status == status
    assert (await client.get("/_sandbox/warehouse")).status == 200
