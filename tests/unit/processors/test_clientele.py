"""What the processor makes of customers of two sides, and of the receipts of their sinks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from processors.clientele import rules_of
from processors.flow_processor import FlowProcessor
from processors.mapping import load_model
from processors.routing import Route
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.delivery.deadletters import Registrar, Subject, replay_of
from towpath.errors import ConfigError
from towpath.events import Event
from towpath.records import Output, Record
from towpath.testing.events import PLACED_AT, a_customer, an_address

CODEC = default_codec()
KEY = "shop/customer/7"
OPTIONS = {"custom_fields": ["Customer Type"], "master": {"company": "erp"}}


def a_route(name: str, source: str, target: str, mapping: str, **options: object) -> Route:
    return Route(name, source, target, "CustomerChanged", load_model(mapping), "SHOP-", {**OPTIONS, **options})


ROUTES = [
    a_route("to-erp", "shop", "erp", "nopcommerce-bng/customer_changed"),
    a_route("to-shop", "erp", "shop", "bng-nopcommerce/customer_changed"),
]


@dataclass
class Worker:
    """One processor over one state."""

    state: dict[bytes, bytes] = field(default_factory=dict)
    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)
    offset: int = 0

    def __post_init__(self) -> None:
        self.registrar = Registrar(CODEC, "processor", "processor", frozenset({"shop", "erp"}))
        self.processor = FlowProcessor(ROUTES, self.registrar, SystemClock())

    def take(self, output: Output) -> list[tuple[str, str, dict[str, Any]]]:
        self.offset += 1
        record = Record(output.topic, 0, self.offset, 1_700_000_000.0 + self.offset, output.key, output.value, output.headers)
        step = self.processor.process(record, self.state.get)
        self.state.update(step.writes)
        self.counts.update((counted.metric.name.removeprefix("towpath_"), *counted.labels.values()) for counted in step.counts)
        return [(one.topic, *CODEC.decode(one.value)) for one in step.outputs]

    def says(self, side: str, second: int = 0, **fields: Any) -> list[tuple[str, str, dict[str, Any]]]:  # noqa: ANN401 - fields of the event
        value = a_customer(connection=side, customer_id={"shop": "7", "erp": "C1"}[side], **fields)
        meta = value["meta"]
        meta |= {"key": KEY, "occurred_at": PLACED_AT + timedelta(seconds=second), "version": {"major": second, "minor": self.offset}}
        return self.take(Output("received.customers", KEY.encode(), CODEC.encode("CustomerChanged", value)))

    def wrote(self, delivery: Mapping[str, Any], outcome: str = "applied", reason: str = "") -> list[tuple[str, str, dict[str, Any]]]:
        names = ("flow", "event_id", "operation", "effect_key", "key")
        subject = Subject(delivery["target"], **{name: delivery[name] for name in names})
        sink = replace(self.registrar, hop="sink", group=f"sink.{delivery['target']}")
        return self.take(sink.receipt(outcome, subject, PLACED_AT, reason=reason, external_id="1"))


@pytest.fixture
def worker() -> Worker:
    return Worker()


def deliveries(told: list[tuple[str, str, dict[str, Any]]]) -> list[dict[str, Any]]:
    return [value for _, kind, value in told if kind == "Delivery"]


def documents(told: list[tuple[str, str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    return {value["target"]: json.loads(value["document"]) for value in deliveries(told)}


def test_a_new_customer_goes_to_the_other_side_to_be_found_or_made(worker: Worker) -> None:
    (delivery,) = deliveries(worker.says("shop", custom_fields={"Customer Type": "VIP", "Shoe size": "42"}))
    document, related = json.loads(delivery["document"]), json.loads(delivery["related"][f"customer {KEY}"])
    assert {"$ref": "customer", "key": KEY} == document["Customer"]
    assert (None, False) == (document["Expected"], document["Fills"])
    assert ("SHOP-7", {"Customer Type": "VIP"}) == (document["Wanted"]["ExternalID"], document["Wanted"]["CustomFields"])
    assert {**document["Wanted"], "Match": {"Confidence": 0.8}} == related


def test_what_the_other_side_made_of_it_is_an_echo(worker: Worker) -> None:
    worker.says("shop")
    assert [] == deliveries(worker.says("erp", 1))
    assert 1 == worker.counts["dropped", "CustomerChanged", "echo"]


def test_the_shops_own_customer_is_named_by_its_number_and_only_filled_before_the_shop_was_heard(worker: Worker) -> None:
    (delivery,) = deliveries(worker.says("erp"))
    document = json.loads(delivery["document"])
    assert {"Match": "7"} == json.loads(delivery["related"][f"customer {KEY}"])
    assert ("erp/customer/C1", True) == (document["Wanted"]["Reference"], document["Fills"])


def test_a_change_tells_the_target_what_it_is_expected_to_hold(worker: Worker) -> None:
    worker.says("shop")
    worker.says("erp", 1)
    document = documents(worker.says("shop", 2, last_name="Meier"))["erp"]
    assert ("Meier", "Müller") == (document["Wanted"]["LastName"], document["Expected"]["LastName"])
    assert {**document["Wanted"], "LastName": "Müller"} == document["Expected"]


def test_of_two_changes_each_side_gets_what_it_does_not_hold(worker: Worker) -> None:
    worker.says("shop", company="x")
    worker.says("erp", 1, company="x")
    worker.says("shop", 3, last_name="Shop", company="Of the shop")
    told = documents(worker.says("erp", 2, last_name="Erp", company="Of the ERP"))
    assert ("Shop", "Erp", "Of the ERP") == (
        told["erp"]["Wanted"]["LastName"],
        told["erp"]["Expected"]["LastName"],
        told["erp"]["Wanted"]["CompanyName"],
    )
    assert ("Of the ERP", "Of the shop", "Shop") == tuple(
        told["shop"][part][name] for part, name in (("Wanted", "Company"), ("Expected", "Company"), ("Wanted", "LastName"))
    )


def test_versions_rise_whichever_side_speaks(worker: Worker) -> None:
    told = [*worker.says("shop"), *worker.says("erp", 1, last_name="Erp"), *worker.says("shop", 2, first_name="Z")]
    versions = [(value["version"]["major"], value["version"]["minor"]) for value in deliveries(told)]
    assert sorted(set(versions)) == versions


@pytest.mark.parametrize(
    ("outcome", "reason", "known"), [("applied", "", True), ("unchanged", "", True), ("applied", "left: LastName", False), ("superseded", "", False)]
)
def test_what_a_sink_wrote_is_known_of_its_side_unless_it_left_something(worker: Worker, outcome: str, reason: str, known: bool) -> None:  # noqa: FBT001
    worker.says("shop")
    worker.says("erp", 1)
    (delivery,) = deliveries(worker.says("shop", 2, last_name="Meier"))
    assert [] == worker.wrote(delivery, outcome, reason)
    document = documents(worker.says("shop", 3, last_name="Meier", first_name="Z"))["erp"]
    assert ("Meier" if known else "Müller") == document["Expected"]["LastName"]


def test_a_bad_address_is_a_dead_letter_that_leaves_no_trace_and_its_correction_closes_it(worker: Worker) -> None:
    worker.says("shop")
    told = worker.says("shop", 1, last_name="Meier", billing_address=an_address(postcode="1"))
    (letter,) = [value for _, kind, value in told if kind == "DeadLetter"]
    assert ("billing_address.postcode", "to-erp") == (letter["field"], letter["flow"])
    told = worker.says("shop", 2, last_name="Meier")
    assert "Meier" == documents(told)["erp"]["Wanted"]["LastName"]
    assert [letter["dead_letter_id"]] == [value["dead_letter_id"] for _, kind, value in told if kind == "Receipt"]


def test_a_dead_letter_that_is_played_again_is_delivered_again(worker: Worker) -> None:
    told = worker.says("shop", email="zoe@localhost")
    (letter,) = [value for _, kind, value in told if kind == "DeadLetter"]
    mended = CODEC.encode("CustomerChanged", a_customer(email="zoe@shop.example"))
    told = worker.take(replay_of({**letter, "value": mended}))
    assert "zoe@shop.example" == documents(told)["erp"]["Wanted"]["Email"]


def test_the_same_word_twice_is_a_duplicate_on_each_side(worker: Worker) -> None:
    worker.says("shop")
    worker.says("erp", 1)
    assert [[], []] == [worker.says("shop", 2), worker.says("erp", 3)]
    assert 2 == worker.counts["dropped", "CustomerChanged", "duplicate"]


def test_a_customer_who_may_not_buy_is_not_told_of(worker: Worker) -> None:
    assert [] == deliveries(worker.says("shop", active=False))
    assert 1 == worker.counts["dropped", "CustomerChanged", "filtered"]


def test_a_side_that_no_flow_takes_customers_from_is_not_listened_to() -> None:
    worker = Worker()
    worker.processor = FlowProcessor(ROUTES[:1], worker.registrar, SystemClock())
    worker.says("shop")
    assert [("customers", "CustomerChanged")] == [(topic, kind) for topic, kind, _ in worker.says("erp", 1, last_name="Erp")]
    assert 1 == worker.counts["dropped", "CustomerChanged", "unrouted"]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"custom_fields": "Customer Type"}, "custom_fields"),
    ({"custom_fields": [7]}, "custom_fields"),
    ({"master": "shop"}, "master"),
    ({"master": {"*": "crm"}}, "master"),
    ({"translated": ["Customer Type"]}, "translated"),
    ({"translated": {"Shoe size": {"name": "Group", "values": {}}}}, "translated"),
    ({"translated": {"Customer Type": {"values": {"1": "x"}}}}, "translated"),
    ({"translated": {"Customer Type": {"name": "Group", "values": {"1": "x", "2": "x"}}}}, "translated"),
    ({"confidence": 2}, "confidence"),
    ({"confidence": True}, "confidence"),
]


@pytest.mark.parametrize(("options", "name"), BAD)
def test_an_option_that_makes_no_sense_is_refused_by_name(options: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigError, match=rf"flows\.to-erp\.options\.{name}"):
        rules_of([a_route("to-erp", "shop", "erp", "nopcommerce-bng/customer_changed", **options)])


def test_two_flows_of_one_pair_must_agree() -> None:
    with pytest.raises(ConfigError, match="to-erp has other custom_fields"):
        rules_of([ROUTES[0], replace(ROUTES[1], options={})])


def test_events_of_two_sides_are_two_facts_of_one_key() -> None:
    one, other = (Event("CustomerChanged", a_customer(connection=side)) for side in ("shop", "erp"))
    other.meta["key"] = one.meta["key"]
    assert one.record_key == other.record_key
    assert one.identity != other.identity


def test_a_side_that_was_never_heard_is_known_by_what_was_written_to_it(worker: Worker) -> None:
    (delivery,) = deliveries(worker.says("erp"))
    assert json.loads(delivery["document"])["Fills"] is True
    worker.wrote(delivery, "unchanged")
    document = documents(worker.says("erp", 1, last_name="Meier"))["shop"]
    assert ("Meier", "Müller", False) == (document["Wanted"]["LastName"], document["Expected"]["LastName"], document["Fills"])
    told = documents(worker.says("shop", 2, first_name="Z"))
    assert "Z" == told["erp"]["Wanted"]["FirstName"], "its own word counts as soon as it is heard"


def test_a_customer_of_one_shop_is_none_of_another_shops() -> None:
    worker = Worker()
    elsewhere = replace(ROUTES[1], name="to-other", target="other")
    worker.processor = FlowProcessor([*ROUTES, elsewhere], worker.registrar, SystemClock())
    assert ["shop"] == [value["target"] for value in deliveries(worker.says("erp"))]


@pytest.mark.parametrize("side", ["shop", "erp"])
def test_what_comes_again_is_told_by_the_head_alone(worker: Worker, side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    worker.says(side)
    monkeypatch.setattr(worker.processor, "_arrived", None)
    worker.offset = 0
    assert [] == worker.says(side)
