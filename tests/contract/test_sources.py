"""Each source against the system that the sandbox plays: what it sends and serves becomes events, by way of the real client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from producers.adapter import find_source
from producers.base import Fetch, Provenance, Source
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.config import Connection
from towpath.events import Event
from towpath.http import ApiClient
from towpath.metrics import Metrics
from towpath.sandbox.kit.server import build
from towpath.sandbox.kit.system import load
from towpath.systems.base import connect, system_module
from towpath.testing.waiting import until

SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cw=="
BNG = yaml.safe_load((Path(__file__).parents[2] / "schemas" / "http" / "bng.yaml").read_text(encoding="utf-8"))
CREDENTIALS: dict[str, dict[str, str]] = {
    "bng": {"client_id": "towpath", "client_secret": "towpath-sandbox-secret"},
    "nopcommerce": {"username": "api@shop.example", "password": "towpath-sandbox-password"},
    "magento": {"access_token": "towpath-sandbox-token"},
}
PROVENANCE = Provenance("erp", datetime(2026, 11, 20, tzinfo=UTC), 5, "1" * 32)


class Ours:
    """Every sales order was written for order 1001 of the shop."""

    async def key_of(self, entity: str, external_id: str) -> str | None:
        assert external_id
        return {"order": "shop/order/1001", "customer": None}[entity]

    def customer_of(self, reference: str) -> str | None:
        return f"shop/customer/{reference.removeprefix('SHOP-')}"

    def is_ours(self, order_reference: str) -> bool:
        return bool(order_reference)


class Played:
    """A system that the sandbox plays, its client, and the webhooks that it sent."""

    def __init__(self, source: Source, server: TestClient[Any, Any], api: ApiClient, bodies: list[bytes]) -> None:
        self.source, self.server, self.api, self.bodies = source, server, api, bodies

    async def ask(self, method: str, path: str, body: Any) -> Any:  # noqa: ANN401 - any JSON
        answer = await self.server.request(method, path, json=body, headers={"X-API-Key": "towpath-sandbox-key"})
        assert answer.ok, await answer.text()
        return await answer.json()

    async def events(self, wanted: Fetch) -> list[Event]:
        """Return what an entity becomes, each event proven to come through the wire."""
        text = await self.source.fetch(self.api, wanted, Ours())
        assert text is not None
        events = self.source.decode(wanted.entity, text.encode(), PROVENANCE)
        for event in events:
            assert (event.type, event.value) == default_codec().decode(default_codec().encode(event.type, event.value))
        return events

    async def sent(self) -> list[bytes]:
        """Return every webhook, once none waits to be sent."""

        async def nothing_waits() -> bool:
            stats = await (await self.server.get("/_sandbox/stats")).json()
            return bool(stats["webhooks_pending"] == 0)

        await until(nothing_waits, seconds=20, what="an empty outbox")
        return list(self.bodies)


@pytest.fixture
async def played(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Played]:
    """Give the system that the test asks for."""
    name, bodies = str(request.param), list[bytes]()

    async def accept(hook: web.Request) -> web.Response:
        bodies.append(await hook.read())
        return web.Response(status=204)

    async with AsyncExitStack() as stack:
        hooks = web.Application()
        hooks.router.add_post("/hooks", accept)
        hooked = await stack.enter_async_context(TestServer(hooks))
        system = load(name)
        settings = system.settings.model_validate({"webhook_url": str(hooked.make_url("/hooks")), "webhook_secret": SECRET})
        server = await stack.enter_async_context(TestClient(TestServer(build(system, tmp_path, settings))))
        connection = Connection(system=name, url=str(server.make_url("/")), credentials=CREDENTIALS[name])
        api = connect("erp", connection, SystemClock(), Metrics())
        stack.push_async_callback(api.close)
        source = find_source(name)
        assert source is not None
        yield Played(source, server, api, bodies)


def as_bng_says(component: str, body: object) -> None:
    schema = {"$ref": f"#/components/schemas/{component}", "components": BNG["components"]}
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(body)


async def sell(bng: Played) -> str:
    """Place an order of two lines at BNG and return its id."""
    customer = await bng.ask("POST", "/api/v1/customers", {"Email": "ann@example.com"})
    line = {"SKU": "BAG-BLA-001", "Quantity": 2, "UnitPrice": "39.90"}
    order = {"CustomerID": customer["CustomerID"], "OrderDate": "2026-11-20", "Currency": "GBP", "Total": "119.70", "ExternalOrderID": "SHOP-1001"}
    created = await bng.ask("POST", "/api/v1/sales-orders", {**order, "Lines": [{**line, "LineNo": 1}, {**line, "LineNo": 2, "Quantity": 1}]})
    return str(created["SalesOrderID"])


COMPONENTS = {
    "inventory_updated": "Inventory",
    "order_status_changed": "SalesOrder",
    "shipment_created": "Shipment",
    "invoice_created": "Invoice",
    "customer_updated": "Customer",
}


@pytest.mark.parametrize("played", ["bng"], indirect=True)
async def test_what_bng_sends_becomes_events(played: Played) -> None:
    order = await sell(played)
    await played.ask("POST", "/_sandbox/warehouse/ship", {"order": order, "lines": {"1": 2}, "tracking_number": None})
    told = [(json.loads(body), body) for body in await played.sent()]
    assert set(COMPONENTS) - {"invoice_created"} <= {message["type"] for message, _ in told}
    events: dict[str, list[Event]] = {}
    for message, body in told:
        as_bng_says("Webhook", message)
        if message["type"] not in COMPONENTS:
            assert None is played.source.wanted(body)
            continue
        as_bng_says(COMPONENTS[message["type"]], message["data"])
        wanted = played.source.wanted(body)
        assert isinstance(wanted, Fetch)
        assert f"{wanted.entity}/{wanted.id}" == system_module("bng").key_of(body)
        for event in await played.events(wanted):
            events.setdefault(event.type, []).append(event)
    (shipped,) = events["ShipmentConfirmed"]
    assert [{"line_no": 1, "sku": "BAG-BLA-001", "quantity": Decimal(2)}] == shipped.value["lines"]
    assert ("shop/order/1001", "", order) == (shipped.meta["key"], shipped.value["tracking_number"], shipped.value["order_id"])
    assert {("shop/order/1001", "20")} == {(event.meta["key"], event.value["status"]) for event in events["OrderStatusChanged"]}
    (customer,) = events["CustomerChanged"]
    assert (f"erp/customer/{customer.value['customer_id']}", "ann@example.com") == (customer.meta["key"], customer.value["email"])
    newest = max(events["StockChanged"], key=lambda event: event.meta["version"]["major"])
    assert ("BAG-BLA-001", Decimal(1)) == (newest.value["sku"], newest.value["allocated"])
    assert newest.value["available"] == newest.value["on_hand"] - newest.value["allocated"]


@pytest.mark.parametrize("played", ["nopcommerce"], indirect=True)
async def test_what_a_shop_sends_becomes_events(played: Played) -> None:
    await played.ask("POST", "/_sandbox/shopper", {"orders": 1})
    paid = {"payment_status_id": 30, "paid_date_utc": "2026-11-20T09:45:00Z", "capture_transaction_id": "ch_1", "card_number": "4111111111111111"}
    await played.ask("POST", "/_sandbox/orders/1001", {**paid, "order_status_id": 40, "event": "order.cancelled"})
    for body in await played.sent():
        wanted = played.source.wanted(body)
        assert isinstance(wanted, Fetch)
        assert Fetch("order", 1001) == wanted
        placed, cancelled, payment = await played.events(wanted)
        assert ("OrderPlaced", "OrderCancelled", "PaymentReceived") == (placed.type, cancelled.type, payment.type)
        assert ("40", "ch_1", placed.value["total"]) == (placed.value["status"], payment.value["payment_id"], payment.value["amount"])
        assert {"Customer Type", "Order Source"} <= set(placed.value["custom_fields"])


@pytest.mark.parametrize("played", ["nopcommerce"], indirect=True)
async def test_a_return_that_a_shop_sends_or_lists_is_the_same_event(played: Played) -> None:
    await played.ask("POST", "/_sandbox/shopper", {"orders": 1, "seed": 1})
    asked = await played.ask("POST", "/_sandbox/orders/1001/return", {"sku": "BOT-PLU-020", "quantity": 2})
    named = [played.source.wanted(body) for body in await played.sent()]
    sent = [wanted for wanted in named if isinstance(wanted, Fetch) and wanted.entity != "order"]
    assert [Fetch("return_request", asked["id"])] == sent
    (poll,) = [poll for poll in played.source.polls if poll.entity == "return_request"]
    listed = [Fetch("return_request", item.id, item.text) async for item in poll.items(played.api, datetime(2020, 1, 1, tzinfo=UTC))]
    (told,), (again,) = [await played.events(wanted) for wanted in (Fetch("return_request", asked["id"]), *listed)]
    assert ("ReturnRequested", "BOT-PLU-020", Decimal(2)) == (told.type, told.value["lines"][0]["sku"], told.value["lines"][0]["quantity"])
    assert told.meta["event_id"] == again.meta["event_id"]


@pytest.mark.parametrize("played", ["magento"], indirect=True)
async def test_what_magento_sends_on_every_save_becomes_the_same_events_again(played: Played) -> None:
    await played.ask("POST", "/_sandbox/shopper", {"orders": 1, "seed": 2})
    await played.ask("POST", "/_sandbox/customers", {"email": "ann@example.com"})
    for _ in range(2):
        await played.ask("POST", "/_sandbox/orders/1001", {})
    told: dict[str, set[str]] = {}
    for body in await played.sent():
        wanted = played.source.wanted(body)
        assert isinstance(wanted, Fetch)
        assert f"{wanted.entity}/{wanted.id}" == system_module("magento").key_of(body)
        for event in await played.events(wanted):
            told.setdefault(event.type, set()).add(event.meta["event_id"])
    assert {"OrderPlaced", "CustomerChanged"} <= set(told)
    assert 1 == len(told["OrderPlaced"])
