"""What an order held that its ERP cancelled is for nobody to sell until its shop, which puts it back itself, has cancelled it too."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import permutations

import pytest

from processors.orders import Order
from processors.stock import Shelf
from tests.unit.processors.test_whole_pair import CODEC, KEY, Worker, deliveries, numbers, stock
from towpath.cli._dlq_closing import closing
from towpath.delivery.deadletters import DISCARDED, Failure, Subject, replay_of
from towpath.events import Event
from towpath.records import Output, Record
from towpath.testing.events import PLACED_AT, a_cancellation, a_change, a_status, a_stock, an_order

FREED = stock(10, sequence=3, second=9)


@pytest.fixture
def worker() -> Worker:
    """Return a processor after an order of two pieces of ten, which stands at the ERP."""
    worker = Worker()
    worker.event("StockChanged", stock(10))
    worker.event("OrderPlaced", an_order())
    worker.receipt(second=5)
    worker.event("StockChanged", stock(8, allocated=2, sequence=2, second=5))
    return worker


def cancelled(sequence: int = 3) -> Event:
    return Event("OrderStatusChanged", a_status(status="90", sequence=sequence))


def told(worker: Worker, event: Event, outcome: str = "applied") -> list[int]:
    """Return the numbers that a receipt for the status leads to."""
    subject = Subject("shop", KEY, event_id=event.meta["event_id"], flow="status", operation="cancel_order", effect_key=KEY)
    sink = replace(worker.registrar, hop="sink", group="sink.shop")
    return numbers(worker.take(sink.receipt(outcome, subject, PLACED_AT + timedelta(seconds=20))))


@pytest.mark.parametrize("turn", list(permutations(["status", "stock"])))
def test_whichever_is_heard_first_the_shops_number_ends_without_the_goods_until_it_has_cancelled(worker: Worker, turn: tuple[str, ...]) -> None:
    event, seen = cancelled(), list[int]()
    for one in turn:
        seen += numbers(worker.event(event.type, event.value) if one == "status" else worker.event("StockChanged", FREED))
    assert seen[-1] == 8
    assert told(worker, event) == [10]
    assert told(worker, event) == []


def test_the_order_of_the_shops_own_word_and_the_receipt_does_not_matter(worker: Worker) -> None:
    event = cancelled()
    worker.event(event.type, event.value)
    worker.event("StockChanged", FREED)
    assert numbers(worker.event("OrderCancelled", a_cancellation())) == [10]
    assert told(worker, event) == []


def test_what_the_shop_cancelled_first_is_not_held_again_by_the_erps_word_for_it(worker: Worker) -> None:
    worker.event("OrderCancelled", a_cancellation())
    event = cancelled()
    assert numbers(worker.event(event.type, event.value)) == []
    assert numbers(worker.event("StockChanged", FREED)) == [10]


def test_another_status_holds_nothing(worker: Worker) -> None:
    assert numbers(worker.event("OrderStatusChanged", a_status(status="20", sequence=3))) == []


def test_a_receipt_for_an_earlier_status_ends_nothing(worker: Worker) -> None:
    earlier, event = Event("OrderStatusChanged", a_status(status="20", sequence=3)), cancelled(4)
    worker.event(earlier.type, earlier.value)
    worker.event(event.type, event.value)
    worker.event("StockChanged", FREED)
    assert told(worker, earlier) == []
    assert told(worker, event) == [10]


@pytest.mark.parametrize("outcome", ["found", "unchanged", "superseded", "discarded"])
def test_it_ends_however_the_cancellation_ends_at_the_shop(worker: Worker, outcome: str) -> None:
    event = cancelled()
    worker.event(event.type, event.value)
    worker.event("StockChanged", FREED)
    assert told(worker, event, outcome) == [10]


def test_it_ends_when_an_operator_discards_the_cancellation_that_the_shop_refused(worker: Worker) -> None:
    event = cancelled()
    told_of = [one for one in worker.event(event.type, event.value) if one[0] == "deliver.shop" and one[2]["operation"] == "cancel_order"]
    worker.event("StockChanged", FREED)
    sink = replace(worker.registrar, hop="sink", group="sink.shop")
    record = Record("deliver.shop", 0, 7, 0.0, KEY.encode(), CODEC.encode("Delivery", told_of[0][2]))
    subject = Subject("shop", KEY, event_id=event.meta["event_id"], flow="status", operation="cancel_order", effect_key=KEY)
    _, letter = sink.dead_letter(record, Failure("it was shipped"), subject, PLACED_AT)
    discarded = closing(CODEC.decode_as("DeadLetter", letter.value), DISCARDED, "refunded there by hand", PLACED_AT)
    assert numbers(worker.take(discarded)) == [10]


def test_an_order_that_was_not_known_to_stand_yet_moves_its_hold_and_its_late_receipt_changes_nothing() -> None:
    worker, event = Worker(), cancelled()
    worker.event("StockChanged", stock(10))
    worker.event("OrderPlaced", an_order())
    assert numbers(worker.event(event.type, event.value)) == []
    assert numbers(worker.receipt(second=5)) == []
    assert told(worker, event) == [10]


def test_what_is_said_again_after_a_crash_counts_once(worker: Worker) -> None:
    hold = {"connection": "erp", "sku": "TP-0001", "order_key": KEY, "quantity": Decimal(2), "standing_at": None, "at": PLACED_AT}
    records = {
        state: Output("holds", b"TP-0001", CODEC.encode("StockHold", {**hold, "state": state})) for state in ("returning", "standing", "dropped")
    }
    turn = ["returning", "returning", "standing", "dropped", "returning", "dropped"]
    assert [numbers(worker.take(records[state])) for state in turn] == [[6], [], [], [8], [6], [8]]


def test_a_status_that_was_mended_holds_as_one_that_came_right(worker: Worker) -> None:
    value = a_status(status="55", sequence=3)
    [letter] = [one for _, kind, one in worker.event("OrderStatusChanged", value) if kind == "DeadLetter"]
    mended = {**letter, "value": CODEC.encode("OrderStatusChanged", a_status(status="90", sequence=3))}
    again = worker.take(replay_of(mended))
    assert [one["operation"] for one in deliveries(again)] == ["cancel_order", "set_stock"]
    assert numbers(again) == [6]


def test_what_an_edit_took_out_of_an_order_is_held_no_more() -> None:
    worker = Worker()
    worker.event("StockChanged", stock(10))
    worker.event("StockChanged", a_stock("TP-0002", available=10))
    worker.event("OrderPlaced", an_order())
    assert numbers(worker.event("OrderChanged", a_change(lines=an_order()["lines"][:1], total=Decimal("29.56")))) == [10]


def test_an_order_and_a_shelf_come_back_from_the_state_as_they_were() -> None:
    order = Order("digest", "20", "30", {"TP-0001": Decimal(2)}, standing=frozenset({"erp"}), names=("Mug",)).returned("erp", "event-1")
    assert Order.load(order.dump()) == order
    assert Order.load(order.without("erp").dump()) == order.without("erp")
    assert Shelf.load(Shelf(returning=Decimal("1.5")).dump()) == Shelf(returning=Decimal("1.5"))
