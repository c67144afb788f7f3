"""What happens to a sales order at BNG after it was placed: it is changed, paid and cancelled, until its goods have left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest

from sinks.effects import Effected
from towpath.delivery.ledger import Effect
from towpath.errors import DataError, DependencyError, OutcomeUnknownError, RetryableError

Bng = Any
Sink = Any
KEY, CUSTOMER = "shop/order/1001", "shop/customer/7"
RELATED = {f"customer {CUSTOMER}": json.dumps({"ExternalID": "SHOP-7", "Email": "zoe@shop.example"})}
REFERENCE = {"$ref": "order", "key": KEY}
LINES = [{"LineNo": 1, "SKU": "BAG-BLA-001", "Quantity": 2, "UnitPrice": "39.90"}]
CANCEL = {"SalesOrderID": REFERENCE}
PAID = {"SalesOrderID": REFERENCE, "PaymentStatus": "Paid"}
PATCH = "PATCH sales-orders"


@pytest.fixture
async def bng(play: Callable[[str], Awaitable[Bng]]) -> Bng:
    return await play("bng")


@pytest.fixture
def sink(bng: Bng, sink_to: Callable[..., Sink]) -> Sink:
    return sink_to(bng)


async def place(sink: Sink) -> str:
    """Write the order that the shop's order 1001 becomes, and return its id."""
    placed: Effected = await sink.apply("create_order", KEY, placed_document(), related=RELATED)
    return placed.external_id


def placed_document() -> dict[str, Any]:
    customer = {"$ref": "customer", "key": CUSTOMER}
    return {"ExternalOrderID": "SHOP-1001", "CustomerID": customer, "OrderDate": "2026-03-01", "Currency": "USD", "Lines": LINES, "Total": "79.80"}


async def order(bng: Bng) -> dict[str, Any]:
    [only] = await bng.rows("sales_orders")
    return dict(only)


async def ship(bng: Bng, quantity: int) -> None:
    await bng.control("POST", "warehouse/ship", {"order": (await order(bng))["SalesOrderID"], "lines": {"1": quantity}})


def a_change(quantity: int = 3, total: str = "119.70") -> dict[str, Any]:
    return {"SalesOrderID": REFERENCE, "Change": {"Lines": [{**LINES[0], "Quantity": quantity}], "Total": total}}


async def change(sink: Sink, version: int = 1, quantity: int = 3) -> Effected:
    effected: Effected = await sink.apply("change_order", KEY, a_change(quantity), version=(version, 0))
    return effected


async def test_a_change_changes_what_it_names_and_what_the_order_holds(bng: Bng, sink: Sink) -> None:
    number = await place(sink)
    before = await order(bng)
    changed = await change(sink)
    assert ("applied", number) == (changed.outcome, changed.external_id)
    after = await order(bng)
    assert (3, "119.70") == (after["Lines"][0]["Quantity"], after["Total"])
    assert {"Lines", "Total", "Sequence", "UpdatedAt"} == {name for name in after if after[name] != before[name]}
    assert [3] == [row["Allocated"] for row in await bng.rows("inventory") if row["Allocated"]]


async def test_an_older_change_after_a_newer_one_is_superseded_and_an_equal_one_unchanged(bng: Bng, sink: Sink) -> None:
    await place(sink)
    await change(sink, version=7, quantity=5)
    calls = len(bng.sent(PATCH))
    assert "superseded" == (await change(sink, version=6)).outcome
    assert "unchanged" == (await change(sink, version=7, quantity=5)).outcome
    assert (calls, 5) == (len(bng.sent(PATCH)), (await order(bng))["Lines"][0]["Quantity"])


async def test_a_change_whose_answer_was_lost_stands_before_a_newer_one_is_sent(bng: Bng, sink: Sink) -> None:
    await place(sink)
    bng.cut(PATCH, "late")
    with pytest.raises(OutcomeUnknownError):
        await change(sink, version=1)
    with pytest.raises(RetryableError, match="may still commit"):
        await change(sink, version=2, quantity=5)
    await bng.late[0]()
    await sink.clock.advance(5)
    assert "applied" == (await change(sink, version=2, quantity=5)).outcome
    assert ("superseded", 5) == ((await change(sink, version=1)).outcome, (await order(bng))["Lines"][0]["Quantity"])


