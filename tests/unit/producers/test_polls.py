"""What the polls of each system see of its lists, whatever happens while they are read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestClient

from producers.base import Item
from producers.bng import polls as bng_polls
from producers.nopcommerce import polls as nopcommerce_polls
from towpath.errors import DataError, RetryableError
from towpath.http import ApiClient
from towpath.sandbox.kit.clock import ManualClock
from towpath.testing.clock import VirtualClock
from towpath.testing.lists import BngLists

Client = TestClient[web.Request, web.Application]
Serve = Callable[..., Awaitable[Client]]
Connected = Callable[[str, BaseTestServer], ApiClient]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORDERS, SHIPMENTS, INVOICES, PRODUCTS, CUSTOMERS, VENDORS, PURCHASES, STOCK = bng_polls.POLLS
SHOP_ORDERS = nopcommerce_polls.POLLS[0]
STILL_OPEN = nopcommerce_polls.still_open


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bng_polls, "PAGE_SIZE", 4)
    monkeypatch.setattr(nopcommerce_polls, "PAGE_SIZE", 4)


def order(number: int, seconds: float = 0, **more: str) -> dict[str, Any]:
    return {"SalesOrderID": f"SO{number}", "UpdatedAt": (NOON + timedelta(seconds=seconds)).isoformat(), **more}


async def ids(items: AsyncIterator[Item]) -> list[int | str]:
    return [item.id async for item in items]


async def test_bng_tells_of_orders_shipments_products_and_the_stock_of_each_warehouse(serve: Serve, connected: Connected) -> None:
    erp = await serve("bng", stock={"MAIN": 5, "SECOND": 7}, requests_per_minute=None)
    api = connected("bng", erp.server)
    [row, *_] = (await (await erp.get("/_sandbox/store/inventory")).json())["items"]
    sku = row["SKU"]
    body = {
        "CustomerID": "",
        "OrderDate": "2026-03-01",
        "Currency": "EUR",
        "Total": "1.00",
        "Lines": [{"LineNo": 1, "SKU": sku, "Quantity": 1, "UnitPrice": "1.00"}],
    }
    customer = await (await erp.post("/_sandbox/customers", json={"Email": "zoe@shop.example"})).json()
    made = await erp.post("/api/v1/sales-orders", json={**body, "CustomerID": customer["CustomerID"]}, headers={"X-API-Key": "towpath-sandbox-key"})
    number = (await made.json())["SalesOrderID"]
    shipment = await (await erp.post("/_sandbox/warehouse/ship", json={"order": number})).json()
    assert [number] == await ids(ORDERS.items(api, NOON))
    assert [shipment["ShipmentID"]] == await ids(SHIPMENTS.items(api, NOON))
    assert ["INV1001"] == await ids(INVOICES.items(api, NOON))
    vendor = await (await erp.post("/_sandbox/vendors", json={"name": "Kiln & Co"})).json()
    bought = await (await erp.post("/_sandbox/purchase-orders", json={"vendor": vendor["VendorID"], "lines": {sku: 5}})).json()
    assert [vendor["VendorID"]] == await ids(VENDORS.items(api, NOON))
    assert [bought["PurchaseOrderID"]] == await ids(PURCHASES.items(api, NOON))
    stock = [(item.id, item.part) async for item in STOCK.items(api, NOON)]
    assert {(sku, "MAIN"), (sku, "SECOND")} <= set(stock)
    catalogue = {row["ProductID"] for row in (await (await erp.get("/_sandbox/store/products")).json())["items"]}
    assert catalogue == set(await ids(PRODUCTS.items(api, NOON)))
    assert len(set(stock)) == 2 * len({sku for sku, _ in stock})


async def test_every_page_of_bng_is_seen_although_records_change_behind_and_before_the_reader(
    serve: Serve, connected: Connected, source_clock: ManualClock
) -> None:
    erp = await serve("bng", requests_per_minute=None)
    api, seen, changes = connected("bng", erp.server), dict[int | str, int](), 0
    skus = [row["SKU"] for row in (await (await erp.get("/_sandbox/store/inventory")).json())["items"]]
    async for item in STOCK.items(api, NOON):
        seen[item.id] = json.loads(item.text)["OnHand"]
        if changes < 12:  # one that was read, one that is read next, and one far ahead
            source_clock.advance(1)
            at = len(seen)
            for index in (0, at % len(skus), -1):
                changes += 1
                await erp.post("/_sandbox/warehouse/count", json={"sku": skus[index], "on_hand": changes})
    now = {row["SKU"]: row["OnHand"] for row in (await (await erp.get("/_sandbox/store/inventory")).json())["items"]}
    assert now == seen


async def test_records_of_one_same_time_fill_many_pages(lists: BngLists, connected: Connected) -> None:
    lists.rows["sales-orders"] = [order(1), *(order(number, 5) for number in range(2, 15)), order(15, 6)]
    assert {f"SO{number}" for number in range(1, 16)} == set(await ids(ORDERS.items(connected("bng", lists.server), NOON)))


async def test_a_list_that_is_in_another_order_is_not_taken_for_read(lists: BngLists, connected: Connected) -> None:
    lists.rows["sales-orders"] = [order(number, -number) for number in range(9)]
    with pytest.raises(RetryableError, match=r"GET /api/v1/sales-orders: 4 of 9 were listed"):
        await ids(ORDERS.items(connected("bng", lists.server), NOON - timedelta(hours=1)))


async def test_what_is_no_record_is_an_item_all_the_same(lists: BngLists, connected: Connected) -> None:
    lists.rows["sales-orders"] = [order(1), {"UpdatedAt": NOON.isoformat()}, {"SalesOrderID": 7}, None, ["SO5"], order(6, UpdatedAt="today")]
    items = [item async for item in ORDERS.items(connected("bng", lists.server), NOON)]
    assert ["SO1", 7, "SO6"] == [item.id for item in items if not str(item.id).startswith("malformed-")]
    assert len({item.id for item in items}) == 6
    assert {NOON} == {item.changed_at for item in items}, "none moves the cursor"
    assert lists.rows["sales-orders"] == [json.loads(item.text) for item in items]


async def test_an_items_text_is_as_it_was_sent(lists: BngLists, connected: Connected) -> None:
    text = '{"SalesOrderID" : "SO1","UpdatedAt":"2026-03-01T12:00:00Z", "a": [1.10, {"items": "]"}], "a": NaN, "b": 1e400,"c":"\\ud800"}'
    lists.answer = lambda _kind, _query: web.Response(text=f'{{"page": 1, "items" : [ {text},{text} ], "total": 2}}')
    lists.rows["sales-orders"] = []
    assert [text, text] == [item.text async for item in _tolerated(ORDERS.items(connected("bng", lists.server), NOON))]


async def _tolerated(items: AsyncIterator[Item]) -> AsyncIterator[Item]:
    try:
        async for item in items:
            yield item
    except RetryableError as error:
        assert "1 of 2 were listed" in str(error)  # noqa: PT017 - the same order twice


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("[]", "no list `items`"),
        ('{"items": {}, "total": 0}', "no list `items`"),
        ('{"items": [], "total": "1"}', "no number `total`"),
        ('{"items": []}', "no number `total`"),
        ('{"items": [], "total": true}', "no number `total`"),
    ],
)
async def test_what_is_no_page_is_a_data_error_that_names_the_field(lists: BngLists, connected: Connected, body: str, reason: str) -> None:
    lists.answer = lambda _kind, _query: web.Response(text=body)
    with pytest.raises(DataError, match=f"source: GET /api/v1/inventory: .*{reason}"):
        await ids(STOCK.items(connected("bng", lists.server), NOON))


@pytest.mark.parametrize(("status", "body", "reason"), [(200, "<html>", "not JSON"), (200, "[" * 200_000, "not JSON"), (404, "", "url")])
async def test_an_answer_of_something_else_than_bng_may_pass(lists: BngLists, connected: Connected, status: int, body: str, reason: str) -> None:
    lists.answer = lambda _kind, _query: web.Response(status=status, text=body)
    with pytest.raises(RetryableError, match=f"source: GET /api/v1/inventory: .*{reason}"):
        await ids(STOCK.items(connected("bng", lists.server), NOON))


async def test_an_empty_page_of_many_ends_the_read_as_incomplete(lists: BngLists, connected: Connected) -> None:
    lists.answer = lambda _kind, _query: web.json_response({"items": [], "total": 10_000})
    with pytest.raises(RetryableError, match="0 of 10000 were listed"):
        await ids(STOCK.items(connected("bng", lists.server), NOON))


async def test_a_long_list_is_read_to_its_end_although_the_reader_is_throttled(lists: BngLists, connected: Connected, clock: VirtualClock) -> None:
    lists.rows["sales-orders"] = [order(number, number) for number in range(30)]
    lists.answer = lambda _kind, _query: web.Response(status=429, headers={"Retry-After": "7"}) if len(lists.queries) % 3 else None
    read = await clock.run(ids(ORDERS.items(connected("bng", lists.server), NOON)))
    assert {f"SO{number}" for number in range(30)} == set(read)
    assert clock.monotonic() > 7 * 10, "it waited as it was asked to"


async def shop_with(serve: Serve, orders: int) -> Client:
    shop = await serve("nopcommerce")
    await shop.post("/_sandbox/shopper", json={"orders": orders})
    return shop


async def test_orders_of_the_shop_are_read_from_a_time_on_a_page_at_a_time(serve: Serve, connected: Connected, source_clock: ManualClock) -> None:
    shop = await shop_with(serve, 3)
    source_clock.advance(60)
    await shop.post("/_sandbox/shopper", json={"orders": 9, "first_id": 2001})
    api = connected("nopcommerce", shop.server)
    assert list(range(2009, 2000, -1)) == await ids(SHOP_ORDERS.items(api, NOON + timedelta(seconds=30)))
    calls = (await (await shop.get("/_sandbox/journal")).json())["items"]
    assert 3 == sum("Order/Search" in call["path"] for call in calls)


async def test_orders_that_come_in_while_the_shop_is_read_hide_none(serve: Serve, connected: Connected) -> None:
    shop = await shop_with(serve, 10)
    api, seen = connected("nopcommerce", shop.server), set[int | str]()
    async for item in SHOP_ORDERS.items(api, NOON - timedelta(days=1)):
        seen.add(item.id)
        if len(seen) in {1, 4, 8}:
            await shop.post("/_sandbox/shopper", json={"orders": 3, "first_id": 3000 + 10 * len(seen)})
    assert set(range(1001, 1011)) <= seen


async def test_a_read_that_may_have_skipped_an_order_because_one_was_deleted_does_not_count(serve: Serve, connected: Connected) -> None:
    shop = await shop_with(serve, 10)
    read = 0

    async def deleting(items: AsyncIterator[Item]) -> None:
        nonlocal read
        async for _ in items:
            read += 1
            if read == 2:
                await shop.post("/_sandbox/orders/1010", json={"deleted": True, "event": None})

    with pytest.raises(RetryableError, match="9 of 10 were listed; the list changed"):
        await deleting(SHOP_ORDERS.items(connected("nopcommerce", shop.server), NOON - timedelta(days=1)))


async def test_open_orders_are_those_neither_complete_nor_cancelled(serve: Serve, connected: Connected, source_clock: ManualClock) -> None:
    shop = await shop_with(serve, 2)
    source_clock.advance(60)
    await shop.post("/_sandbox/shopper", json={"orders": 6, "first_id": 2001})
    for number, status in ((2001, 10), (2002, 20), (2003, 30), (2004, 40), (2005, 20), (2006, 20)):
        await shop.post(f"/_sandbox/orders/{number}", json={"order_status_id": status, "event": None})
    api = connected("nopcommerce", shop.server)
    assert [2006, 2005, 2002, 2001] == await ids(STILL_OPEN(api, NOON + timedelta(seconds=30)))
    assert [2006, 2005, 2002, 2001, 1002, 1001] == await ids(STILL_OPEN(api, NOON))
