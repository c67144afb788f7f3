"""What the poller writes, and where its cursor then stands: over real HTTP and a real database, with a Kafka in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestClient
from sqlalchemy import URL
from structlog.testing import capture_logs

from producers import bng, nopcommerce, polled
from producers.base import ENTITY, KIND, RECEIVED_AT, Source
from producers.bng import polls as bng_polls
from producers.nopcommerce import polls as nopcommerce_polls
from producers.polled import Inbox, PolledList
from producers.poller import PolledConnection
from towpath.config import Connection
from towpath.delivery.cursors import Cursor, Cursors
from towpath.delivery.database import open_engine
from towpath.errors import DataError, RetryableError
from towpath.http import ApiClient
from towpath.metrics import Metrics
from towpath.records import TRACEPARENT, Output
from towpath.runtime.health import Health
from towpath.sandbox.kit.clock import ManualClock
from towpath.testing.clock import STARTS_AT, VirtualClock
from towpath.testing.lists import BngLists
from towpath.testing.producer import FakeProducer

Client = TestClient[web.Request, web.Application]
Serve = Callable[..., Awaitable[Client]]
Connected = Callable[[str, BaseTestServer], ApiClient]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OVERLAP = timedelta(minutes=15)
SOURCES: dict[str, Source] = {"bng": bng.SOURCE, "nopcommerce": nopcommerce.SOURCE}


class Process:
    """One poller of the connection `source`, over the database that all share."""

    def __init__(self, system: str, api: ApiClient, database: Path, clock: VirtualClock, **settings: Any) -> None:  # noqa: ANN401 - of a connection
        self.producer, self.metrics, self.health, self.clock = FakeProducer(), Metrics(), Health(), clock
        self.cursors = Cursors(open_engine(URL.create("sqlite", database=str(database))), clock)
        connection = Connection.model_validate({"system": system, "url": "http://127.0.0.1:1", **settings})
        inbox = Inbox("source", SOURCES[system], self.producer, clock, self.metrics)
        self.lists = {
            poll.entity: PolledList("source", connection, poll=poll, api=api, inbox=inbox, cursors=self.cursors, clock=clock)
            for poll in SOURCES[system].polls
        }
        self.polled = PolledConnection("source", 60, list(self.lists.values()), clock)

    async def read(self, entity: str) -> list[str]:
        """Read one list, and return the keys of the records that came of it."""
        before = len(self.producer.sent)
        await self.lists[entity].read()
        return self.written(before)

    def written(self, start: int = 0) -> list[str]:
        return [(record.key or b"").decode() for record in self.producer.sent[start:]]

    async def cursor(self, entity: str) -> Cursor:
        cursor = await self.cursors.find("source", entity)
        assert cursor is not None
        return cursor


Start = Callable[..., Process]


@pytest.fixture
async def start(tmp_path: Path, clock: VirtualClock, connected: Connected) -> AsyncIterator[Start]:
    """What starts a poller of a system at a server; the one before it may be thought of as killed."""
    started: list[Process] = []

    def start(system: str, server: BaseTestServer, **settings: Any) -> Process:  # noqa: ANN401 - those of a connection
        started.append(Process(system, connected(system, server), tmp_path / "towpath.db", clock, **settings))
        return started[-1]

    yield start
    for process in started:
        await process.cursors.close()


@pytest.fixture
def process(start: Start, lists: BngLists) -> Process:
    return start("bng", lists.server)


def order(number: int, seconds: float = 0, **more: object) -> dict[str, object]:
    return {"SalesOrderID": f"SO{number}", "UpdatedAt": (NOON + timedelta(seconds=seconds)).isoformat(), **more}


def key(number: int) -> str:
    return f"sales_order/SO{number}"


async def begun(process: Process, lists: BngLists) -> None:
    """Read a list for the first time, at noon, while it is empty; then it is one in the afternoon."""
    assert [] == await process.read("sales_order")
    lists.now = NOON + timedelta(hours=1)


async def test_a_new_connection_is_read_from_now_by_the_sources_clock_less_the_overlap(process: Process, lists: BngLists) -> None:
    lists.rows["sales-orders"] = [order(1, -901), order(2, -900), order(3, -1)]
    assert [key(2), key(3)] == await process.read("sales_order")
    assert Cursor(NOON - OVERLAP, NOON - timedelta(seconds=1)) == await process.cursor("sales_order")


async def test_a_new_connection_may_be_read_from_an_earlier_time(start: Start, lists: BngLists) -> None:
    process = start("bng", lists.server, poll_from="2026-02-01T01:00:00+01:00")
    lists.rows["sales-orders"] = [order(1, UpdatedAt="2026-01-31T23:59:59Z"), order(2, UpdatedAt="2026-02-01T00:00:00Z")]
    assert [key(2)] == await process.read("sales_order")


async def test_where_a_connection_begins_is_kept_even_if_its_first_read_fails(start: Start, lists: BngLists) -> None:
    first = start("bng", lists.server)
    lists.answer = lambda _kind, query: web.Response(status=400) if query["updatedSince"].startswith("2026-03") else None
    with pytest.raises(DataError):
        await first.read("sales_order")
    lists.now, lists.answer = NOON + timedelta(hours=5), lambda _kind, _query: None
    lists.rows["sales-orders"] = [order(1, 60)]
    assert [key(1)] == await start("bng", lists.server).read("sales_order")


async def test_a_record_says_what_it_is_and_where_it_came_from(process: Process, lists: BngLists) -> None:
    row = order(1, Total="19.90")
    lists.rows["sales-orders"] = [row]
    await process.read("sales_order")
    [record] = process.producer.sent
    headers = {name: value.decode() for name, value in record.headers}
    trace = headers.pop(TRACEPARENT).split("-")
    assert ("inbox.source", b"sales_order/SO1", json.dumps(row).encode()) == record[:3]
    assert {KIND: "polled", ENTITY: "sales_order", RECEIVED_AT: STARTS_AT.isoformat()} == headers
    assert [2, 32, 16, 2] == [len(part) for part in trace]
    assert 1 == process.metrics.registry.get_sample_value("towpath_received_total", {"connection": "source", "via": "poll"})


async def test_the_same_fact_has_one_trace_whoever_polls_it(start: Start, lists: BngLists) -> None:
    lists.rows["sales-orders"] = [order(1), order(2)]
    first, other = start("bng", lists.server), start("bng", lists.server)
    await first.read("sales_order")
    await other.read("sales_order")
    traces = [[dict(record.headers)[TRACEPARENT] for record in process.producer.sent] for process in (first, other)]
    assert traces[0] == traces[1]
    assert 2 == len(set(traces[0]))


async def test_what_was_written_is_not_written_again_unless_it_has_changed(process: Process, lists: BngLists) -> None:
    await begun(process, lists)
    lists.rows["sales-orders"] = [order(1, 60), order(2, 60)]
    assert [key(1), key(2)] == await process.read("sales_order")
    lists.rows["sales-orders"] = [order(1, 60), order(2, 60, OrderStatus=30), order(3, 61)]
    assert [key(2), key(3)] == await process.read("sales_order"), "also a change within the same second"
    assert [] == await process.read("sales_order")


async def test_stock_of_one_product_in_two_warehouses_is_two_facts_of_one_key(process: Process, lists: BngLists) -> None:
    rows = [{"SKU": "A-7", "Warehouse": name, "UpdatedAt": NOON.isoformat(), "OnHand": 5} for name in ("MAIN", "SECOND")]
    lists.rows["inventory"] = rows
    assert ["inventory/A-7"] * 2 == await process.read("inventory")
    assert [] == await process.read("inventory")
    lists.rows["inventory"] = [rows[0], {**rows[1], "OnHand": 6}]
    assert ["inventory/A-7"] == await process.read("inventory")


async def test_what_is_listed_late_under_an_earlier_time_is_found(process: Process, lists: BngLists) -> None:
    await begun(process, lists)
    lists.rows["sales-orders"] = [order(2, 1800)]
    await process.read("sales_order")
    lists.rows["sales-orders"] = [order(1, 1800 - 899), order(2, 1800)]
    assert [key(1)] == await process.read("sales_order")


async def test_a_page_that_fails_leaves_the_cursor_and_what_came_before_it_is_not_written_twice(
    process: Process, lists: BngLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bng_polls, "PAGE_SIZE", 2)
    await begun(process, lists)
    before = await process.cursor("sales_order")
    lists.rows["sales-orders"] = [order(number, number) for number in range(1, 7)]
    third = (NOON + timedelta(seconds=3)).strftime("%Y-%m-%dT%H:%M:%S")
    lists.answer = lambda _kind, query: web.Response(status=400) if query["updatedSince"].startswith(third) else None
    with pytest.raises(DataError):
        await process.read("sales_order")
    assert [key(1), key(2), key(3)] == process.written(), "what was read until then is in the inbox"
    assert before == await process.cursor("sales_order")
    lists.answer = lambda _kind, _query: None
    assert [key(4), key(5), key(6)] == await process.read("sales_order")
    assert NOON + timedelta(seconds=6) == (await process.cursor("sales_order")).reached


async def test_the_cursor_moves_only_when_kafka_has_every_record(process: Process, lists: BngLists) -> None:
    await begun(process, lists)
    before, sent = await process.cursor("sales_order"), 0
    lists.rows["sales-orders"] = [order(number, number) for number in range(1, 5)]

    async def refuse_the_third(_topic: str) -> None:
        nonlocal sent
        sent += 1
        if sent == 3:
            raise RetryableError("not acknowledged")

    process.producer.before = refuse_the_third
    with pytest.raises(RetryableError, match="not acknowledged"):
        await process.read("sales_order")
    assert before == await process.cursor("sales_order")
    await process.read("sales_order")
    assert {key(number) for number in range(1, 5)} == set(process.written())
    assert NOON + timedelta(seconds=4) == (await process.cursor("sales_order")).reached


async def test_a_poller_that_starts_again_misses_nothing(start: Start, lists: BngLists) -> None:
    first = start("bng", lists.server)
    await begun(first, lists)
    lists.rows["sales-orders"] = [order(1, 60)]
    await first.read("sales_order")
    lists.rows["sales-orders"] += [order(2, 7200), order(3, 10_800)]
    lists.now = NOON + timedelta(hours=3)
    assert [key(2), key(3)] == (await start("bng", lists.server).read("sales_order"))[-2:]


async def test_of_two_pollers_the_slower_one_moves_no_cursor_back(start: Start, lists: BngLists) -> None:
    slow, quick = start("bng", lists.server), start("bng", lists.server)
    await begun(slow, lists)
    lists.rows["sales-orders"] = [order(1, 60)]

    async def overtaken(_topic: str) -> None:
        slow.producer.before = None
        lists.rows["sales-orders"].append(order(2, 600))
        await quick.read("sales_order")

    slow.producer.before = overtaken
    await slow.read("sales_order")
    assert NOON + timedelta(seconds=600) == (await slow.cursor("sales_order")).reached


async def test_a_change_dated_in_the_future_hides_none_of_those_until_then(process: Process, lists: BngLists) -> None:
    await begun(process, lists)
    lists.rows["sales-orders"] = [order(1, 10 * 365 * 86_400)]
    await process.read("sales_order")
    lists.now = NOON + timedelta(hours=2)
    lists.rows["sales-orders"].insert(0, order(2, 7_000))
    assert [key(2)] == await process.read("sales_order")


async def test_a_source_whose_clock_was_set_back_is_read_from_its_new_time(process: Process, lists: BngLists) -> None:
    await begun(process, lists)
    lists.rows["sales-orders"] = [order(1, 3600)]
    await process.read("sales_order")
    lists.now = NOON + timedelta(minutes=10)
    await process.read("sales_order")
    lists.rows["sales-orders"].insert(0, order(2, 600))
    assert [key(2)] == await process.read("sales_order")


async def test_a_record_that_kafka_does_not_take_whole_is_written_cut_off(process: Process, lists: BngLists) -> None:
    lists.rows["sales-orders"] = [order(1, Note="x" * 5_000), order(2)]
    refused = iter([DataError("too large", field="value")])

    async def refuse(_topic: str) -> None:
        for error in refused:
            raise error

    process.producer.before = refuse
    assert {key(1), key(2)} == set(await process.read("sales_order"))
    cut = next(record for record in process.producer.sent if record.key == key(1).encode())
    assert 1_000 == len(cut.value or b"")


async def test_a_list_longer_than_one_batch_is_written_whole_and_the_memory_is_bounded(
    process: Process, lists: BngLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polled, "AT_ONCE", 7)
    monkeypatch.setattr(polled, "MOST_KNOWN", 10)
    lists.rows["sales-orders"] = [order(number, number / 100) for number in range(50)]
    assert [key(number) for number in range(50)] == await process.read("sales_order")
    assert 10 == len(process.lists["sales_order"]._written)


async def test_trouble_is_told_once_and_shown_until_it_is_over_and_other_lists_go_on(process: Process, lists: BngLists) -> None:
    lists.answer = lambda kind, _query: web.json_response([]) if kind == "sales-orders" else None
    lists.rows["shipments"] = [{"ShipmentID": "SH1", "UpdatedAt": NOON.isoformat()}]
    with capture_logs() as logs:
        await process.polled.read(process.health)
        await process.clock.advance(30)
        await process.polled.read(process.health)
    assert ["shipment/SH1"] == process.written()
    assert [("warning", "reading a list", "sales_order")] == [(line["log_level"], line["event"], line["entity"]) for line in logs]
    assert process.health.is_ready
    assert "sales_order: source: GET /api/v1/sales-orders: the answer has no list `items`" == process.health.ready["source"].detail
    assert [30, 0] == [process.lists[entity].age() for entity in ("sales_order", "shipment")]
    lists.answer = lambda _kind, _query: None
    with capture_logs() as logs:
        await process.polled.read(process.health)
    assert ["a list can be read again"] == [line["event"] for line in logs]
    assert "" == process.health.ready["source"].detail
    assert 0 == process.lists["sales_order"].age()


@pytest.mark.parametrize("status", [401, 500, 503])
async def test_a_source_that_refuses_or_is_down_is_asked_again_the_next_time(
    process: Process, lists: BngLists, clock: VirtualClock, status: int
) -> None:
    lists.rows["sales-orders"] = [order(1)]
    lists.answer = lambda _kind, _query: web.Response(status=status)
    await clock.run(process.polled.read(process.health))
    assert f"{status}" in process.health.ready["source"].detail
    lists.answer = lambda _kind, _query: None
    await clock.run(process.polled.read(process.health))
    assert [key(1)] == process.written()
    assert "" == process.health.ready["source"].detail


def hints(records: list[Output]) -> list[tuple[str, int | None]]:
    """Return each record's key, and the status of the order that it holds."""
    return [((record.key or b"").decode(), json.loads(record.value or b"").get("order_status_id")) for record in records]