async def test_a_clock_that_is_set_forward_does_not_end_the_settle_time(bng: Bng, sink: Sink) -> None:
    await place(sink)
    bng.cut(PATCH, "late")
    with pytest.raises(OutcomeUnknownError):
        await change(sink, version=1)
    sink.clock.set_forward(600)
    with pytest.raises(RetryableError, match="may still commit"):
        await change(sink, version=2, quantity=5)
    await sink.clock.advance(5)
    assert "applied" == (await change(sink, version=2, quantity=5)).outcome


async def test_what_is_given_up_with_its_partition_may_still_commit_whatever_the_clock_says(bng: Bng, sink: Sink) -> None:
    await place(sink)
    arrived, may_go_on = asyncio.Event(), asyncio.Event()

    async def stand_still(_call: str) -> None:
        arrived.set()
        await may_go_on.wait()

    bng.heard = stand_still
    changing = asyncio.create_task(change(sink, version=1))
    await arrived.wait()
    bng.heard = None
    changing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await changing
    sink.clock.set_forward(600)
    with pytest.raises(RetryableError, match="may still commit"):
        await change(sink, version=2, quantity=5)
    may_go_on.set()
    await sink.clock.advance(15)
    assert "applied" == (await change(sink, version=2, quantity=5)).outcome


async def test_a_change_of_an_order_that_is_cancelled_is_needless(bng: Bng, sink: Sink) -> None:
    await place(sink)
    await bng.control("PATCH", f"sales-orders/{(await order(bng))['SalesOrderID']}", {"OrderStatus": 90})
    assert "found" == (await change(sink)).outcome
    assert (2, []) == ((await order(bng))["Lines"][0]["Quantity"], bng.sent(PATCH))


async def test_a_cancellation_frees_what_the_order_held_and_is_made_once(bng: Bng, sink: Sink) -> None:
    number = await place(sink)
    cancelled = await sink.apply("cancel_order", KEY, CANCEL)
    assert ("applied", number, 90) == (cancelled.outcome, cancelled.external_id, (await order(bng))["OrderStatus"])
    assert [] == [row for row in await bng.rows("inventory") if row["Allocated"]]
    assert "unchanged" == (await sink.apply("cancel_order", KEY, CANCEL)).outcome
    await sink.ledger.gone(Effect("to", "cancel_order", KEY), number)
    assert "found" == (await sink.apply("cancel_order", KEY, CANCEL)).outcome
    assert 1 == len(bng.sent(PATCH))


@pytest.mark.parametrize(("how", "outcome", "patches"), [("lost", "found", 1), ("unsent", "applied", 2), ("late", "found", 1)])
@pytest.mark.parametrize(("operation", "document"), [("cancel_order", CANCEL), ("set_payment_status", PAID)])
async def test_a_lost_answer_is_looked_up_after_it_has_settled(
    bng: Bng, sink: Sink, *, operation: str, document: dict[str, Any], how: str, outcome: str, patches: int
) -> None:
    await place(sink)
    bng.cut(PATCH, how)
    with pytest.raises(OutcomeUnknownError):
        await sink.apply(operation, KEY, document)
    for commit in bng.late:
        await commit()
    assert outcome == (await sink.insist(operation, KEY, document)).outcome
    assert patches == len(bng.sent(PATCH))


async def test_a_payment_is_noted_once_also_when_the_goods_have_left(bng: Bng, sink: Sink) -> None:
    number = await place(sink)
    await ship(bng, 2)
    paid = await sink.apply("set_payment_status", KEY, PAID)
    assert ("applied", number, "Paid") == (paid.outcome, paid.external_id, (await order(bng))["PaymentStatus"])
    await sink.ledger.gone(Effect("to", "set_payment_status", KEY), number)
    assert "found" == (await sink.apply("set_payment_status", KEY, PAID)).outcome
    assert 1 == len(bng.sent(PATCH))


async def test_a_change_of_what_bng_does_not_keep_is_never_too_late(bng: Bng, sink: Sink) -> None:
    await place(sink)
    await ship(bng, 2)
    same = {"SalesOrderID": REFERENCE, "Change": {"Lines": LINES, "Total": "79.80"}}
    assert "found" == (await sink.apply("change_order", KEY, same, version=(1, 0))).outcome
    with pytest.raises(DataError, match="the change comes too late"):
        await change(sink, version=2, quantity=3)
    assert [] == bng.sent(PATCH)


