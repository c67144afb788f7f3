"""What becomes of a delivery: the whole way from a record to BNG's answer, over real HTTP and a real ledger, on a clock that the test moves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy.engine import URL
from structlog.testing import capture_logs

from sinks.bng import TARGET
from sinks.effector import Effector, Patience
from sinks.effects import Effected
from sinks.handler import DeliveryHandler
from towpath.codec import default_codec
from towpath.config.connections import Connection
from towpath.delivery.books import Books
from towpath.delivery.budget import Priority
from towpath.delivery.database import open_engine
from towpath.delivery.deadletters import Failure, Registrar, replay_of
from towpath.delivery.gate import Gate
from towpath.delivery.lanes import LaneLimits, Lanes
from towpath.delivery.ledger import Ledger
from towpath.delivery.parking import Parking
from towpath.errors import DataError, FencedError, OutcomeUnknownError, RetryableError
from towpath.http import ApiClient
from towpath.metrics import Metrics
from towpath.records import Headers, Record
from towpath.systems import bng
from towpath.testing.bng import Commit, FakeBng
from towpath.testing.clock import STARTS_AT, VirtualClock
from towpath.testing.producer import FakeProducer
from towpath.testing.waiting import until

PATIENCE = Patience(timeout=10, settle=5)
TAKEOVER = 25  # a look-up and a write of 10 s each, and the settle time


class Process:
    """One process of the sink role: its own owner and clients, over the database that all share."""

    def __init__(self, owner: str, target: FakeBng, database: Path, clock: VirtualClock) -> None:
        connection = Connection.model_validate({"system": "bng", "url": str(target.server.make_url("/")), "credentials": {"api_key": "k"}})
        self.clock, self.producer, self.finished = clock, FakeProducer(), list[int]()
        self.ledger = Ledger(open_engine(URL.create("sqlite", database=str(database))), clock, owner)
        self.parking = Parking(open_engine(URL.create("sqlite", database=str(database))), clock, timedelta(seconds=60))
        authoriser = bng.authoriser(connection)
        self.api = ApiClient("erp", connection.url, dialect=bng.DIALECT, authoriser=authoriser, gate=Gate(clock), timeout=PATIENCE.timeout)
        effector = Effector("erp", TARGET, self.api, self.ledger, PATIENCE, clock)
        registrar = Registrar(default_codec(), "sink", "sink.erp", frozenset({"erp"}))
        self.effector = effector
        books = Books("erp", registrar, self.parking, self.producer, clock, metrics := Metrics())
        self.handler = DeliveryHandler("erp", effector=effector, ledger=self.ledger, books=books, metrics=metrics)
        self.lanes = Lanes(self.handler, clock, LaneLimits(), lambda record: self.finished.append(record.offset))

    async def apply(self, number: int = 1001, **changes: Any) -> Effected:  # noqa: ANN401 - those of an_order
        document, related = an_order(number, **changes)
        return await self.effector.apply("create_order", f"shop/order/{number}", document, related)

    async def deliver(self, *records: Record) -> None:
        """Play the records in lanes until all are finished."""
        for record in records:
            self.lanes.submit(record)
        wanted = len(self.finished) + len(records)

        async def done() -> bool:
            return len(self.finished) >= wanted

        await self.clock.run(until(done))

    @property
    def receipts(self) -> list[tuple[str, str]]:
        return [(receipt["outcome"], receipt["dead_letter_id"]) for receipt in self.producer.decoded("receipts")]

    async def close(self) -> None:
        await self.lanes.drain(1)
        await self.api.close()
        await self.ledger.close()
        await self.parking.close()


Start = Callable[[str], Process]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def target() -> AsyncIterator[FakeBng]:
    target = FakeBng()
    await target.server.start_server()
    yield target
    await target.server.close()


@pytest.fixture
async def start(target: FakeBng, tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Start]:
    started: list[Process] = []

    def start(owner: str) -> Process:
        started.append(Process(owner, target, tmp_path / "towpath.db", clock))
        return started[-1]

    yield start
    for process in started:
        await process.close()


@pytest.fixture
def process(start: Start) -> Process:
    return start("one")


def an_order(number: int = 1001, *, customer: int = 7, sku: str = "A-7", email: str = "zoe@shop.example") -> tuple[dict[str, Any], dict[str, str]]:
    key = f"shop/customer/{customer}"
    document = {
        "ExternalOrderID": f"SHOP-{number}",
        "CustomerID": {"$ref": "customer", "key": key},
        "Lines": [{"LineNo": 1, "SKU": sku, "Quantity": 1}],
    }
    return document, {f"customer {key}": json.dumps({"ExternalID": f"SHOP-{customer}", "Email": email})}


def a_delivery(number: int = 1001, *, offset: int = 0, headers: Headers = (), **changes: Any) -> Record:  # noqa: ANN401 - any field
    document, related = an_order(number, **{name: changes.pop(name) for name in ("customer", "sku", "email") if name in changes})
    key = f"shop/order/{number}"
    value = {
        "delivery_id": f"d-{number}", "flow": "shop-orders-to-erp", "source": "shop", "target": "erp", "operation": "create_order", "effect_key": key,
        "version": {"major": 1, "minor": offset}, "event_type": "OrderPlaced", "event_id": f"e-{number}", "key": key, "trace_id": "",
        "occurred_at": STARTS_AT, "received_at": STARTS_AT, "mapping": "m", "mapping_version": "1", "document": json.dumps(document),
        "related": related, "event": b"",
    } | changes  # fmt: skip
    return Record("deliver.erp", 0, offset, 0.0, key.encode(), default_codec().encode("Delivery", value), headers)


async def lost_after_commit(request: web.Request, commit: Commit) -> web.StreamResponse:
    response = commit()
    assert request.transport is not None
    request.transport.abort()
    return response


async def lost_before_commit(request: web.Request, _commit: Commit) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def once(fault: Callable[..., Any], path: str = "/api/v1/sales-orders") -> Callable[..., Any]:
    left = [fault]

    async def first_time(request: web.Request, commit: Commit) -> web.StreamResponse | None:
        answer: web.StreamResponse | None = await left.pop()(request, commit) if left and request.path == path else None
        return answer

    return first_time


async def test_an_order_is_written_once_with_the_customer_that_was_made_for_it(process: Process, target: FakeBng) -> None:
    await process.deliver(a_delivery())
    [order] = target.rows["sales-orders"]
    assert "C-1" == order["CustomerID"]
    assert ["SHOP-7"] == target.references("customers")
    await process.deliver(a_delivery(offset=1))
    assert 2 == target.posts
    assert [("applied", ""), ("unchanged", "")] == process.receipts
    assert "SO-1" == process.producer.decoded("receipts")[1]["external_id"]


async def test_a_record_that_stands_at_the_target_already_is_found_and_not_written(process: Process, target: FakeBng) -> None:
    target.rows["sales-orders"].append({"ExternalOrderID": "SHOP-1001", "SalesOrderID": "SO-by-hand"})
    assert Effected("found", "SO-by-hand", reason="it stood there before Towpath wrote it") == await process.apply()
    assert ["SHOP-1001"] == target.references("sales-orders")


@pytest.mark.parametrize(("fault", "outcome", "posts"), [(lost_after_commit, "found", 2), (lost_before_commit, "applied", 3)])
async def test_after_a_lost_answer_it_waits_for_the_target_to_settle_and_looks_first(
    process: Process, target: FakeBng, clock: VirtualClock, fault: Callable[..., Any], outcome: str, posts: int
) -> None:
    target.fault = once(fault)
    await process.deliver(a_delivery())
    assert ["SHOP-1001"] == target.references("sales-orders")
    assert [(outcome, "")] == process.receipts
    assert posts == target.posts
    assert clock.monotonic() >= PATIENCE.settle - 0.001


async def test_a_request_that_commits_after_we_gave_up_on_it_is_not_sent_again(process: Process, target: FakeBng, clock: VirtualClock) -> None:
    late: list[Commit] = []

    async def gave_up(request: web.Request, commit: Commit) -> web.StreamResponse:
        late.append(commit)
        return await lost_before_commit(request, commit)

    target.fault = once(gave_up)
    with pytest.raises(OutcomeUnknownError):
        await process.apply()
    await clock.advance(4.9)
    with pytest.raises(RetryableError, match="may still commit"):
        await process.apply()
    late[0]()
    await clock.advance(0.1)
    assert Effected("found", "SO-1") == await process.apply()
    assert ["SHOP-1001"] == target.references("sales-orders")


async def test_a_lost_answer_about_a_customer_makes_no_second_one(process: Process, target: FakeBng) -> None:
    target.fault = once(lost_after_commit, "/api/v1/customers")
    await process.deliver(a_delivery())
    assert ["SHOP-7"] == target.references("customers")
    assert "C-1" == target.rows["sales-orders"][0]["CustomerID"]


async def test_a_process_that_died_after_the_write_is_followed_by_one_that_finds_it(start: Start, target: FakeBng, clock: VirtualClock) -> None:
    one, other = start("one"), start("other")
    committed = asyncio.Event()

    async def dies(_request: web.Request, commit: Commit) -> web.StreamResponse:
        commit()
        committed.set()
        await asyncio.Event().wait()
        raise AssertionError

    target.fault = once(dies)
    dying = asyncio.create_task(one.apply())
    await committed.wait()
    dying.cancel()
    with pytest.raises(RetryableError, match="may still commit"):
        await other.apply()
    await clock.advance(TAKEOVER)
    assert Effected("found", "SO-1") == await other.apply()
    assert ["SHOP-1001"] == target.references("sales-orders")


async def test_twenty_first_orders_of_one_customer_make_one_customer(process: Process, target: FakeBng) -> None:
    outcomes = await asyncio.gather(*(process.apply(number) for number in range(20)))
    assert {"applied"} == {effected.outcome for effected in outcomes}
    assert ["SHOP-7"] == target.references("customers")
    assert sorted(f"SHOP-{number}" for number in range(20)) == target.references("sales-orders")
    assert {"C-1"} == {order["CustomerID"] for order in target.rows["sales-orders"]}
    assert 0 == len(process.effector._under_way)


async def test_two_processes_with_first_orders_of_one_customer_make_one_customer(start: Start, target: FakeBng, clock: VirtualClock) -> None:
    processes = [start("one"), start("other")]
    waiting = [(processes[number % 2], number) for number in range(20)]
    while waiting:
        results = await asyncio.gather(*(process.apply(number) for process, number in waiting), return_exceptions=True)
        assert all(isinstance(result, Effected | RetryableError) for result in results)
        waiting = [one for one, result in zip(waiting, results, strict=True) if isinstance(result, RetryableError)]
        await clock.advance(1)
    assert ["SHOP-7"] == target.references("customers")
    assert 20 == len(target.rows["sales-orders"])


async def test_a_process_that_was_stopped_before_its_write_does_not_write_after_another_took_over(
    start: Start, target: FakeBng, clock: VirtualClock
) -> None:
    zombie, other = start("zombie"), start("other")
    await other.apply(1)  # makes the customer
    target.listed = lambda: zombie.api.gate.throttled(60)
    sleeping = asyncio.create_task(zombie.apply())

    async def waits_to_write() -> bool:
        return clock.sleeping > 0

    await until(waits_to_write)
    target.listed = None
    await clock.advance(TAKEOVER)
    assert Effected("applied", "SO-2") == await other.apply()
    with pytest.raises(FencedError):
        await clock.run(sleeping)
    assert ["SHOP-1", "SHOP-1001"] == target.references("sales-orders")


async def test_a_process_that_waits_long_before_its_write_renews_its_claim(start: Start, target: FakeBng, clock: VirtualClock) -> None:
    one, other = start("one"), start("other")
    await other.apply(1)
    writing = asyncio.Event()
    release = asyncio.Event()

    async def slow(_request: web.Request, commit: Commit) -> web.StreamResponse:
        writing.set()
        await release.wait()
        return commit()

    target.listed, target.fault = lambda: one.api.gate.throttled(20), once(slow)
    task = asyncio.create_task(clock.run(one.apply()))
    await writing.wait()
    assert clock.monotonic() == 20
    await clock.advance(10)
    with pytest.raises(RetryableError, match="may still commit"):
        await other.apply()
    release.set()
    assert Effected("applied", "SO-2") == await task


async def test_a_refusal_is_a_dead_letter_that_the_corrected_order_closes(process: Process, target: FakeBng) -> None:
    target.refused = {"A-7"}
    await process.deliver(a_delivery())
    [letter] = process.producer.decoded("dlq.erp")
    assert ("data", "it") == (letter["error_class"], letter["field"])
    assert a_delivery().value == letter["value"]
    await process.deliver(a_delivery(offset=1, sku="A-8"))
    assert ["SHOP-1001"] == target.references("sales-orders")
    assert [("applied", letter["dead_letter_id"])] == process.receipts


async def test_every_dead_letter_of_an_order_is_closed_by_its_success(process: Process, target: FakeBng) -> None:
    target.refused = {"A-7", "bad@shop.example"}
    await process.deliver(a_delivery(related={}))  # the reference is unknown
    await process.deliver(a_delivery(offset=1, email="bad@shop.example"))  # its customer is refused
    await process.deliver(a_delivery(offset=2))  # itself is refused
    letters = {letter["dead_letter_id"] for topic in ("dlq.erp", "parked.erp") for letter in process.producer.decoded(topic)}
    assert 3 == len(letters)
    assert [] == process.receipts
    await process.deliver(a_delivery(offset=3, sku="A-8"))
    assert {("applied", letter) for letter in letters} == set(process.receipts)


async def test_what_a_delivery_depends_on_is_waited_for_and_named_where_it_never_comes(process: Process, target: FakeBng) -> None:
    await process.deliver(a_delivery(related={}))
    [parked] = process.producer.decoded("parked.erp")
    assert ("passing", "waits for customer shop/customer/7, which is not at erp yet") == (parked["error_class"], parked["reason"])
    assert 0 == target.posts


async def test_a_crash_between_the_effect_and_its_receipt_leaves_no_dead_letter_open(start: Start, target: FakeBng) -> None:
    one, other = start("one"), start("other")
    target.refused = {"A-7"}
    await one.deliver(a_delivery())
    [letter] = one.producer.decoded("dlq.erp")
    target.refused = set()

    async def dead(_topic: str) -> None:
        raise RetryableError("the process died here")

    one.producer.before = dead
    with pytest.raises(RetryableError):
        await one.handler.handle(a_delivery(offset=1))
    await other.deliver(a_delivery(offset=1))
    assert [("unchanged", letter["dead_letter_id"])] == other.receipts


async def test_a_dead_letter_played_again_keeps_its_id_and_its_history(process: Process, target: FakeBng) -> None:
    target.refused = {"A-7"}
    await process.deliver(a_delivery())
    [letter] = process.producer.decoded("dlq.erp")
    _, key, value, headers = replay_of(letter)
    again = Record("deliver.erp", 0, 1, 0.0, key, value, headers)
    await process.deliver(again)
    second = process.producer.decoded("dlq.erp")[1]
    assert (letter["dead_letter_id"], 2, 1) == (second["dead_letter_id"], second["attempts"], second["replays"])
    assert [*letter["headers"], {"name": "towpath-origin", "value": b"0"}] == second["headers"], "none of ours but where it stood at first"
    target.refused = set()
    await process.deliver(Record("deliver.erp", 0, 2, 0.0, key, value, headers))
    assert [("applied", letter["dead_letter_id"])] == process.receipts


async def test_a_data_error_leaves_the_other_keys_alone(process: Process, target: FakeBng) -> None:
    target.refused = {"bad"}
    await process.deliver(*(a_delivery(number, offset=number, sku="bad" if number == 3 else "A-7") for number in range(10)))
    assert sorted(f"SHOP-{number}" for number in range(10) if number != 3) == target.references("sales-orders")
    assert ["shop/order/3"] == [letter["business_key"] for letter in process.producer.decoded("dlq.erp")]
    assert list(range(10)) == sorted(process.finished)


async def test_other_content_for_what_is_written_changes_nothing_and_says_so(process: Process, target: FakeBng) -> None:
    await process.apply()
    again = await process.apply(sku="A-8")
    assert ("unchanged", "SO-1") == (again.outcome, again.external_id)
    assert "was not applied" in again.reason
    assert "A-7" == target.rows["sales-orders"][0]["Lines"][0]["SKU"]
    assert "" == (await process.apply()).reason


async def test_only_the_deliverys_own_content_is_compared_not_that_of_what_it_refers_to(process: Process) -> None:
    warning = "asked for what stands already"
    with capture_logs() as told:
        await process.deliver(a_delivery(1), a_delivery(2, offset=1, email="moved@shop.example"))
    assert [] == [entry for entry in told if entry["event"] == warning]
    assert ["", ""] == [receipt["reason"] for receipt in process.producer.decoded("receipts")]
    with capture_logs() as told:
        await process.deliver(a_delivery(1, offset=2, sku="A-8"))
    assert [("create_order", "shop/order/1")] == [(entry["operation"], entry["effect_key"]) for entry in told if entry["event"] == warning]


async def test_after_a_lost_answer_the_content_that_was_written_in_the_end_counts(process: Process, target: FakeBng, clock: VirtualClock) -> None:
    target.fault = once(lost_before_commit)
    with pytest.raises(OutcomeUnknownError):
        await process.apply()
    await clock.advance(PATIENCE.settle)
    assert "applied" == (await process.apply(sku="A-8")).outcome
    assert "" == (await process.apply(sku="A-8")).reason


def refuses_customers(known: Callable[[str], bool]) -> Callable[..., Any]:
    """Give the fault that refuses every order of a customer BNG does not know."""

    async def refuse(request: web.Request, _commit: Commit) -> web.StreamResponse | None:
        customer = (await request.json()).get("CustomerID")
        if customer is None or known(customer):
            return None
        return web.json_response({"error": {"code": "unknown_customer", "message": f"no customer {customer}", "field": "CustomerID"}}, status=422)

    return refuse


async def test_an_order_whose_customer_is_refused_is_sent_once_more_and_then_a_dead_letter(process: Process, target: FakeBng) -> None:
    target.fault = refuses_customers(lambda _customer: False)
    await process.deliver(a_delivery())
    assert (3, ["SHOP-7"]) == (target.posts, target.references("customers"))
    [letter] = process.producer.decoded("dlq.erp")
    assert ("data", "CustomerID") == (letter["error_class"], letter["field"])
    target.fault = None
    await process.deliver(a_delivery(offset=1))
    assert [("applied", letter["dead_letter_id"])] == process.receipts


async def test_a_lost_answer_about_a_customer_made_again_makes_no_further_one(process: Process, target: FakeBng) -> None:
    await process.deliver(a_delivery(1))
    customers = target.rows["customers"]
    customers[:] = [{"ExternalID": "CRM-55", "CustomerID": "C-55"}]
    refuse, lose = (
        refuses_customers(lambda customer: any(row["CustomerID"] == customer for row in customers)),
        once(lost_after_commit, "/api/v1/customers"),
    )

    async def both(request: web.Request, commit: Commit) -> web.StreamResponse | None:
        answer: web.StreamResponse | None = await refuse(request, commit) or await lose(request, commit)
        return answer

    target.fault = both
    await process.deliver(a_delivery(2, offset=1))
    assert ["CRM-55", "SHOP-7"] == target.references("customers")
    assert ["C-1", "C-2"] == [order["CustomerID"] for order in target.rows["sales-orders"]]


REF = {"$ref": "customer", "key": "shop/customer/7"}
WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "no JSON": ("document", {"document": "{"}),
    "no object": ("document", {"document": "[]"}),
    "unknown reference": ("$ref vendor", {"document": json.dumps({"ExternalOrderID": "X", "V": [{"$ref": "vendor", "key": "v"}]})}),
    "reference without key": ("$ref customer", {"document": json.dumps({"ExternalOrderID": "X", "C": {"$ref": "customer"}})}),
    "related no JSON": ("customer shop/customer/7", {"related": {"customer shop/customer/7": "{"}}),
    "reference to itself": ("$ref customer", {"related": {"customer shop/customer/7": json.dumps({"ExternalID": "S-7", "Parent": REF})}}),
    "unknown operation": ("operation", {"operation": "drop_tables"}),
    "no external id": ("ExternalOrderID", {"document": json.dumps({"Lines": []})}),
    "empty external id": ("ExternalOrderID", {"document": json.dumps({"ExternalOrderID": " "})}),
    "foreign target": ("target", {"target": "other"}),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_delivery_that_makes_no_sense_is_a_dead_letter_that_names_the_field(process: Process, target: FakeBng, wrong: str) -> None:
    field, changes = WRONG[wrong]
    target.rows["sales-orders"].append({"ExternalOrderID": "SHOP-1", "SalesOrderID": "SO-1"})
    async with asyncio.timeout(10):
        await process.deliver(a_delivery(**changes))
    [letter] = process.producer.decoded("dlq.erp")
    assert ("data", field) == (letter["error_class"], letter["field"])
    assert 0 == target.posts


async def test_bytes_that_are_no_delivery_are_a_dead_letter_with_the_bytes_untouched(process: Process) -> None:
    await process.deliver(Record("deliver.erp", 0, 0, 0.0, b"k", b"\x00garbage\xff", [("foreign", b"\xff\x00")]))
    [letter] = process.producer.decoded("dlq.erp")
    assert (b"k", b"\x00garbage\xff", [{"name": "foreign", "value": b"\xff\x00"}]) == (letter["key"], letter["value"], letter["headers"])


@pytest.mark.parametrize("identity", ["\ud800", "nul\0", "x" * 201, "line\nbreak"])
async def test_an_id_that_cannot_be_stored_parks_its_order_and_no_other(process: Process, target: FakeBng, identity: str) -> None:
    async def hostile(_request: web.Request, commit: Commit) -> web.StreamResponse:
        commit()
        target.rows["sales-orders"][-1]["SalesOrderID"] = identity
        return web.json_response({"SalesOrderID": identity}, status=201)

    target.fault = once(hostile)
    await process.deliver(a_delivery(1))
    await process.deliver(a_delivery(2, offset=1))
    assert ["passing"] == [letter["error_class"] for letter in process.producer.decoded("parked.erp")]
    assert ["SHOP-1", "SHOP-2"] == target.references("sales-orders")
    assert [("applied", "")] == process.receipts


async def test_an_outage_parks_nothing_and_is_over_when_it_is_over(process: Process, target: FakeBng, clock: VirtualClock) -> None:
    answered: list[float] = []

    async def down(_request: web.Request, _commit: Commit) -> web.StreamResponse | None:
        answered.append(clock.monotonic())
        return web.Response(status=401) if clock.monotonic() < 1800 else None

    target.fault = down
    await process.deliver(*(a_delivery(number, offset=number, customer=number) for number in range(8)))
    assert [] == process.producer.decoded("parked.erp") + process.producer.decoded("dlq.erp")
    assert 8 == len(target.rows["sales-orders"])
    assert clock.monotonic() < 1860


async def test_a_dead_letter_tells_who_failed_at_what(process: Process) -> None:
    await process.handler.give_up(a_delivery(), Failure.of(DataError("d", field="f", value="v")))
    [letter] = process.producer.decoded("dlq.erp")
    assert ("d", "f", "v", "sink", "sink.erp") == tuple(letter[name] for name in ("reason", "field", "field_value", "hop", "group"))


@pytest.mark.parametrize(
    ("event_type", "priority"),
    [
        ("OrderPlaced", Priority.ORDERS),
        ("PaymentReceived", Priority.ORDERS),
        ("ShipmentConfirmed", Priority.SHIPMENTS),
        ("StockChanged", Priority.STOCK),
        ("CustomerChanged", Priority.STOCK),
    ],
)
async def test_the_calls_of_a_delivery_have_the_priority_of_what_it_tells(
    process: Process, monkeypatch: pytest.MonkeyPatch, event_type: str, priority: Priority
) -> None:
    asked: list[Priority] = []
    enter = process.api.gate.enter

    async def noting(priority: Priority) -> None:
        asked.append(priority)
        await enter(priority)

    monkeypatch.setattr(process.api.gate, "enter", noting)
    await process.deliver(a_delivery(event_type=event_type))
    assert [("applied", "")] == process.receipts
    assert [priority] * 4 == asked, "its customer's calls as well"