@pytest.fixture
async def shop(serve: Serve) -> Client:
    """A shop without orders, at noon."""
    return await serve("nopcommerce")


async def place(shop: Client, first: int, count: int = 1) -> None:
    await shop.post("/_sandbox/shopper", json={"orders": count, "first_id": first})


async def change(shop: Client, number: int, **fields: object) -> None:
    answer = await shop.post(f"/_sandbox/orders/{number}", json={"event": None, **fields})
    assert 200 == answer.status


async def polls(process: Process) -> list[tuple[str, int | None]]:
    before = len(process.producer.sent)
    await process.read("order")
    return hints(process.producer.sent[before:])


async def test_orders_of_a_shop_are_written_when_they_come_change_and_close(start: Start, shop: Client, source_clock: ManualClock) -> None:
    process = start("nopcommerce", shop.server, poll_from=NOON.isoformat())
    await place(shop, 1001, 2)
    assert {"order/1001", "order/1002"} == {key for key, _ in await polls(process)}
    assert [] == await polls(process)
    source_clock.advance(3_000)
    await place(shop, 2001)
    assert ["order/2001"] == [key for key, _ in await polls(process)], "the first two are older than the overlap now"
    for status in (20, 10):
        await change(shop, 1001, order_status_id=status, paid_date_utc=f"2026-03-01T12:50:{status}Z")
        assert [("order/1001", status)] == await polls(process)
    await change(shop, 1002, order_status_id=40)
    assert [("order/1002", None)] == await polls(process)
    assert [] == await polls(process)


