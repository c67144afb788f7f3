"""What the processor makes of changes, payments, cancellations, shipments, status and stock of one pair, and of the receipts of its sinks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from processors.flow_processor import FlowProcessor
from processors.mapping import load_model
from processors.routing import Route
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.delivery.deadletters import Registrar, Subject, replay_of
from towpath.events import AGGREGATES, Event
from towpath.records import Output, Record, Replay
from towpath.testing.events import PLACED_AT, a_cancellation, a_change, a_payment, a_shipment, a_status, a_stock, an_order

CODEC = default_codec()
KEY = "shop/order/1001"
FLOWS = {
    "orders": ("shop", "erp", "OrderPlaced", "nopcommerce-bng/order_placed"),
    "changes": ("shop", "erp", "OrderChanged", "nopcommerce-bng/order_changed"),
    "cancellations": ("shop", "erp", "OrderCancelled", "nopcommerce-bng/order_cancelled"),
    "payments": ("shop", "erp", "PaymentReceived", "nopcommerce-bng/payment_received"),
    "status": ("erp", "shop", "OrderStatusChanged", "bng-nopcommerce/order_status_changed"),
    "shipments": ("erp", "shop", "ShipmentConfirmed", "bng-nopcommerce/shipment_confirmed"),
    "stock": ("erp", "shop", "StockChanged", "bng-nopcommerce/stock_changed"),
}
ROUTES = [Route(name, source, target, event, load_model(mapping), "TP-") for name, (source, target, event, mapping) in FLOWS.items()]
Told = tuple[str, str, dict[str, Any]]


@dataclass
class Worker:
    """One processor over one state, in which every key meets; what it says to its own topics it reads again."""

    state: dict[bytes, bytes] = field(default_factory=dict)
    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)
    offset: int = 0

    def __post_init__(self) -> None:
        self.registrar = Registrar(CODEC, "processor", "processor", frozenset({"shop", "erp"}))
        self.processor = FlowProcessor(ROUTES, self.registrar, SystemClock())

    def take(self, output: Output) -> list[Told]:
        """Return (topic, type, value) of all that a record leads to, holds that come back included."""
        self.offset += 1
        record = Record(output.topic, 0, self.offset, 1_700_000_000.0 + self.offset, output.key, output.value, output.headers)
        step = self.processor.process(record, self.state.get)
        self.state.update(step.writes)
        self.counts.update((counted.metric.name.removeprefix("towpath_"), *counted.labels.values()) for counted in step.counts)
        told = [(one.topic, *CODEC.decode(one.value)) for one in step.outputs]
        for one in step.outputs:
            told += self.take(one) if one.topic == "holds" else []
        return told

    def event(self, kind: str, value: Mapping[str, Any]) -> list[Told]:
        event = Event(kind, value)
        return self.take(Output(f"received.{AGGREGATES[kind]}", event.record_key, CODEC.encode(kind, value)))

    def receipt(self, outcome: str = "applied", second: int = 5, flow: str = "orders") -> list[Told]:
        subject = Subject("erp", KEY, flow=flow, operation="create_order", effect_key=KEY)
        sink = replace(self.registrar, hop="sink", group="sink.erp")
        at = PLACED_AT + timedelta(seconds=second)
        return self.take(sink.receipt(outcome, subject, at, external_id="SO-1", external_at=at))


@pytest.fixture
def worker() -> Worker:
    return Worker()


def deliveries(told: list[Told], operation: str = "") -> list[dict[str, Any]]:
    return [value for _, kind, value in told if kind == "Delivery" and operation in ("", value["operation"])]


def numbers(told: list[Told]) -> list[int]:
    return [json.loads(value["document"])["StockQuantity"] for value in deliveries(told, "set_stock")]


def stock(available: int, *, allocated: int = 0, sequence: int = 1, second: int = 0) -> Mapping[str, Any]:
    value = a_stock(available=available, sequence=sequence, allocated=Decimal(allocated))
    value["meta"]["occurred_at"] = PLACED_AT + timedelta(seconds=second)
    return value


# --- changes


def test_other_content_of_an_order_that_stands_is_a_change_of_it(worker: Worker) -> None:
    worker.event("OrderPlaced", an_order())
    worker.receipt()
    told = worker.event("OrderPlaced", an_order(offset=1, shipping_method="Air"))
    assert ["change_order"] == [value["operation"] for value in deliveries(told)]
    assert ["OrderChanged"] == [kind for topic, kind, _ in told if topic == "orders"]


def test_other_content_of_an_order_that_may_have_failed_is_tried_as_the_order_and_then_as_its_change(worker: Worker) -> None:
    worker.event("OrderPlaced", an_order())
    told = worker.event("OrderPlaced", an_order(offset=1, shipping_method="Air"))
    assert ["create_order", "change_order"] == [value["operation"] for value in deliveries(told)]
    assert ["OrderChanged"] == [kind for topic, kind, _ in told if topic == "orders"]


def test_the_same_change_again_is_a_duplicate(worker: Worker) -> None:
    worker.event("OrderPlaced", an_order())
    worker.event("OrderPlaced", an_order(offset=1, shipping_method="Air"))
    assert [] == worker.event("OrderPlaced", an_order(offset=2, shipping_method="Air", status="30"))


def test_a_change_back_to_what_it_was_is_a_change(worker: Worker) -> None:
    worker.event("OrderPlaced", an_order())
    worker.event("OrderPlaced", an_order(offset=1, shipping_method="Air"))
    assert 1 == len(deliveries(worker.event("OrderPlaced", an_order(offset=2)), "change_order"))


def test_an_older_reading_of_an_order_is_no_change(worker: Worker) -> None:
    worker.event("OrderPlaced", an_order(offset=5))
    assert [] == worker.event("OrderPlaced", an_order(offset=4, shipping_method="Air"))
    assert 1 == worker.counts["dropped", "OrderPlaced", "superseded"]


def test_a_change_that_cannot_be_mapped_is_repaired_as_the_change_that_it_is(worker: Worker) -> None:
    worker.event("OrderPlaced", an_order())
    worker.receipt()
    half = [{**an_order()["lines"][0], "quantity": Decimal("0.5")}]
    told = worker.event("OrderPlaced", an_order(offset=1, lines=half, total=Decimal("29.56")))
    [letter] = [value for _, kind, value in told if kind == "DeadLetter"]
    assert ("changes", "lines.quantity") == (letter["flow"], letter["field"])
    again = [value for _, kind, value in worker.take(replay_of(letter)) if kind == "DeadLetter"]
    assert [(letter["dead_letter_id"], "lines.quantity", 1)] == [(one["dead_letter_id"], one["field"], one["replays"]) for one in again]


def test_a_changed_order_that_is_right_again_closes_the_dead_letter_of_the_change(worker: Worker) -> None:
    worker.event("OrderPlaced", an_order())
    worker.receipt()
    half = [{**an_order()["lines"][0], "quantity": Decimal("0.5")}]
    [letter] = [v for _, kind, v in worker.event("OrderPlaced", an_order(offset=1, lines=half, total=Decimal("29.56"))) if kind == "DeadLetter"]
    told = worker.event("OrderPlaced", an_order(offset=2, shipping_method="Air"))
    closed = [(value["outcome"], value["dead_letter_id"]) for _, kind, value in told if kind == "Receipt"]
    assert [("resolved", letter["dead_letter_id"])] == closed


# --- payments and cancellations


def test_a_payment_that_the_order_told_of_itself_asks_nothing(worker: Worker) -> None:
    worker.event("OrderPlaced", an_order(payment_status="30"))
    assert [] == deliveries(worker.event("PaymentReceived", a_payment()))
    assert 1 == worker.counts["dropped", "PaymentReceived", "filtered"]


def test_a_payment_after_the_order_is_delivered_once(worker: Worker) -> None:
    worker.event("OrderPlaced", an_order(payment_status="10"))
    assert 1 == len(deliveries(worker.event("PaymentReceived", a_payment()), "set_payment_status"))
    assert [] == worker.event("PaymentReceived", a_payment())


def test_two_payments_of_one_order_are_two(worker: Worker) -> None:
    worker.event("PaymentReceived", a_payment())
    assert 1 == len(deliveries(worker.event("PaymentReceived", a_payment(payment_id="ch_2"))))


def test_two_shipments_of_one_order_are_two_effects_of_one_write_unit(worker: Worker) -> None:
    one = deliveries(worker.event("ShipmentConfirmed", a_shipment()))
    other = deliveries(worker.event("ShipmentConfirmed", a_shipment(shipment="SH-2")))
    assert ["erp/shipment/SH-1", "erp/shipment/SH-2"] == [value["effect_key"] for value in one + other]


def test_an_older_status_is_superseded(worker: Worker) -> None:
    worker.event("OrderStatusChanged", a_status(status="40", sequence=9))
    assert [] == worker.event("OrderStatusChanged", a_status(status="20", sequence=8))


# --- stock


def test_stock_goes_to_the_shop_as_it_is_at_the_source(worker: Worker) -> None:
    assert [10] == numbers(worker.event("StockChanged", stock(10)))


def test_the_record_of_stock_is_keyed_by_its_sku(worker: Worker) -> None:
    assert {b"TP-0001"} == {Event("StockChanged", stock(10)).record_key}
    assert ["stock"] == [topic for topic, kind, _ in worker.event("StockChanged", stock(10)) if kind == "StockChanged"]


def test_an_order_under_way_lowers_the_number_at_once_and_its_own_allocation_does_not_again(worker: Worker) -> None:
    worker.event("StockChanged", stock(10))
    assert [8] == numbers(worker.event("OrderPlaced", an_order()))
    assert [] == numbers(worker.event("StockChanged", stock(8, allocated=2, sequence=2, second=5)))
    assert 1 == worker.counts["dropped", "StockChanged", "echo"]
    assert [] == numbers(worker.receipt(second=5))


def test_figures_from_before_the_order_stood_do_not_raise_the_number(worker: Worker) -> None:
    worker.event("StockChanged", stock(10))
    worker.event("OrderPlaced", an_order())
    worker.receipt(second=5)
    assert [] == numbers(worker.event("StockChanged", stock(10, sequence=2, second=4)))


def test_stock_that_is_back_where_it_was_lets_go_of_the_order_that_has_left(worker: Worker) -> None:
    worker.event("StockChanged", stock(10))
    assert [8] == numbers(worker.event("OrderPlaced", an_order()))
    worker.receipt()
    assert [10] == numbers(worker.event("StockChanged", stock(10, sequence=5, second=9)))
    assert [] == numbers(worker.event("StockChanged", stock(8, allocated=2, sequence=4, second=6)))
    assert 1 == worker.counts["dropped", "StockChanged", "superseded"]


def test_a_cancelled_order_lets_its_stock_go(worker: Worker) -> None:
    worker.event("StockChanged", stock(10))
    worker.event("OrderPlaced", an_order())
    assert [10] == numbers(worker.event("OrderCancelled", a_cancellation()))


def test_a_cancelled_order_whose_goods_are_free_at_the_source_has_the_number_told_again(worker: Worker) -> None:
    worker.event("StockChanged", stock(10))
    worker.event("OrderPlaced", an_order())
    worker.receipt(second=5)
    worker.event("StockChanged", stock(8, allocated=2, sequence=2, second=5))
    assert [10] == numbers(worker.event("StockChanged", stock(10, sequence=3, second=9)))
    assert [10] == numbers(worker.event("OrderCancelled", a_cancellation())), "the shop put them back itself, after or before"


def test_an_order_that_became_a_dead_letter_keeps_its_stock(worker: Worker) -> None:
    worker.event("StockChanged", stock(10))
    assert [8] == numbers(worker.event("OrderPlaced", an_order(status="99")))


def test_a_discarded_order_lets_its_stock_go(worker: Worker) -> None:
    worker.event("StockChanged", stock(10))
    worker.event("OrderPlaced", an_order())
    assert [10] == numbers(worker.receipt("discarded"))


def test_holds_told_again_after_a_crash_hold_once(worker: Worker) -> None:
    worker.event("StockChanged", stock(10))
    hold = {"connection": "erp", "sku": "TP-0001", "order_key": KEY, "quantity": Decimal(2), "standing_at": None, "at": PLACED_AT}
    records = [Output("holds", b"TP-0001", CODEC.encode("StockHold", {**hold, "state": state})) for state in ("held", "dropped", "held")]
    assert [[8], [10], []] == [numbers(worker.take(record)) for record in records]


def test_every_number_has_a_higher_version_and_tells_when_it_last_rose(worker: Worker) -> None:
    told = worker.event("StockChanged", stock(10)) + worker.event("OrderPlaced", an_order()) + worker.event("StockChanged", stock(30, sequence=2))
    found = deliveries(told, "set_stock")
    versions = [value["version"]["major"] for value in found]
    assert sorted(set(versions)) == versions
    assert [versions[0], versions[0], versions[2]] == [json.loads(value["document"])["RaisedAt"] for value in found]
    assert 3 == len({value["delivery_id"] for value in found})


def test_a_replay_tells_the_number_of_now_and_holds_nothing_again(worker: Worker) -> None:
    worker.event("StockChanged", stock(10))
    told = worker.event("OrderPlaced", an_order(status="99"))
    [letter] = [value for _, kind, value in told if kind == "DeadLetter"]
    assert [] == numbers(worker.take(replay_of(letter)))


def test_a_hold_that_cannot_be_read_is_a_dead_letter(worker: Worker) -> None:
    assert ["dlq.unknown"] == [topic for topic, _, _ in worker.take(Output("holds", b"x", b"rubbish"))]


def test_a_change_event_of_its_own_is_routed_as_it_is(worker: Worker) -> None:
    assert 1 == len(deliveries(worker.event("OrderChanged", a_change()), "change_order"))


# --- replays


def again(kind: str, value: Mapping[str, Any], *, force: bool = False) -> Output:
    event = Event(kind, value)
    replay = Replay("", 0, PLACED_AT, 0, "", replay_id="r1", force=force)
    return Output(f"received.{AGGREGATES[kind]}", event.record_key, CODEC.encode(kind, value), replay.headers())


def test_what_is_replayed_is_delivered_again_and_published_once(worker: Worker) -> None:
    worker.event("OrderPlaced", an_order())
    told = worker.take(again("OrderPlaced", an_order()))
    assert ["Delivery"] == [kind for _, kind, _ in told]


def test_a_replay_says_so_to_the_sink(worker: Worker) -> None:
    worker.event("OrderPlaced", an_order())
    record = again("OrderPlaced", an_order(), force=True)
    step = worker.processor.process(Record(record.topic, 0, 9, 1.0, record.key, record.value, record.headers), worker.state.get)
    delivered = Record("deliver.erp", 0, 0, 1.0, None, None, step.outputs[0].headers)
    assert delivered.replay is not None
    assert ("r1", True) == (delivered.replay.replay_id, delivered.replay.force)


def test_what_a_replay_finds_new_is_news(worker: Worker) -> None:
    worker.event("OrderPlaced", an_order())
    worker.receipt()
    told = worker.take(again("OrderPlaced", an_order(offset=3, shipping_method="Air")))
    assert ["Delivery", "OrderChanged"] == [kind for _, kind, _ in told]


def test_an_old_record_of_an_order_that_changed_since_changes_nothing_back(worker: Worker) -> None:
    worker.event("OrderPlaced", an_order())
    worker.event("OrderPlaced", an_order(offset=1, shipping_method="Air"))
    worker.event("OrderPlaced", an_order(offset=2, shipping_method="Sea"))
    assert ["create_order"] == [value["operation"] for value in deliveries(worker.take(again("OrderPlaced", an_order())))]
    assert [] == worker.take(again("OrderPlaced", an_order(offset=1, shipping_method="Air")))
    newest = worker.take(again("OrderPlaced", an_order(offset=2, shipping_method="Sea")))
    assert ["change_order"] == [value["operation"] for value in deliveries(newest)]


def test_a_replay_of_a_status_that_moved_is_no_change(worker: Worker) -> None:
    worker.event("OrderPlaced", an_order())
    assert [] == worker.take(again("OrderPlaced", an_order(offset=4, status="30")))


def test_replayed_stock_tells_the_number_of_now(worker: Worker) -> None:
    worker.event("StockChanged", stock(10))
    worker.event("OrderPlaced", an_order())
    assert [8] == numbers(worker.take(again("StockChanged", stock(10))))


def test_a_replayed_order_holds_nothing_again(worker: Worker) -> None:
    worker.event("StockChanged", stock(10))
    worker.event("OrderPlaced", an_order())
    worker.receipt(second=5)
    worker.event("StockChanged", stock(8, allocated=2, sequence=2, second=5))
    assert [] == numbers(worker.take(again("OrderPlaced", an_order())))