@pytest.mark.parametrize(
    ("operation", "document", "what"), [("cancel_order", CANCEL, "the cancellation"), ("change_order", a_change(), "the change")]
)
async def test_what_comes_after_the_goods_have_left_is_a_matter_for_a_person(
    bng: Bng, sink: Sink, operation: str, document: dict[str, Any], what: str
) -> None:
    number = await place(sink)
    await ship(bng, 2)
    with pytest.raises(DataError, match=f"{what} comes too late: sales order {number} has left the warehouse; settle it by hand") as refused:
        await sink.apply(operation, KEY, document)
    assert ("OrderStatus", "30") == (refused.value.field, refused.value.value)
    assert [] == bng.sent(PATCH)


async def test_a_change_that_takes_back_what_has_left_is_refused_by_its_field(bng: Bng, sink: Sink) -> None:
    await place(sink)
    await change(sink, version=1, quantity=3)
    await ship(bng, 2)
    with pytest.raises(DataError, match="already_shipped") as refused:
        await change(sink, version=2, quantity=1)
    assert "Lines" == refused.value.field


@pytest.mark.parametrize(("operation", "document"), [("cancel_order", CANCEL), ("change_order", a_change()), ("set_payment_status", PAID)])
async def test_what_overtakes_its_order_waits_for_it_and_says_so(bng: Bng, sink: Sink, operation: str, document: dict[str, Any]) -> None:
    with pytest.raises(DependencyError, match=f"waits for order {KEY}, which is not at to yet") as waits:
        await sink.apply(operation, KEY, document)
    assert f"create_order {KEY}" == waits.value.awaits
    assert [] == bng.calls, "BNG is not asked"
    await place(sink)
    assert "applied" == (await sink.apply(operation, KEY, document)).outcome


async def test_an_order_that_bng_knows_no_more_is_named(bng: Bng, sink: Sink) -> None:
    document = {"SalesOrderID": "SO404"}
    with pytest.raises(DataError, match="sales order SO404 does not exist at to") as refused:
        await sink.apply("cancel_order", KEY, document)
    assert ("SalesOrderID", "SO404") == (refused.value.field, refused.value.value)
    assert [] == bng.sent(PATCH)


@pytest.mark.parametrize("at", [0, 1])
async def test_an_order_with_an_unknown_product_awaits_that_product(sink: Sink, at: int) -> None:
    lines = [{**LINES[0], "LineNo": number, "SKU": "GHOST-1" if number - 1 == at else LINES[0]["SKU"]} for number in (1, 2)]
    customer = "shop/customer/7"
    document = {"ExternalOrderID": "SHOP-1001", "CustomerID": {"$ref": "customer", "key": customer}, "OrderDate": "2026-03-01", "Currency": "USD"}
    related = {f"customer {customer}": json.dumps({"ExternalID": "SHOP-7", "Email": "zoe@shop.example"})}
    with pytest.raises(DataError) as refused:
        await sink.apply("create_order", KEY, {**document, "Lines": lines, "Total": "159.60"}, related=related)
    assert (f"Lines[{at}].SKU", "product GHOST-1") == (refused.value.field, refused.value.awaits)


async def test_a_change_to_an_unknown_product_awaits_it_and_other_refusals_await_nothing(sink: Sink) -> None:
    await place(sink)
    unknown, refused = {**LINES[0], "SKU": "GHOST-2"}, {**LINES[0], "Quantity": -1}
    for lines, awaited in (([unknown], "product GHOST-2"), ([refused], "")):
        with pytest.raises(DataError) as caught:
            await sink.apply("change_order", KEY, {"SalesOrderID": REFERENCE, "Change": {"Lines": lines}}, version=(1, 0))
        assert awaited == caught.value.awaits


async def test_an_order_that_left_before_it_was_found_stood_before_the_last_word_of_its_products(bng: Bng, sink: Sink) -> None:
    bng.cut("POST sales-orders", "lost")
    with pytest.raises(OutcomeUnknownError):
        await place(sink)
    await ship(bng, 1)
    await ship(bng, 1)
    found = await sink.insist("create_order", KEY, placed_document(), related=RELATED)
    counted = max(datetime.fromisoformat(row["UpdatedAt"]) for row in await bng.rows("inventory") if row["SKU"] == LINES[0]["SKU"])
    assert "found" == found.outcome
    assert found.external_at is not None
    assert found.external_at < counted
