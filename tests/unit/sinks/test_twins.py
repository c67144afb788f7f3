"""A process that stood still between its fence and its call may write what another has written: both are found, and one is left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from sinks.doubt import SOON_SECONDS
from sinks.effects import Effected
from tests.unit.sinks.conftest import PATIENCE
from towpath.errors import OutcomeUnknownError, RetryableError
from towpath.metrics import TWINS
from towpath.testing.clock import VirtualClock

Bng = Any
Sink = Any
KEY, CUSTOMER = "shop/order/1001", "shop/customer/7"
POST, SEARCH, PATCH = "POST sales-orders", "GET sales-orders?externalOrderId", "PATCH sales-orders"
READ = "GET sales-orders/"
TAKEOVER = 25
SENT, CANCELLED = 30, 90


@pytest.fixture
async def bng(play: Callable[[str], Awaitable[Bng]]) -> Bng:
    return await play("bng")


async def place(sink: Sink, **how: object) -> Effected:
    lines = [{"LineNo": 1, "SKU": "BAG-BLA-001", "Quantity": 2, "UnitPrice": "39.90"}]
    document = {"ExternalOrderID": "SHOP-1001", "CustomerID": {"$ref": "customer", "key": CUSTOMER}, "OrderDate": "2026-03-01", "Currency": "USD"}
    related = {f"customer {CUSTOMER}": json.dumps({"ExternalID": "SHOP-7", "Email": "zoe@shop.example"})}
    placed: Effected = await sink.apply("create_order", KEY, {**document, "Lines": lines, "Total": "79.80"}, related=related, **how)
    return placed


async def statuses(bng: Bng) -> dict[str, int]:
    return {order["SalesOrderID"]: order["OrderStatus"] for order in await bng.rows("sales_orders")}


def counted(sink: Sink, outcome: str, operation: str = "create_order") -> float | None:
    labels = {"connection": "to", "operation": operation, "outcome": outcome}
    found: float | None = sink.metrics.registry.get_sample_value(f"{TWINS.name}_total", labels)
    return found


def overtake(bng: Bng, clock: VirtualClock, call: str, meanwhile: Callable[[], Awaitable[object]]) -> None:
    """Let the first such call arrive late: another process has taken the effect over and done it before."""

    async def heard(arriving: str) -> None:
        if arriving.startswith(call):
            bng.heard = None
            await clock.advance(TAKEOVER + 1)
            await meanwhile()

    bng.heard = heard


async def test_an_order_that_two_processes_wrote_is_left_once_the_later_one_cancelled_and_an_operator_told(
    bng: Bng, sink_to: Callable[..., Sink], clock: VirtualClock
) -> None:
    zombie, other = sink_to(bng, "zombie"), sink_to(bng, "other")
    overtake(bng, clock, POST, lambda: place(other))
    late = await place(zombie)
    oldest, later = sorted(await statuses(bng))
    assert {oldest: 10, later: CANCELLED} == await statuses(bng)
    assert (oldest, True) == (late.external_id, later in late.reason)
    assert (1, None) == (counted(zombie, "cancelled"), counted(other, "cancelled"))
    assert Effected("unchanged", oldest) == (await place(zombie))._replace(external_at=None), "the ledger has the one that is left"


async def test_whoever_takes_over_looks_again_after_it_wrote_in_case_the_other_was_at_it_all_the_time(
    bng: Bng, sink_to: Callable[..., Sink], clock: VirtualClock
) -> None:
    zombie, other = sink_to(bng, "zombie"), sink_to(bng, "other")
    bng.cut(POST, "late")

    async def meanwhile() -> None:  # the zombie's request commits while the other's is on its way, and the zombie never wakes
        for late in bng.late:
            await late()

    with pytest.raises(OutcomeUnknownError):
        await place(zombie)
    overtake(bng, clock, POST, meanwhile)
    await clock.advance(TAKEOVER)
    placed = await place(other)
    oldest, later = sorted(await statuses(bng))
    assert {oldest: 10, later: CANCELLED} == await statuses(bng)
    assert (oldest, 1) == (placed.external_id, counted(other, "cancelled"))


async def test_whoever_takes_over_looks_again_though_its_first_try_failed(bng: Bng, sink_to: Callable[..., Sink], clock: VirtualClock) -> None:
    zombie, other = sink_to(bng, "zombie"), sink_to(bng, "other")
    bng.cut(POST, "late")
    with pytest.raises(OutcomeUnknownError):
        await place(zombie)
    await clock.advance(TAKEOVER)
    bng.answers[SEARCH] = web.json_response({}, status=503)
    with pytest.raises(RetryableError):
        await clock.run(place(other))
    del bng.answers[SEARCH]

    async def heard(arriving: str) -> None:
        if arriving.startswith(POST):
            bng.heard = None
            for late in bng.late:
                await late()

    bng.heard = heard
    placed = await clock.run(place(other))
    oldest, later = sorted(await statuses(bng))
    assert {oldest: 10, later: CANCELLED} == await statuses(bng)
    assert (oldest, 1) == (placed.external_id, counted(other, "cancelled"))


async def test_what_stands_twice_is_found_though_the_process_that_wrote_it_ends_before_it_can_look(
    bng: Bng, sink_to: Callable[..., Sink], clock: VirtualClock
) -> None:
    zombie, other, due = sink_to(bng, "zombie"), sink_to(bng, "other"), list[float]()

    async def doubted(seconds: float) -> None:
        due.append(seconds)

    async def meanwhile() -> None:
        await place(other)
        placing.cancel()

    overtake(bng, clock, POST, meanwhile)
    placing = asyncio.create_task(place(zombie, doubted=doubted))
    with pytest.raises(asyncio.CancelledError):
        await placing
    assert [PATIENCE.timeout + PATIENCE.settle] == due, "it is noted at once"
    for looking in [*zombie._effector._doubts._looking]:  # as the end of its process does
        looking.cancel()
    await clock.advance(due[0])
    placed = await place(other, again=True)
    oldest, later = sorted(await statuses(bng))
    assert {oldest: 10, later: CANCELLED} == await statuses(bng)
    assert ("unchanged", oldest, True, 1) == (placed.outcome, placed.external_id, later in placed.reason, counted(other, "cancelled"))
    assert Effected("unchanged", oldest) == (await place(other))._replace(external_at=None), "the ledger has the one that is left"


async def test_what_another_process_cancelled_before_that_could_be_noted_is_not_taken_to_stand(bng: Bng, sink_to: Callable[..., Sink]) -> None:
    sink = sink_to(bng)
    cancelled = (await place(sink)).external_id
    (row,) = await bng.rows("sales_orders")
    sent = ("CustomerID", "ExternalOrderID", "OrderDate", "Currency", "Total", "Lines")
    stands = (await bng.ask("POST", "sales-orders", {name: row[name] for name in sent}))["SalesOrderID"]
    await bng.control("PATCH", f"sales-orders/{cancelled}", {"OrderStatus": CANCELLED})
    placed = await place(sink, again=True)
    assert (stands, True) == (placed.external_id, cancelled in placed.reason)
    assert Effected("unchanged", stands) == (await place(sink))._replace(external_at=None), "the ledger has the one that stands"
    assert {cancelled: CANCELLED, stands: 10} == await statuses(bng)


async def test_a_try_that_was_refused_for_now_begins_no_look_of_its_own(bng: Bng, sink_to: Callable[..., Sink], clock: VirtualClock) -> None:
    zombie, other, due = sink_to(bng, "zombie"), sink_to(bng, "other"), list[float]()

    async def doubted(seconds: float) -> None:
        due.append(seconds)

    bng.cut(POST, "unsent")
    with pytest.raises(OutcomeUnknownError):
        await place(zombie)
    await clock.advance(TAKEOVER)
    bng.answers[POST] = web.json_response({}, status=503)
    for _ in range(3):
        with pytest.raises(RetryableError):
            await clock.run(place(other, doubted=doubted))
    del bng.answers[POST]
    await clock.run(place(other, doubted=doubted))
    assert ([], [10]) == (due, list((await statuses(bng)).values()))


async def test_what_stands_once_is_left_alone_however_often_it_is_looked_for(bng: Bng, sink_to: Callable[..., Sink]) -> None:
    sink = sink_to(bng)
    first = await place(sink)
    again = await place(sink, again=True)
    assert (first.external_id, "unchanged", "") == (again.external_id, again.outcome, again.reason)
    assert [10] == list((await statuses(bng)).values())


async def test_an_order_of_a_process_that_woke_without_its_partition_is_looked_up_once_its_request_has_settled(
    bng: Bng, sink_to: Callable[..., Sink], clock: VirtualClock
) -> None:
    zombie, other = sink_to(bng, "zombie"), sink_to(bng, "other")

    async def meanwhile() -> None:
        await place(other)
        placing.cancel()  # as a lane is dropped whose partition another has

    overtake(bng, clock, POST, meanwhile)
    placing = asyncio.create_task(place(zombie))
    with pytest.raises(asyncio.CancelledError):
        await placing
    await clock.run(clock.sleep(SOON_SECONDS))
    while counted(zombie, "cancelled") is None:  # noqa: ASYNC110 - no event tells it
        await asyncio.sleep(0.01)
    oldest, later = sorted(await statuses(bng))
    assert {oldest: 10, later: CANCELLED} == await statuses(bng)
    assert Effected("unchanged", oldest) == (await place(other))._replace(external_at=None), "the ledger has the one that is left"


async def test_a_twin_whose_goods_have_left_is_not_cancelled_but_left_to_a_person(
    bng: Bng, sink_to: Callable[..., Sink], clock: VirtualClock
) -> None:
    zombie, other = sink_to(bng, "zombie"), sink_to(bng, "other")
    overtake(bng, clock, POST, lambda: place(other))
    bng.answers[READ] = web.json_response({"SalesOrderID": "any", "OrderStatus": SENT})
    placed = await place(zombie)
    assert ([10, 10], 1, None) == (list((await statuses(bng)).values()), counted(zombie, "left"), counted(zombie, "cancelled"))
    assert "it stood twice" in placed.reason


async def test_an_order_that_nobody_else_can_have_written_is_not_looked_up_again(bng: Bng, sink_to: Callable[..., Sink]) -> None:
    await place(sink_to(bng))
    assert 1 == len(bng.sent(SEARCH))


async def test_a_customer_that_stands_twice_is_left_to_a_person(bng: Bng, sink_to: Callable[..., Sink], clock: VirtualClock) -> None:
    zombie, other = sink_to(bng, "zombie"), sink_to(bng, "other")
    overtake(bng, clock, "POST customers", lambda: place(other))
    await place(zombie)
    assert 2 == len(await bng.rows("customers"))
    assert 1 == counted(zombie, "left", "create_customer")
    (order,) = await bng.rows("sales_orders")
    assert min(customer["CustomerID"] for customer in await bng.rows("customers")) == order["CustomerID"]


async def test_a_twin_that_cannot_be_cancelled_and_a_target_that_does_not_tell_are_left_to_a_person(
    bng: Bng, sink_to: Callable[..., Sink], clock: VirtualClock
) -> None:
    zombie, other = sink_to(bng, "zombie"), sink_to(bng, "other")
    overtake(bng, clock, POST, lambda: place(other))
    bng.answers[PATCH] = web.Response(status=409, text='{"error": {"code": "order_closed", "message": "no"}}')
    placed = await place(zombie)
    assert ([10, 10], 1) == (list((await statuses(bng)).values()), counted(zombie, "left"))
    assert "it stood twice" in placed.reason


async def test_where_the_target_does_not_tell_whether_it_stands_twice_what_was_written_stands(
    bng: Bng, sink_to: Callable[..., Sink], clock: VirtualClock
) -> None:
    zombie, other = sink_to(bng, "zombie"), sink_to(bng, "other")

    async def meanwhile() -> None:
        await place(other)
        bng.answers[SEARCH] = web.Response(status=400, text='{"error": {"code": "bad", "message": "no"}}')

    overtake(bng, clock, POST, meanwhile)
    placed = await place(zombie)
    assert ("applied", 1) == (placed.outcome, counted(zombie, "unknown"))
    assert "look for a second one" in placed.reason
