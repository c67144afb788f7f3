from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from benchmarks.deployment import orders_to_bng
from benchmarks.orders import FIRST, OrderForm, Sent, stream
from benchmarks.outputs import DELIVERIES, PUBLIC, Checker
from benchmarks.progress import Sample, between
from benchmarks.state import StateForm
from processors.flow_processor import FlowProcessor
from processors.role import routes
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.config import Config
from towpath.config.load import parse_config
from towpath.delivery.deadletters import Registrar
from towpath.records import Record

ORDERS = 3


@pytest.fixture(scope="module")
def config() -> Config:
    return parse_config(orders_to_bng("faust"), resolve=False)


@pytest.fixture(scope="module")
def processor(config: Config) -> FlowProcessor:
    return FlowProcessor(routes(config), Registrar(default_codec(), "processor", "processor", frozenset(config.connections)), SystemClock())


def record_of(sent: Sent) -> Record:
    return Record("received.orders", 0, sent.order, 0.0, sent.key, sent.value)


@pytest.fixture
def outputs(processor: FlowProcessor) -> list[Record]:
    form = OrderForm()
    steps = [processor.process(record_of(form.make(number)), lambda _key: None) for number in range(ORDERS)]
    sent = [output for step in steps for output in step.outputs]
    return [Record(output.topic, 0, place, 100.0 + place, output.key, output.value, output.headers) for place, output in enumerate(sent)]


Spoil = Callable[[list[Record]], list[Record]]


def first_of(topic: str, records: list[Record]) -> Record:
    return next(record for record in records if record.topic == topic)


def without(topic: str) -> Spoil:
    return lambda records: [record for record in records if record is not first_of(topic, records)]


def twice(topic: str) -> Spoil:
    return lambda records: [*records, first_of(topic, records)]


def with_other_value(topic: str) -> Spoil:
    def spoil(records: list[Record]) -> list[Record]:
        one, other = [record for record in records if record.topic == topic][:2]
        return [record._replace(value=other.value) if record is one else record for record in records]

    return spoil


def of_nobody(records: list[Record]) -> list[Record]:
    sent = OrderForm().make(ORDERS)
    return [*records, Record(PUBLIC, 0, 99, 0.0, sent.key, sent.value)]


def dead(records: list[Record]) -> list[Record]:
    return [*records, records[0]._replace(topic="dlq.shop")]


def test_what_the_processor_makes_is_what_the_mapping_written_by_hand_makes(outputs: list[Record]) -> None:
    checked = Checker(orders=ORDERS).check(outputs)
    assert [] == checked.problems
    assert (ORDERS, 0) == (checked.deliveries, checked.repeated)
    assert checked.span.first < checked.span.last


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (without(DELIVERIES), "1 orders are missing on deliver.erp"),
        (without(PUBLIC), "1 orders are missing on orders"),
        (twice(DELIVERIES), "1 records on deliver.erp are repeats"),
        (twice(PUBLIC), "1 records on orders are repeats"),
        (with_other_value(DELIVERIES), "1 records on deliver.erp are not what the order asks for"),
        (with_other_value(PUBLIC), "1 records on orders are not what the order asks for"),
        (of_nobody, "1 records on orders are of no order that was sent"),
        (dead, "1 records on dlq.shop"),
    ],
)
def test_a_wrong_output_is_told(outputs: list[Record], spoil: Spoil, told: str) -> None:
    assert [told] == list(Checker(orders=ORDERS).check(spoil(outputs)).problems)


def test_where_repeats_are_allowed_they_are_counted_and_no_problem(outputs: list[Record]) -> None:
    checked = Checker(orders=ORDERS, repeats_allowed=True).check(twice(DELIVERIES)(outputs))
    assert ([], 1) == (checked.problems, checked.repeated)


def test_no_output_at_all_is_told() -> None:
    assert [f"{ORDERS} orders are missing on deliver.erp", f"{ORDERS} orders are missing on orders"] == Checker(orders=ORDERS).check([]).problems


def test_the_stream_has_its_repeats_each_after_its_first_and_is_the_same_every_time() -> None:
    sent = list(stream(1_000))
    counted = Counter(one.order for one in sent)
    assert (1_000, 700) == (len(sent), len(counted))
    firsts: dict[int, Sent] = {}
    assert all(one == firsts.setdefault(one.order, one) for one in sent)
    assert list(range(700)) == list(firsts)
    assert sent == list(stream(1_000))


def test_an_order_made_from_the_form_is_one_of_about_700_bytes_with_its_own_number() -> None:
    sent = OrderForm().make(7)
    kind, order = default_codec().decode(sent.value)
    assert ("OrderPlaced", str(FIRST + 7), sent.key.decode()) == (kind, order["order_number"], order["meta"]["key"])
    assert 650 <= len(sent.value) <= 750
    other = default_codec().decode(OrderForm().make(8).value)[1]
    for name in ("event_id", "digest", "trace_id"):
        assert order["meta"][name] != other["meta"][name]


def test_a_repeat_of_an_order_whose_state_was_filled_makes_nothing(config: Config, processor: FlowProcessor) -> None:
    state = {row.key: row.value for row in StateForm(config).rows(41, 4)}
    sent = OrderForm().make(41)
    assert [] == list(processor.process(record_of(sent), state.get).outputs)
    assert [] != list(processor.process(record_of(OrderForm().make(42)), state.get).outputs)


def test_a_cost_is_told_in_a_straight_line_between_two_looks() -> None:
    samples = [Sample(10.0, 0, 1.0, 0.0), Sample(11.0, 5, 2.0, 0.0), Sample(13.0, 9, 4.0, 0.0)]
    costs = [between(samples, moment, lambda sample: sample.cpu_s) for moment in (9.0, 10.5, 12.0, 14.0)]
    assert [1.0, 1.5, 3.0, 4.0] == costs
