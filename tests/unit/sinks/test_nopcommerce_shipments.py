"""A shipment at the shop: one, with the right items, and one mail, whatever happens between its calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sinks.effects import Effected
from towpath.delivery.ledger import Effect
from towpath.errors import DataError, FencedError, OutcomeUnknownError, RetryableError
from towpath.testing.waiting import until

Shop = Any
Sink = Any
KEY = "erp/shipment/SH-1"
BOTTLE, JACKET = "BOT-PLU-020", "JAC-OLI-039"
CREATE, ADD, SHIP = "POST Shipment/Create", "POST ShipmentItem/Create", "GET OrderProcessing/Ship"
STEPS = [(CREATE, 1), (ADD, 1), (ADD, 2), (SHIP, 1)]
WHOLE = {20020: 3, 20021: 1}


def a_shipment(lines: list[tuple[int, str, float]] | None = None, *, number: int = 1, **changes: object) -> dict[str, Any]:
    lines = [(1, BOTTLE, 3), (2, JACKET, 1)] if lines is None else lines
    return {
        "OrderID": "1001",
        "Reference": f"erp/shipment/SH-{number}",
        "TrackingNumber": "JD014600003",
        "Carrier": "DHL",
        "ShippedAt": "2026-11-20T09:30:00.000000Z",
        "Lines": [{"LineNo": line, "SKU": sku, "Quantity": quantity} for line, sku, quantity in lines],
    } | changes


async def sent(shop: Shop) -> dict[str, dict[int, int]]:
    """Return what each shipment that was sent has, by the first line of its comment; raises AssertionError for an item that is there twice."""
    items, found = await shop.rows("shipment_items"), {}
    for shipment in await shop.rows("shipments"):
        own = [item for item in items if item["shipment_id"] == shipment["id"]]
        assert len({item["order_item_id"] for item in own}) == len(own)
        if shipment["shipped_date_utc"] is not None:
            found[shipment["admin_comment"].splitlines()[0]] = {item["order_item_id"]: item["quantity"] for item in own}
    return found


async def told(shop: Shop) -> list[int]:
    """Return of which shipments the customer was told."""
    return [mail["shipment_id"] for mail in await shop.rows("mails") if mail["template"] == "ShipmentSent.CustomerNotification"]


async def order(shop: Shop, number: int = 1001) -> dict[str, Any]:
    return next(row for row in await shop.rows("orders") if row["id"] == number)


async def test_a_shipment_is_written_with_its_items_and_shipped_and_the_customer_is_told(shop: Shop, sink: Sink) -> None:
    assert Effected("applied", "1") == await sink.apply("create_shipment", KEY, a_shipment())
    [shipment] = await shop.rows("shipments")
    fields = ("order_id", "tracking_number", "admin_comment", "total_weight", "created_on_utc")
    assert (1001, "JD014600003", f"{KEY}\nDHL", 2.0, "2026-11-20T09:30:00.000000Z") == tuple(shipment[name] for name in fields)
    assert {KEY: WHOLE} == await sent(shop)
    assert [1] == await told(shop)
    assert 30 == (await order(shop))["shipping_status_id"]


async def test_a_shipment_that_comes_twice_is_one(shop: Shop, sink: Sink, sink_to: Callable[..., Sink]) -> None:
    await sink.apply("create_shipment", KEY, a_shipment())
    writes = len(shop.sent(CREATE, ADD, SHIP))
    assert "unchanged" == (await sink.apply("create_shipment", KEY, a_shipment())).outcome
    await sink.ledger.gone(Effect("to", "create_shipment", KEY), "1")
    assert Effected("found", "1") == await sink_to(shop, "other").apply("create_shipment", KEY, a_shipment())
    assert writes == len(shop.sent(CREATE, ADD, SHIP))


@pytest.mark.parametrize("how", ["lost", "unsent"])
@pytest.mark.parametrize(("call", "nth"), STEPS)
async def test_a_lost_answer_at_any_step_ends_in_one_shipment_and_one_mail(shop: Shop, sink: Sink, call: str, nth: int, how: str) -> None:
    shop.cut(call, how, nth)
    with pytest.raises(OutcomeUnknownError):
        await sink.apply("create_shipment", KEY, a_shipment())
    calls = len(shop.calls)
    with pytest.raises(RetryableError, match="may still commit"):
        await sink.apply("create_shipment", KEY, a_shipment())
    assert calls == len(shop.calls), "nothing is asked before it has settled"
    outcome = (await sink.insist("create_shipment", KEY, a_shipment())).outcome
    assert ("found" if (call, how) == (SHIP, "lost") else "applied") == outcome
    assert {KEY: WHOLE} == await sent(shop)
    assert 1 == len(await shop.rows("shipments"))
    assert [1] == await told(shop)


async def test_lost_answers_at_every_step_end_in_one_shipment_and_one_mail(shop: Shop, sink: Sink) -> None:
    for call, nth in STEPS:
        shop.cut(call, nth=nth)
    assert "found" == (await sink.insist("create_shipment", KEY, a_shipment())).outcome
    assert (4, {KEY: WHOLE}, [1]) == (len(shop.sent(CREATE, ADD, SHIP)), await sent(shop), await told(shop))


@pytest.mark.parametrize(("call", "nth"), STEPS)
async def test_a_call_that_commits_after_we_gave_up_on_it_is_not_sent_again(shop: Shop, sink: Sink, call: str, nth: int) -> None:
    shop.cut(call, "late", nth)
    with pytest.raises(OutcomeUnknownError):
        await sink.apply("create_shipment", KEY, a_shipment())
    await sink.clock.advance(4)
    await shop.late[0]()
    await sink.insist("create_shipment", KEY, a_shipment())
    assert (4, {KEY: WHOLE}, [1]) == (len(shop.sent(CREATE, ADD, SHIP)), await sent(shop), await told(shop))


@pytest.mark.parametrize(("call", "nth"), STEPS)
async def test_a_process_that_dies_at_any_step_is_followed_by_one_that_goes_on_from_there(
    shop: Shop, sink: Sink, sink_to: Callable[..., Sink], call: str, nth: int
) -> None:
    shop.cut(call, nth=nth)
    with pytest.raises(OutcomeUnknownError):
        await sink.apply("create_shipment", KEY, a_shipment())
    other = sink_to(shop, "other")
    await other.insist("create_shipment", KEY, a_shipment())
    assert (4, {KEY: WHOLE}, [1]) == (len(shop.sent(CREATE, ADD, SHIP)), await sent(shop), await told(shop))


@pytest.mark.parametrize("seed", range(5))
async def test_a_shop_that_fails_now_and_then_sends_one_shipment_and_one_mail(shop: Shop, sink: Sink, seed: int) -> None:
    await shop.control("PUT", "faults", {"unavailable": 0.1, "response_lost": 0.5, "throttle": 0.05, "seed": seed})
    await sink.insist("create_shipment", KEY, a_shipment())
    assert sum((await shop.control("GET", "faults"))["injected"].values()), "a seed without a fault proves nothing"
    assert ({KEY: WHOLE}, [1]) == (await sent(shop), await told(shop))


async def test_a_process_that_was_stopped_half_way_neither_adds_nor_ships_after_another_took_over(
    shop: Shop, sink: Sink, sink_to: Callable[..., Sink]
) -> None:
    other = sink_to(shop, "other")

    async def slow_down(call: str) -> None:
        if call.startswith(ADD):
            sink.api.gate.throttled(60)

    shop.heard = slow_down
    stopped = asyncio.create_task(sink.apply("create_shipment", KEY, a_shipment()))

    async def waits() -> bool:
        return bool(sink.clock.sleeping)

    await until(waits)
    shop.heard = None
    await sink.clock.advance(25)
    assert "applied" == (await other.apply("create_shipment", KEY, a_shipment())).outcome
    with pytest.raises(FencedError):
        await sink.clock.run(stopped)
    assert (4, {KEY: WHOLE}, [1]) == (len(shop.sent(CREATE, ADD, SHIP)), await sent(shop), await told(shop))


async def test_a_shipment_that_the_staff_sends_while_it_is_written_is_not_sent_again(shop: Shop, sink: Sink) -> None:
    async def staff_ships(call: str) -> None:
        if call.startswith("GET Order/GetById"):
            shop.heard = None
            await shop.ask("GET", "OrderProcessing/Ship/1?notifyCustomer=true")

    shop.cut(SHIP, "unsent")
    with pytest.raises(OutcomeUnknownError):
        await sink.apply("create_shipment", KEY, a_shipment())
    shop.heard = staff_ships
    await sink.insist("create_shipment", KEY, a_shipment())
    assert (2, {KEY: WHOLE}, [1]) == (len(shop.sent(SHIP)), await sent(shop), await told(shop))


async def test_of_an_item_that_is_twice_in_a_shipment_the_first_counts_as_it_does_at_the_shop(shop: Shop, sink: Sink) -> None:
    shop.cut(ADD, nth=2)
    with pytest.raises(OutcomeUnknownError):
        await sink.apply("create_shipment", KEY, a_shipment())
    await shop.ask("POST", "ShipmentItem/Create", {"shipment_id": 1, "order_item_id": 20020, "quantity": 1, "warehouse_id": 0})
    assert Effected("applied", "1") == await sink.insist("create_shipment", KEY, a_shipment())
    assert [1] == await told(shop)


async def test_two_shipments_make_an_order_whole(shop: Shop, sink: Sink) -> None:
    first, second = a_shipment([(1, BOTTLE, 2)]), a_shipment([(1, BOTTLE, 1), (2, JACKET, 1)], number=2, TrackingNumber=None, Carrier=None)
    await sink.apply("create_shipment", KEY, first)
    assert 25 == (await order(shop))["shipping_status_id"], "partially shipped"
    assert Effected("applied", "2") == await sink.apply("create_shipment", "erp/shipment/SH-2", second)
    assert {KEY: {20020: 2}, "erp/shipment/SH-2": {20020: 1, 20021: 1}} == await sent(shop)
    assert 30 == (await order(shop))["shipping_status_id"]
    assert [1, 2] == await told(shop)
    _, later = await shop.rows("shipments")
    assert ("erp/shipment/SH-2", None) == (later["admin_comment"], later["tracking_number"])


async def test_a_reference_that_begins_like_another_is_another(sink: Sink) -> None:
    await sink.apply("create_shipment", "erp/shipment/SH-11", a_shipment([(1, BOTTLE, 1)], number=11))
    assert Effected("applied", "2") == await sink.apply("create_shipment", KEY, a_shipment([(1, BOTTLE, 1)]))


async def test_a_comment_that_the_staff_went_on_with_is_still_ours(shop: Shop, sink: Sink) -> None:
    shop.cut(SHIP, "unsent")
    with pytest.raises(OutcomeUnknownError):
        await sink.apply("create_shipment", KEY, a_shipment())
    [shipment] = await shop.rows("shipments")
    await shop.ask("PUT", "Shipment/Update", {**shipment, "admin_comment": f"call first\n {KEY} \nDHL"})
    assert Effected("applied", "1") == await sink.insist("create_shipment", KEY, a_shipment())


async def test_of_a_sku_in_two_items_each_line_takes_its_own(shop: Shop, sink: Sink) -> None:
    await shop.control("POST", "orders/1001", {"items": [{"sku": JACKET}], "event": None})
    await sink.apply("create_shipment", KEY, a_shipment([(2, JACKET, 1)]))
    await sink.apply("create_shipment", "erp/shipment/SH-2", a_shipment([(7, JACKET, 3)], number=2))
    assert {KEY: {20021: 1}, "erp/shipment/SH-2": {20020: 3}} == await sent(shop)


async def test_a_line_that_has_no_item_of_its_own_takes_what_the_others_leave(shop: Shop, sink: Sink) -> None:
    await shop.control("POST", "orders/1001", {"items": [{"sku": JACKET}], "event": None})
    await sink.apply("create_shipment", KEY, a_shipment([(7, JACKET, 1), (1, JACKET.lower(), 3)]))
    assert {KEY: WHOLE} == await sent(shop)


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        ([(1, BOTTLE, 4)], "Lines[0].Quantity"),
        ([(1, BOTTLE, 2), (1, BOTTLE, 2)], "Lines[1].Quantity"),
        ([(2, JACKET, 1), (1, "MUG-SAN-046", 1)], "Lines[1].SKU"),
        ([(1, "GHOST", 1)], "Lines[0].SKU"),
        ([(1, BOTTLE, 0)], "Lines[0].Quantity"),
        ([(1, BOTTLE, 1.5)], "Lines[0].Quantity"),
        ([(0, BOTTLE, 1)], "Lines[0].LineNo"),
        ([(1, " ", 1)], "Lines[0].SKU"),
        ([], "Lines"),
    ],
)
async def test_lines_that_the_order_does_not_have_are_refused_by_name_before_anything_is_written(
    shop: Shop, sink: Sink, lines: list[tuple[int, str, float]], field: str
) -> None:
    with pytest.raises(DataError) as refused:
        await sink.apply("create_shipment", KEY, a_shipment(lines))
    assert field == refused.value.field
    assert [] == shop.sent(CREATE, ADD, SHIP)


async def test_no_more_of_an_item_is_shipped_than_is_in_no_other_shipment(shop: Shop, sink: Sink) -> None:
    await sink.apply("create_shipment", KEY, a_shipment([(1, BOTTLE, 2)]))
    with pytest.raises(DataError, match=f"2 of {BOTTLE} were shipped, of which the order has 1 in no shipment yet") as refused:
        await sink.apply("create_shipment", "erp/shipment/SH-2", a_shipment([(1, BOTTLE, 2)], number=2))
    assert ("Lines[0].Quantity", "2") == (refused.value.field, refused.value.value)
    assert [1] == await told(shop)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"OrderID": "9999"}, "OrderID"),
        ({"OrderID": "1001/../1002"}, "OrderID"),
        ({"OrderID": None}, "OrderID"),
        ({"OrderID": "9" * 30}, "OrderID"),
        ({"Reference": " "}, "Reference"),
        ({"Reference": "two\nlines"}, "Reference"),
        ({"Lines": None}, "Lines"),
    ],
)
async def test_a_document_that_names_no_order_or_shipment_is_refused_by_its_field(
    shop: Shop, sink: Sink, change: dict[str, object], field: str
) -> None:
    with pytest.raises(DataError) as refused:
        await sink.apply("create_shipment", KEY, a_shipment() | change)
    assert field == refused.value.field
    assert [] == shop.sent(CREATE, ADD, SHIP)


async def test_goods_of_an_order_that_is_cancelled_at_the_shop_are_a_matter_for_a_person(shop: Shop, sink: Sink) -> None:
    await shop.control("POST", "orders/1001/cancel", {"notify": False})
    with pytest.raises(DataError, match="order 1001 is cancelled at to, yet its goods have left") as refused:
        await sink.apply("create_shipment", KEY, a_shipment())
    assert ("OrderStatus", "40") == (refused.value.field, refused.value.value)
    assert [] == shop.sent(CREATE, ADD, SHIP)


async def test_a_deleted_order_does_not_exist(shop: Shop, sink: Sink) -> None:
    await shop.control("POST", "orders/1001", {"deleted": True, "event": None})
    with pytest.raises(DataError, match="order 1001 does not exist at to"):
        await sink.apply("create_shipment", KEY, a_shipment())


async def test_an_item_in_several_warehouses_is_refused_until_they_are_mapped(shop: Shop, sink: Sink) -> None:
    await shop.control("POST", f"products/{JACKET}", {"use_multiple_warehouses": True})
    with pytest.raises(DataError, match="in several warehouses") as refused:
        await sink.apply("create_shipment", KEY, a_shipment())
    assert "Lines[1].SKU" == refused.value.field
    await sink.apply("create_shipment", KEY, a_shipment([(1, BOTTLE, 3)]))
    assert {KEY: {20020: 3}} == await sent(shop)


async def test_an_item_leaves_from_its_products_one_warehouse(shop: Shop, sink: Sink) -> None:
    await shop.control("POST", f"products/{JACKET}", {"warehouse_id": 2})
    await sink.apply("create_shipment", KEY, a_shipment())
    assert [0, 2] == [item["warehouse_id"] for item in await shop.rows("shipment_items")]


async def test_a_shipment_that_somebody_else_changed_or_sent_is_a_matter_for_a_person(shop: Shop, sink: Sink) -> None:
    shop.cut(ADD, "unsent", 2)
    with pytest.raises(OutcomeUnknownError):
        await sink.apply("create_shipment", KEY, a_shipment())
    await sink.clock.advance(5)
    with pytest.raises(DataError, match=r"shipment 1 has \{20020: 3\} by order item at the shop, not \{20020: 2\}") as changed:
        await sink.apply("create_shipment", KEY, a_shipment([(1, BOTTLE, 2)]))
    await shop.ask("GET", "OrderProcessing/Ship/1?notifyCustomer=true")
    with pytest.raises(DataError, match=r"shipment 1 has \{20020: 3\}") as shipped:
        await sink.apply("create_shipment", KEY, a_shipment())
    assert ("Lines", "Lines") == (changed.value.field, shipped.value.field)
    assert [1] == await told(shop)


async def test_a_refused_shipment_is_written_when_the_order_has_what_it_sends(shop: Shop, sink: Sink) -> None:
    with pytest.raises(DataError):
        await sink.apply("create_shipment", KEY, a_shipment([(1, BOTTLE, 4)]))
    await shop.control("POST", "orders/1001/edit", {"quantities": {BOTTLE: 4}})
    assert "applied" == (await sink.apply("create_shipment", KEY, a_shipment([(1, BOTTLE, 4)]))).outcome
