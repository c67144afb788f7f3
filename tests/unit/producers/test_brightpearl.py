"""Brightpearl as a source, from the account that the sandbox plays: sets of ids, positional rows, offsets, ids as names."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from producers.base import Fetch, Provenance
from producers.brightpearl import BrightpearlSource
from producers.brightpearl.batches import Read
from producers.brightpearl.fetch import _read_at
from producers.brightpearl.polls import POLLS
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.config import Connection
from towpath.errors import DataError, RetryableError
from towpath.events import Event
from towpath.http import ApiClient
from towpath.metrics import Metrics
from towpath.sandbox.kit.server import build
from towpath.sandbox.kit.system import load
from towpath.systems.base import connect
from towpath.systems.brightpearl import entity_of, ids_of, key_of, sets_of
from towpath.testing.waiting import until

PROVENANCE = Provenance("erp", datetime(2026, 11, 20, tzinfo=UTC), 5, "1" * 32)
HEADERS = {"brightpearl-app-ref": "acme_towpath", "brightpearl-account-token": "towpath-sandbox-token+/="}
BASE = "/public-api/acme/"


class Ours:
    """Every order was written for order 1001 of the shop."""

    async def key_of(self, entity: str, external_id: str) -> str | None:
        return "shop/order/1001" if entity == "order" and external_id else None

    def customer_of(self, reference: str) -> str | None:
        raise AssertionError(reference)

    def is_ours(self, _order_reference: str) -> bool:
        return True


class Theirs(Ours):
    """No order was written by us, though its reference looks like ours."""

    async def key_of(self, _entity: str, _external_id: str) -> str | None:
        return None


class Written(Ours):
    """A contact was written for customer 7 of the shop."""

    async def key_of(self, entity: str, external_id: str) -> str | None:
        return {("customer", "200"): "shop/customer/7"}.get((entity, external_id))


class Account:
    """An account, its client, the calls that this made, and the webhooks that came."""

    def __init__(self, server: TestClient[Any, Any], api: ApiClient, calls: list[str], hooks: list[bytes]) -> None:
        self.server, self.api, self.calls, self.hooks = server, api, calls, hooks
        self.source = BrightpearlSource()

    async def ask(self, method: str, path: str, body: Any = None) -> Any:  # noqa: ANN401 - any JSON
        async with self.server.request(method, path, json=body, headers=HEADERS) as answer:
            assert answer.ok, await answer.text()
            return await answer.json()

    async def told(self) -> list[bytes]:
        """Return the webhooks, once none waits."""

        async def nothing_waits() -> bool:
            return bool((await self.ask("GET", "/_sandbox/stats"))["webhooks_pending"] == 0)

        await until(nothing_waits, seconds=20, what="an empty outbox")
        return list(self.hooks)

    async def events(self, wanted: Fetch) -> list[Event]:
        text = await self.source.fetch(self.api, wanted, Ours())
        if text is None:
            return []
        events = self.source.decode(wanted.entity, text.encode(), PROVENANCE)
        for event in events:
            assert (event.type, event.value) == default_codec().decode(default_codec().encode(event.type, event.value))
        return events

    async def sell(self) -> int:
        """Place an order of two products, and reserve it; return its id."""
        contact = {"firstName": "Ann", "communication": {"emails": {"PRI": {"email": "ann@example.com"}}}}
        await self.ask("PUT", "/_sandbox/contacts/200", contact)
        rows = [{"productId": product, "quantity": "2", "taxCode": "T20", "net": "10.00", "tax": "2.00"} for product in (1001, 1002)]
        order = {"customer": {"id": 200}, "ref": "SHOP-1001", "rows": rows}
        number = int((await self.ask("POST", f"{BASE}order-service/sales-order", order))["response"])
        placed = (await self.ask("GET", f"{BASE}order-service/order/{number}"))["response"][0]["orderRows"]
        products = [{"productId": row["productId"], "salesOrderRowId": one, "quantity": 2} for one, row in placed.items()]
        await self.ask("POST", f"{BASE}warehouse-service/order/{number}/reservation/warehouse/2", {"products": products})
        return number


@pytest.fixture
async def account(tmp_path: Path) -> AsyncIterator[Account]:
    calls, hooks = list[str](), list[bytes]()

    async def accept(hook: web.Request) -> web.Response:
        assert hook.query["secret"] == "s"
        assert "webhook-signature" not in hook.headers
        hooks.append(await hook.read())
        return web.Response(status=204)

    @web.middleware
    async def watch(request: web.Request, handler: Any) -> web.StreamResponse:  # noqa: ANN401 - a handler
        calls.append(f"{request.method} {request.path_qs.removeprefix(BASE)}")
        return await handler(request)  # type: ignore[no-any-return]

    async with AsyncExitStack() as stack:
        receiver = web.Application()
        receiver.router.add_post("/hooks", accept)
        hooked = await stack.enter_async_context(TestServer(receiver))
        system = load("brightpearl")
        app = build(system, tmp_path, system.settings.model_validate({"webhook_url": f"{hooked.make_url('/hooks')}?secret=s"}))
        app.middlewares.append(watch)
        server = await stack.enter_async_context(TestClient(TestServer(app)))
        credentials = {"app_ref": "acme_towpath", "account_token": HEADERS["brightpearl-account-token"]}
        connection = Connection.model_validate({"system": "brightpearl", "url": str(server.make_url(BASE)), "credentials": credentials})
        api = connect("erp", connection, SystemClock(), Metrics())
        stack.push_async_callback(api.close)
        yield Account(server, api, calls, hooks)


def hook(event: str = "product.modified.on-hand-modified", ids: object = "1001", **more: object) -> bytes:
    content = {"resourceType": event.partition(".")[0], "id": ids, "fullEvent": event, "raisedOn": "2026-11-20T10:20:41.691Z"}
    return json.dumps({**content, **more}).encode()


async def test_a_sale_and_its_shipment_become_events(account: Account) -> None:
    order = await account.sell()
    await account.ask("POST", "/_sandbox/warehouse/ship", {"order": order, "tracking_number": "1Z9"})
    await account.ask("PUT", f"/_sandbox/orders/{order}/status", {"orderStatusId": 3})
    events: dict[str, list[Event]] = {}
    for body in await account.told():
        wanted = account.source.wanted(body)
        for one in wanted if isinstance(wanted, list) else [wanted]:
            assert one is not None
            again = account.source.wanted(one.payload.encode()) if one.payload else one
            assert isinstance(again, Fetch)
            for event in await account.events(again):
                events.setdefault(event.type, []).append(event)
    assert "ShipmentRequested" not in events, "nobody is asked for what has left"
    shipped = events["ShipmentConfirmed"][0]
    assert 1 == len({event.meta["event_id"] for event in events["ShipmentConfirmed"]})
    assert {"Shipped by": "4"} == shipped.value["custom_fields"]
    assert ("shop/order/1001", "1Z9", str(order)) == (shipped.meta["key"], shipped.value["tracking_number"], shipped.value["order_id"])
    assert [(1, "BAG-BLA-001", Decimal(2)), (2, "BAG-BLU-002", Decimal(2))] == [tuple(line.values()) for line in shipped.value["lines"]]
    assert {"3"} == {event.value["status"] for event in events["OrderStatusChanged"]}
    assert {("BAG-BLA-001", "2", Decimal(999998), Decimal(0)), ("BAG-BLU-002", "2", Decimal(999998), Decimal(0))} == {
        (event.value["sku"], event.value["location"], event.value["available"], event.value["allocated"]) for event in events["StockChanged"]
    }


async def test_a_webhook_of_a_set_names_each_of_it_alone(account: Account) -> None:
    parts = account.source.wanted(hook(ids="1001-1003,1005"))
    assert isinstance(parts, list)
    assert [1001, 1002, 1003, 1005] == [one.id for one in parts]
    assert [f"stock/{one.id}" for one in parts] == [key_of(one.payload.encode()) for one in parts]
    assert Fetch("stock", 1005, as_of="2026-11-20T10:20:41.691Z") == account.source.wanted(parts[3].payload.encode())
    assert key_of(hook(ids="1001-1003")) is None, "a set has no key of its own"


async def test_a_burst_is_read_by_sets_of_ids_not_one_by_one(account: Account) -> None:
    found = await asyncio.gather(*(account.events(Fetch("stock", product)) for product in range(1001, 1041)))
    assert 40 == len(found)
    assert {"BAG-BLA-001"} == {event.value["sku"] for event in found[0]}
    assert ["GET product-service/product/1001-1040", "GET warehouse-service/product-availability/1001-1040"] == sorted(account.calls)


async def test_an_id_that_is_refused_does_not_take_the_others_along(account: Account) -> None:
    found = await asyncio.gather(*(account.events(Fetch("product", one)) for one in (1001, 99_999)), return_exceptions=True)
    assert isinstance(found[1], DataError)
    assert not isinstance(found[0], BaseException)
    assert {"price_list/2": "39.90 USD"} == found[0][0].value["attributes"]


async def test_stock_is_as_of_the_moment_when_the_webhook_was_raised(account: Account) -> None:
    await account.api.get("/product-service/product/1001")
    date = account.api.source_time
    assert date is not None
    for days in (9, -9):
        (event,) = await account.events(Fetch("stock", 1001, as_of=(date + timedelta(days=days)).isoformat()))
        assert date <= event.meta["occurred_at"] < date + timedelta(seconds=30), "it is as of the read: what was raised later hides nothing"


@pytest.mark.parametrize(("raised", "expected"), [(-60, 0), (-0.1, 0), (0.4, 0.4), (1.0, 0), (3600, 0)])
def test_a_moment_within_the_second_of_the_read_is_exact_and_any_other_is_not_believed(raised: float, expected: float) -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    wanted = Fetch("stock", 1001, as_of=(at + timedelta(seconds=raised)).isoformat())
    assert (at + timedelta(seconds=expected)).isoformat() == _read_at(Read("{}", at), wanted)


async def test_what_is_not_tracked_or_not_ours_concerns_no_flow(account: Account) -> None:
    await account.ask("PUT", "/_sandbox/products/VOUCHER", {"tracked": False})
    assert [] == await account.events(Fetch("stock", 1061))
    order = await account.sell()
    await account.ask("POST", "/_sandbox/warehouse/note", {"order": order})
    with pytest.raises(RetryableError, match="not known"):
        await account.source.fetch(account.api, Fetch("order", order), Theirs())


async def test_a_note_that_has_not_left_is_a_request_the_same_however_often_it_is_read(account: Account) -> None:
    order = await account.sell()
    await account.ask("POST", "/_sandbox/warehouse/note", {"order": order, "lines": None})
    (one,), (again,) = [await account.events(Fetch("goods_out_note", 12447605)) for _ in range(2)]
    assert ("ShipmentRequested", "shop/order/1001", "12447605", "2") == (one.type, one.meta["key"], one.value["shipment_id"], one.value["location"])
    assert [(1, "BAG-BLA-001", Decimal(2)), (2, "BAG-BLU-002", Decimal(2))] == [tuple(line.values()) for line in one.value["lines"]]
    assert (one.meta["event_id"], one.meta["digest"]) == (again.meta["event_id"], again.meta["digest"])


async def test_polls_tell_what_webhooks_tell_and_contacts_besides(account: Account) -> None:
    since = datetime.now(UTC) - timedelta(minutes=1)
    order = await account.sell()
    await account.ask("POST", "/_sandbox/warehouse/ship", {"order": order})
    listed = {poll.entity: [item async for item in poll.items(account.api, since)] for poll in POLLS}
    assert [order] == [item.id for item in listed["order"]]
    assert ([12447605, 12447605], [200]) == ([item.id for item in listed["goods_out_note"]], [item.id for item in listed["contact"]])
    assert since < listed["contact"][0].changed_at < datetime.now(UTC) + timedelta(seconds=5), "the account's offset is taken off"
    (event,) = await account.events(Fetch("contact", 200))
    assert ("erp/customer/200", "ann@example.com") == (event.meta["key"], event.value["email"])
    for poll in POLLS:
        assert [] == [item async for item in poll.items(account.api, datetime.now(UTC) + timedelta(hours=1))]


async def test_a_contact_that_was_written_has_the_key_of_the_shops_customer(account: Account) -> None:
    await account.sell()
    (event,) = await account.events(Fetch("contact", 200))
    assert ("erp/customer/200", "200") == (event.meta["key"], event.value["customer_id"])
    text = await account.source.fetch(account.api, Fetch("contact", 200), Written())
    assert text is not None
    (event,) = account.source.decode("contact", text.encode(), PROVENANCE)
    assert ("shop/customer/7", "erp") == (event.meta["key"], event.meta["connection"])


async def test_a_contact_without_an_e_mail_address_is_no_customer(account: Account) -> None:
    await account.ask("PUT", "/_sandbox/contacts/201", {"firstName": "Depot"})
    assert [] == await account.events(Fetch("contact", 201))


async def test_the_same_fact_has_the_same_id_and_a_returning_status_another(account: Account) -> None:
    order = await account.sell()
    (first,), (again,) = await account.events(Fetch("order", order)), await account.events(Fetch("order", order, payload='{"orderId": 1}'))
    assert first.meta["event_id"] == again.meta["event_id"]
    for status in (3, 2):
        await account.ask("PUT", f"/_sandbox/orders/{order}/status", {"orderStatusId": status})
    (returned,) = await account.events(Fetch("order", order))
    assert first.value["status"] == returned.value["status"]
    assert first.meta["event_id"] != returned.meta["event_id"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, hook(ids="0"), hook(ids="1-99999999"), hook(ids="5-1"), hook(ids=None),
                                  hook(ids="1;2"), hook(ids=True), hook(fullEvent=5), hook(resourceType=None), hook(ids="../1")])  # fmt: skip
def test_rubbish_is_a_data_error_and_has_no_key(body: bytes) -> None:
    with pytest.raises(DataError):
        entity_of(body)
    assert key_of(body) is None


@pytest.mark.parametrize("event", ["product.destroyed", "quarantine-release.created", "contact.created"])
def test_what_no_flow_uses_is_passed_over(event: str) -> None:
    assert BrightpearlSource().wanted(hook(event)) is None


def test_sets_have_ranges_and_no_more_ids_than_a_get_may_name() -> None:
    assert ["1-3,7,9-10"] == list(sets_of([10, 9, 3, 1, 2, 7, 7]))
    sets = list(sets_of(list(range(1, 900, 2))))
    assert [200, 200, 50] == [len(ids_of(one)) for one in sets]
    assert list(range(1, 900, 2)) == [one for part in sets for one in ids_of(part)]