async def test_an_order_that_closed_while_no_poller_ran_is_written(start: Start, shop: Client, source_clock: ManualClock) -> None:
    first = start("nopcommerce", shop.server, poll_from=NOON.isoformat())
    await place(shop, 1001, 3)
    await first.read("order")
    source_clock.advance(3_000)
    await place(shop, 2001)
    await first.read("order")
    await change(shop, 1002, order_status_id=40)
    assert [("order/1002", None)] == await polls(start("nopcommerce", shop.server))


async def test_orders_from_before_a_connections_beginning_stay_where_they_are(start: Start, shop: Client, source_clock: ManualClock) -> None:
    await place(shop, 1001, 2)
    source_clock.advance(3_000)
    process = start("nopcommerce", shop.server, poll_from=(NOON + timedelta(minutes=50)).isoformat())
    await place(shop, 2001)
    assert ["order/2001"] == [key for key, _ in await polls(process)]
    await change(shop, 1001, payment_status_id=50)
    assert [] == await polls(process)


async def test_too_many_open_orders_are_told_and_hold_up_no_new_ones(
    start: Start, shop: Client, source_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polled, "MOST_UNFINISHED", 3)
    process = start("nopcommerce", shop.server, poll_from=NOON.isoformat())
    await place(shop, 1001, 4)
    with pytest.raises(DataError, match="more than 3 are unfinished"):
        await process.read("order")
    assert 4 == len(process.written())
    source_clock.advance(3_000)
    await place(shop, 2001)
    with pytest.raises(DataError):
        await process.read("order")
    assert "order/2001" in process.written()
    assert NOON + timedelta(minutes=50) == (await process.cursor("order")).reached


async def test_open_orders_that_cannot_be_read_are_not_thought_closed(start: Start, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = await serve("nopcommerce")
    await place(shop, 1001, 5)
    process = start("nopcommerce", shop.server, poll_from=NOON.isoformat())
    await process.read("order")
    monkeypatch.setattr(nopcommerce_polls, "OPEN", "not a status")
    with pytest.raises(DataError, match="Order/Search: 400"):
        await process.read("order")
    assert 5 == len((await process.cursor("order")).unfinished)
    assert 5 == len(process.written())


async def test_no_card_number_of_the_shop_comes_into_the_inbox(start: Start, shop: Client) -> None:
    await place(shop, 1001)
    process = start("nopcommerce", shop.server, poll_from=NOON.isoformat())
    await process.read("order")
    listed = await (await shop.get("/_sandbox/store/orders")).text()
    assert "4929420573595709" in listed
    assert b"4929420573595709" not in (process.producer.sent[0].value or b"")
