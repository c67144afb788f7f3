"""What the adapter makes of an inbox record: with a real ledger and real sources, and a Kafka in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr
from sqlalchemy import URL

from producers.adapter import InboxHandler, find_source
from producers.base import ASKED, BACKFILLED, ENTITY, FETCHED, KIND, POLLED, READING, RECEIVED_AT, WEBHOOK, WEBHOOK_ID
from producers.references import LedgerReferences
from producers.unread import Unread
from towpath.authorisers import HeaderKey
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.config import Config, parse_config
from towpath.delivery.books import Books
from towpath.delivery.database import open_engine
from towpath.delivery.deadletters import PARKED, Failure, Registrar, replay_of
from towpath.delivery.gate import Gate
from towpath.delivery.ledger import Effect, Ledger
from towpath.delivery.parking import Parked, Parking
from towpath.errors import DataError, RetryableError
from towpath.http import ApiClient
from towpath.metrics import Metrics
from towpath.records import TRACEPARENT, Output, Record, Replay
from towpath.systems.bng import DIALECT
from towpath.testing.producer import FakeProducer

ORDER = {
    "SalesOrderID": "SO1001",
    "ExternalOrderID": "SHOP-1001",
    "OrderStatus": 30,
    "Lines": [{"LineNo": 1, "SKU": "TP-0001", "Quantity": 2}],
    "Sequence": 9,
    "UpdatedAt": "2026-11-20T09:30:00Z",
}
SHIPMENT = {
    "ShipmentID": "SH1",
    "SalesOrderID": "SO1001",
    "Lines": [{"LineNo": 1, "Quantity": 2}],
    "Carrier": "DHL",
    "TrackingNumber": "JD01",
    "ShippedAt": "2026-11-20T09:30:00Z",
    "Sequence": 3,
}
STOCK = {"SKU": "TP/1", "Warehouse": "MAIN", "OnHand": 12, "Allocated": 2, "Available": 10, "Sequence": 7, "UpdatedAt": "2026-11-20T09:30:00Z"}
TRACE = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
RECEIVED = "2026-11-20T09:31:00+00:00"
CREATED = Effect("erp", "create_order", "shop/order/1001")


def config_of(*flows: tuple[str, str]) -> Config:
    """Return a shop and an ERP, with a flow for each (event, prefix) from the one to the other."""
    shop = {"system": "nopcommerce", "url": "http://127.0.0.1:1", "credentials": {"username": "api", "password": "env:PATH"}}
    erp = {"system": "bng", "url": "http://127.0.0.1:2", "credentials": {"api_key": "env:PATH"}}
    placed = {"source": "shop", "target": "erp", "mapping": "nopcommerce-bng/order_placed"}
    named = {f"flow-{number}": {**placed, "event": event, "reference_prefix": prefix} for number, (event, prefix) in enumerate(flows)}
    return parse_config({"connections": {"shop": shop, "erp": erp}, "flows": named})


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = Ledger(open_engine(URL.create("sqlite", database=str(tmp_path / "ledger.db"))), SystemClock(), "sink")
    yield opened
    await opened.close()


class Erp:
    """The adapter of one BNG, whose calls go to a real server."""

    def __init__(self, handler: InboxHandler, producer: FakeProducer, metrics: Metrics) -> None:
        self.handler, self.producer, self.metrics = handler, producer, metrics

    async def take(self, record: Record) -> list[Output]:
        """Return what one record of the inbox leads to, and what that leads to in turn."""
        before = len(self.producer.sent)
        await self.handler.handle(record)
        sent = self.producer.sent[before:]
        again = [output for output in sent if output.topic.startswith("inbox.")]
        return sent + [output for one in again for output in await self.take(Record(one.topic, 0, 8, 0.0, one.key, one.value, one.headers))]


@pytest.fixture
async def parking(tmp_path: Path) -> AsyncIterator[Parking]:
    opened = Parking(open_engine(URL.create("sqlite", database=str(tmp_path / "ledger.db"))), SystemClock(), timedelta(seconds=60))
    yield opened
    await opened.close()


@pytest.fixture
async def erp(ledger: Ledger, parking: Parking) -> AsyncIterator[Erp]:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(ORDER)

    async def listed(_request: web.Request) -> web.Response:
        return web.json_response({"items": [ORDER]})

    app = web.Application()
    app.router.add_get("/api/v1/sales-orders/SO1001", answer)
    app.router.add_get("/api/v1/sales-orders", listed)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    key, config = HeaderKey("X-API-Key", lambda: SecretStr("key")), config_of(("OrderPlaced", "SHOP-"))
    api = ApiClient("erp", f"http://{host}:{port}", dialect=DIALECT, authoriser=key, gate=Gate(SystemClock()), timeout=5)
    source, producer, metrics = find_source("bng"), FakeProducer(), Metrics()
    assert source is not None
    registrar = Registrar(default_codec(), "adapter", "adapter.erp", frozenset({"erp", "shop"}))
    books = Books("erp", registrar, parking, producer, SystemClock(), metrics)
    references = LedgerReferences(config, "erp", ledger)
    handler = InboxHandler(
        "erp", source=source, api=api, references=references, books=books, producer=producer, metrics=metrics, unread=Unread("erp", ledger)
    )
    yield Erp(handler, producer, metrics)
    await api.close()
    await runner.cleanup()


async def write_order(ledger: Ledger) -> None:
    await ledger.begin(CREATED, digest="", lease=timedelta(seconds=20), settle=timedelta(0))
    await ledger.complete(CREATED, "SO1001")


def webhook(kind: str, data: object, key: str = "sales_order/SO1001", replay: Replay | None = None) -> Record:
    body = json.dumps({"type": kind, "id": "evt_1", "occurredAt": RECEIVED, "data": data}).encode()
    pairs = {KIND: WEBHOOK.encode(), WEBHOOK_ID: b"evt_1", RECEIVED_AT: RECEIVED.encode(), TRACEPARENT: TRACE.encode()}
    pairs |= dict(replay.headers()) if replay else {}
    return Record("inbox.erp", 0, 7, 0.0, key.encode(), body, tuple(pairs.items()))


def polled(entity: str, key: bytes | None, value: bytes, kind: str = POLLED) -> Record:
    pairs = {KIND: kind, ENTITY: entity, RECEIVED_AT: RECEIVED, TRACEPARENT: TRACE}
    return Record("inbox.erp", 0, 7, 0.0, key, value, tuple((name, text.encode()) for name, text in pairs.items()))


def event_of(output: Output) -> tuple[str, str, str]:
    kind, value = default_codec().decode(output.value)
    assert "1" * 32 == value["meta"]["trace_id"]
    return kind, value["meta"]["key"], value["meta"]["connection"]


async def test_a_status_becomes_an_event_of_the_shop_s_order(erp: Erp, ledger: Ledger) -> None:
    await write_order(ledger)
    fetched, event = await erp.take(webhook("order_status_changed", ORDER))
    assert ("inbox.erp", b"sales_order/SO1001") == (fetched.topic, fetched.key)
    assert {KIND: FETCHED.encode(), ENTITY: b"sales_order", RECEIVED_AT: RECEIVED.encode(), TRACEPARENT: TRACE.encode(), WEBHOOK_ID: b"evt_1"} == (
        dict(fetched.headers)
    )
    assert ("received.orders", b"shop/order/1001") == (event.topic, event.key)
    assert ("OrderStatusChanged", "shop/order/1001", "erp") == event_of(event)
    assert datetime(2026, 11, 20, 9, 31, tzinfo=UTC) == default_codec().decode(event.value)[1]["meta"]["received_at"]


async def test_a_shipment_becomes_an_event_of_the_shop_s_order(erp: Erp, ledger: Ledger) -> None:
    await write_order(ledger)
    _, event = await erp.take(webhook("shipment_created", SHIPMENT, "shipment/SH1"))
    assert ("received.orders", b"shop/order/1001") == (event.topic, event.key)
    assert ("ShipmentConfirmed", "shop/order/1001", "erp") == event_of(event)


async def test_what_a_list_told_becomes_what_a_webhook_of_it_becomes(erp: Erp, ledger: Ledger) -> None:
    await write_order(ledger)
    for kind, entity, key, data in (
        ("inventory_updated", "inventory", "inventory/TP/1", STOCK),
        ("order_status_changed", "sales_order", "sales_order/SO1001", ORDER),
        ("shipment_created", "shipment", "shipment/SH1", SHIPMENT),
    ):
        told = await erp.take(webhook(kind, data, key))
        listed = await erp.take(polled(entity, key.encode(), json.dumps(data).encode()))
        assert [(output.topic, output.key, output.value) for output in told] == [(output.topic, output.key, output.value) for output in listed]
        assert key.encode() == listed[0].key


async def test_what_is_backfilled_and_what_an_operator_names_become_what_a_list_tells(erp: Erp, ledger: Ledger) -> None:
    await write_order(ledger)
    order = json.dumps(ORDER, separators=(", ", ": ")).encode()  # as the server writes it
    taken = [
        await erp.take(polled("sales_order", b"sales_order/SO1001", body, kind))
        for kind, body in ((POLLED, order), (BACKFILLED, order), (ASKED, b""))
    ]
    (listed, *_), (backfilled, *_), (named, *_) = taken
    assert [b"7", None, b"7"] == [dict(one.headers).get(READING) for one in (listed, backfilled, named)]
    assert [taken[0][1:]] * 3 == [one[1:] for one in taken]
    assert listed == named == backfilled._replace(headers=listed.headers)
    assert {*listed.headers} == {*backfilled.headers, (READING, b"7")}


@pytest.mark.parametrize(
    ("key", "value", "field"),
    [
        (None, b"{}", "key"),
        (b"", b"{}", "key"),
        (b"inventory", b"{}", "key"),
        (b"inventory/", b"{}", "key"),
        (b"inventory/1", b"", "body"),
        (b"inventory/1", b'{"SKU": "TP', "body"),
        (b"inventory/1", b"\xff", "body"),
        (b"ledger/1", b"{}", "entity"),
        (b"\xff/1", b"{}", "entity"),
    ],
)
async def test_what_a_list_told_and_nobody_can_read_is_refused_by_name(erp: Erp, key: bytes | None, value: bytes, field: str) -> None:
    with pytest.raises(DataError) as caught:
        await erp.handler.handle(polled("inventory", key, value))
    assert (field, []) == (caught.value.field, erp.producer.sent)


async def test_an_order_of_someone_else_ends_here_and_is_counted(erp: Erp) -> None:
    assert [] == await erp.take(webhook("order_status_changed", {**ORDER, "ExternalOrderID": "PHONE-1"}))
    assert b'towpath_dropped_total{event="sales_order",reason="filtered"} 1.0' in erp.metrics.exposition()


async def test_an_order_of_ours_waits_until_its_writing_is_known(erp: Erp, ledger: Ledger) -> None:
    with pytest.raises(RetryableError, match="SO1001"):
        await erp.take(webhook("order_status_changed", ORDER))
    await ledger.begin(CREATED, digest="", lease=timedelta(seconds=20), settle=timedelta(0))
    with pytest.raises(RetryableError, match="SO1001"):
        await erp.take(webhook("order_status_changed", ORDER))
    assert [] == erp.producer.sent
    await ledger.complete(CREATED, "SO1001")
    assert 2 == len(await erp.take(webhook("order_status_changed", ORDER)))


async def test_a_webhook_that_no_flow_can_use_ends_here(erp: Erp) -> None:
    assert [] == await erp.take(webhook("something_new", {"InvoiceID": "I1", "Sequence": 1}))


async def test_a_record_that_is_played_again_closes_its_dead_letter_and_goes_the_usual_way(erp: Erp, ledger: Ledger) -> None:
    await write_order(ledger)
    replay = Replay("letter-1", 1, datetime(2026, 11, 20, tzinfo=UTC), 1, "adapter.erp")
    fetched, receipt, event = await erp.take(webhook("order_status_changed", ORDER, replay=replay))
    assert ["inbox.erp", "receipts", "received.orders"] == [fetched.topic, receipt.topic, event.topic]
    assert ("resolved", "letter-1") == tuple(default_codec().decode(receipt.value)[1][name] for name in ("outcome", "dead_letter_id"))
    assert set(dict(fetched.headers)) & set(dict(replay.headers())) == set(), "what it led to is no replay"


# --- references


@pytest.mark.parametrize(
    ("flows", "ours", "others"),
    [
        ([("OrderPlaced", "SHOP-")], ["SHOP-1", "SHOP-"], ["shop-1", "1", ""]),
        ([("OrderPlaced", "")], ["SHOP-1", "1"], []),
        ([("CustomerChanged", ""), ("OrderPlaced", "A-")], ["A-1"], ["1"]),
        ([("CustomerChanged", "")], [], ["1"]),
        ([], [], ["1"]),
    ],
)
def test_a_reference_is_ours_where_a_flow_that_places_orders_gives_such(
    ledger: Ledger, flows: list[tuple[str, str]], ours: list[str], others: list[str]
) -> None:
    references = LedgerReferences(config_of(*flows), "erp", ledger)
    assert [True] * len(ours) + [False] * len(others) == [references.is_ours(one) for one in ours + others]
    assert not LedgerReferences(config_of(*flows), "shop", ledger).is_ours("SHOP-1"), "that flow writes elsewhere"


@pytest.mark.parametrize(
    ("flows", "reference", "key"),
    [
        ([("OrderPlaced", "SHOP-")], "SHOP-7", "shop/customer/7"),
        ([("CustomerChanged", "S-"), ("OrderPlaced", "S-B-")], "S-B-7", "shop/customer/7"),
        ([("CustomerChanged", "S-")], "S-B-7", "shop/customer/B-7"),
        ([("CustomerChanged", "SHOP-")], "SHOP-", None),
        ([("CustomerChanged", "SHOP-")], "CRM-7", None),
        ([("CustomerChanged", "")], "7", None),
        ([("StockChanged", "SHOP-")], "SHOP-7", None),
    ],
)
def test_a_reference_of_ours_names_the_customer_of_the_shop(ledger: Ledger, flows: list[tuple[str, str]], reference: str, key: str | None) -> None:
    assert key == LedgerReferences(config_of(*flows), "erp", ledger).customer_of(reference)


async def test_what_was_written_is_known_by_its_entity_and_connection(ledger: Ledger) -> None:
    await write_order(ledger)
    config = config_of(("OrderPlaced", "SHOP-"))
    references = LedgerReferences(config, "erp", ledger)
    assert ["shop/order/1001", None, None] == [
        await references.key_of(*one) for one in (("order", "SO1001"), ("order", "SO1"), ("customer", "SO1001"))
    ]
    assert None is await LedgerReferences(config, "shop", ledger).key_of("order", "SO1001")


PRODUCT = {
    "ProductID": "P7",
    "SKU": "A-7",
    "Name": "Mug",
    "ProductType": "Tableware",
    "Attributes": {},
    "Price": "9.99",
    "Currency": "EUR",
    "Sequence": 1,
    "UpdatedAt": RECEIVED,
}


@pytest.mark.parametrize("again", [1, 2])
async def test_a_product_that_arrives_wakes_what_awaits_it_however_often_it_is_told(erp: Erp, parking: Parking, again: int) -> None:
    waiting = Parked("letter-1", "dlq.erp", 0, 3)
    await parking.keep("erp", waiting, Failure("no product with SKU A-7", awaits="product A-7"))
    await parking.keep("erp", waiting._replace(dead_letter_id="letter-2"), Failure("no product with SKU A-8", awaits="product A-8"))
    for _ in range(again):
        sent = await erp.take(webhook("product_updated", PRODUCT, "product/P7"))
        assert ["inbox.erp", "received.products"] == [output.topic for output in sent]
    assert [waiting] == await parking.due("erp")


async def test_what_parks_is_noted_to_be_tried_again_and_forgotten_once_it_went_through(erp: Erp, parking: Parking, ledger: Ledger) -> None:
    record = webhook("order_status_changed", ORDER)
    await erp.handler.give_up(record, Failure("its order is not known yet", "passing", state=PARKED))
    assert 1 == await parking.count("erp")
    [letter] = erp.producer.decoded("parked.erp")
    await write_order(ledger)
    again = replay_of(letter)
    await erp.take(Record("inbox.erp", 0, 9, 0.0, again.key, again.value, tuple(again.headers)))
    assert 0 == await parking.count("erp")
