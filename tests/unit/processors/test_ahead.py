"""What is worked out ahead, for many records at once, is what each would have led to in its turn."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.engines.plan import Plan
from processors.flow_processor import FlowProcessor
from processors.mapping import Model
from processors.port import Step
from processors.routing import Router
from tests.unit.processors.test_whole_pair import CODEC, ROUTES, stock
from towpath.codec import Codec, Head
from towpath.delivery.deadletters import Registrar, replay_of
from towpath.events import AGGREGATES, Event
from towpath.metrics import Metrics
from towpath.records import Output, Record
from towpath.testing.clock import VirtualClock
from towpath.testing.events import a_cancellation, a_customer, a_payment, a_shipment, a_status, an_order

FRESH = 1_700_000_000.0


def sent(kind: str, value: Any, topic: str = "") -> Output:  # noqa: ANN401 - any event
    event = Event(kind, value)
    return Output(topic or f"received.{AGGREGATES[kind]}", event.record_key, CODEC.encode(kind, value))


def processor() -> FlowProcessor:
    return FlowProcessor(ROUTES, Registrar(CODEC, "processor", "processor", frozenset({"shop", "erp"})), VirtualClock())


def a_replay() -> Output:
    """Return an order that could not be mapped, sent again by an operator."""
    value = CODEC.encode("OrderPlaced", an_order(1009, status="99"))
    step = processor().process(Record("received.orders", 0, 0, FRESH, b"shop/order/1009", value), lambda _: None)
    [letter] = [CODEC.decode_as("DeadLetter", one.value) for one in step.outputs if one.topic.startswith("dlq")]
    return replay_of(letter)


SENT = [
    sent("OrderPlaced", an_order()),
    sent("OrderPlaced", an_order()),
    sent("OrderPlaced", an_order(offset=1, shipping_method="Air")),
    sent("OrderPlaced", an_order(1002)),
    sent("OrderPlaced", an_order(1003, status="99")),
    sent("OrderPlaced", an_order(1004, total=Decimal(1))),
    sent("OrderPlaced", an_order(1005, connection="nobody")),
    sent("OrderPlaced", an_order(1006), "received.stock"),
    sent("OrderCancelled", a_cancellation()),
    sent("OrderStatusChanged", a_status()),
    sent("OrderStatusChanged", a_status(status="90", sequence=3)),
    sent("PaymentReceived", a_payment()),
    sent("ShipmentConfirmed", a_shipment()),
    sent("StockChanged", stock(10)),
    sent("StockChanged", stock(7, sequence=2)),
    sent("CustomerChanged", a_customer()),
    Output("received.orders", b"k", b"rubbish"),
    Output("received.orders", b"k", CODEC.encode("OrderPlaced", an_order(1007))[:-3]),
    Output("received.orders", b"k", None),
    a_replay(),
]


def played(outputs: list[Output], at_once: int) -> tuple[list[Step], dict[bytes, bytes]]:
    """Return the steps of these records, prepared so many at once (0: never), and the state that they leave."""
    found, state, one = list[Step](), dict[bytes, bytes](), processor()
    records = [Record(sent.topic, 0, offset, FRESH, sent.key, sent.value, sent.headers) for offset, sent in enumerate(outputs)]
    for number, record in enumerate(records):
        if at_once and number % at_once == 0:
            one.prepare(records[number : number + at_once], lambda _: state.get)
        step = one.process(record, state.get)
        state.update(step.writes)
        found.append(step)
    return found, state


@settings(max_examples=80, deadline=None)
@given(outputs=st.lists(st.sampled_from(SENT), max_size=30), at_once=st.integers(1, 30))
def test_what_is_prepared_is_what_each_leads_to_by_itself(outputs: list[Output], at_once: int) -> None:
    ahead, alone = played(outputs, at_once), played(outputs, 0)
    assert [(list(step.outputs), step.writes, list(step.counts)) for step in ahead[0]] == [
        (list(step.outputs), step.writes, list(step.counts)) for step in alone[0]
    ]
    assert ahead[1] == alone[1]


def test_new_events_are_routed_together_and_not_again_in_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    one, taken = processor(), list[str]()
    records = [Record(sent.topic, 0, offset, FRESH, sent.key, sent.value) for offset, sent in enumerate([SENT[0], SENT[1], SENT[3]])]
    one.prepare(records, lambda _: lambda _: None)
    route = Router.route

    def routed(self: Router, arrived: Any) -> Any:  # noqa: ANN401 - as the router has it
        taken.append(arrived.event.meta["key"])
        return route(self, arrived)

    monkeypatch.setattr(Router, "route", routed)
    assert len(one.process(records[0], lambda _: None).outputs) == len(one.process(records[2], lambda _: None).outputs)
    assert taken == []
    one.process(records[1], lambda _: None)
    assert taken == ["shop/order/1001"], "of one order in the batch, what comes first is prepared"


def test_what_is_broken_in_the_code_is_raised_in_its_records_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake of ours")

    one = processor()
    records = [Record(sent.topic, 0, offset, FRESH, sent.key, sent.value) for offset, sent in enumerate([SENT[0], SENT[3]])]
    with monkeypatch.context() as patched:
        patched.setattr(Model, "apply", broken)
        plan = Plan(one, lambda _: lambda _: None)
        turn = plan.ahead(records)
        with pytest.raises(RuntimeError, match="a mistake of ours"):
            plan.add(next(turn))
    plan.add(next(turn))
    plan.count(Metrics())
    assert [output.key for output in plan.outputs if output.topic == "orders"] == [b"shop/order/1002"]


def test_what_is_said_of_an_order_that_is_known_is_not_mapped_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    one, state, mapped = processor(), dict[bytes, bytes](), list[str]()
    state.update(one.process(Record("received.orders", 0, 0, FRESH, b"k", SENT[0].value), state.get).writes)
    apply = Model.apply

    def counted(self: Model, event: Event, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as the model has it
        mapped.append(event.type)
        return apply(self, event, *arguments, **named)

    monkeypatch.setattr(Model, "apply", counted)
    status = sent("OrderStatusChanged", a_status())
    record = Record(status.topic, 0, 1, FRESH, status.key, status.value)
    one.prepare([record], lambda _: state.get)
    assert [output.topic for output in one.process(record, state.get).outputs] == ["deliver.shop", "orders"]
    assert mapped == ["OrderStatusChanged"]


@pytest.mark.parametrize(
    "output", [SENT[0], sent("CustomerChanged", a_customer()), sent("StockChanged", stock(10))], ids=["order", "customer", "stock"]
)
def test_what_was_told_before_is_known_by_its_head_and_not_read_ahead(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    one, state, decoded = processor(), dict[bytes, bytes](), list[object]()
    state.update(one.process(Record(output.topic, 0, 0, FRESH, output.key, output.value), state.get).writes)
    decode = Codec.decode

    def counted(self: Codec, data: bytes | None, head: Head | None = None) -> Any:  # noqa: ANN401 - as the codec has it
        decoded.append(data)
        return decode(self, data, head)

    monkeypatch.setattr(Codec, "decode", counted)
    one.prepare([Record(output.topic, 0, 1, FRESH, output.key, output.value)], lambda _: state.get)
    assert decoded == []
