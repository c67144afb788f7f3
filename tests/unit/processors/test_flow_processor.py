"""What the processor promises of every record, without a broker: a state, records in, outputs and writes out."""

from __future__ import annotations

import copy
import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.flow_processor import FlowProcessor, Seen
from processors.mapping import Model, load_model
from processors.routing import Arrived, Route, cloud_event
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.delivery.deadletters import Failure, Registrar, Subject, remapped_of, replay_of
from towpath.events import Event, OrderPlaced, Version
from towpath.plugging import MAPPINGS
from towpath.records import Headers, Output, Record, Replay
from towpath.replaying import Selection
from towpath.testing.events import a_customer, an_address, an_order

CODEC = default_codec()
NOW = datetime(2026, 11, 21, tzinfo=UTC)
MAPPING = load_model("nopcommerce-bng/order_placed")
BAD: dict[str, Any] = {"total": Decimal("99.99")}
TOPICS = {"OrderPlaced": "received.orders", "CustomerChanged": "received.customers"}


class StandingClock(SystemClock):
    """A clock that stands until it is set."""

    stands_at = NOW

    def now(self) -> datetime:
        return self.stands_at


@dataclass
class Place:
    """A partition's state, the processor on it, and all that came out of it."""

    routes: Sequence[Route]
    state: dict[bytes, bytes] = field(default_factory=dict)
    offset: int = 0
    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)
    clock: StandingClock = field(default_factory=StandingClock)

    def __post_init__(self) -> None:
        registrar = Registrar(CODEC, "processor", "processor", frozenset({"shop", "bng", "bng-2"}))
        self.processor = FlowProcessor(self.routes, registrar, self.clock)

    def take(self, record: Record) -> list[tuple[str, str, dict[str, Any]]]:
        """Process one record at the next offset; return (topic, type, value) of every output."""
        self.offset += 1
        step = self.processor.process(record._replace(offset=self.offset), self.state.get)
        self.state.update(step.writes)
        self.counts.update((counted.metric.name.removeprefix("towpath_"), *counted.labels.values()) for counted in step.counts)
        return [(output.topic, *CODEC.decode(output.value)) for output in step.outputs]

    def event(self, value: Mapping[str, Any], kind: str = "OrderPlaced") -> list[tuple[str, str, dict[str, Any]]]:
        """Process an event as the adapter sends it."""
        return self.take(record_of(value, kind))

    def replay(self, letter: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
        """Process what an operator's replay of a dead letter sends."""
        return self.take(record_at(replay_of(letter)))


def record_of(value: Mapping[str, Any], kind: str = "OrderPlaced") -> Record:
    return Record(TOPICS[kind], 0, 0, 0.0, value["meta"]["key"].encode(), CODEC.encode(kind, value), [("ce_source", b"shop")])


def record_at(output: Output) -> Record:
    return Record(output.topic, 0, 0, 0.0, output.key, output.value, output.headers)


def a_route(name: str = "orders", target: str = "bng", model: Model = MAPPING) -> Route:
    return Route(name, "shop", target, "OrderPlaced", model, "TP-")


def no_state(_key: bytes) -> bytes | None:
    return None


def topics(outputs: Sequence[tuple[str, str, dict[str, Any]]]) -> list[str]:
    return [topic for topic, _, _ in outputs]


def letters(outputs: Sequence[tuple[str, str, dict[str, Any]]]) -> list[dict[str, Any]]:
    return [value for _, kind, value in outputs if kind == "DeadLetter"]


def receipts(outputs: Sequence[tuple[str, str, dict[str, Any]]]) -> list[tuple[str, str]]:
    return sorted((value["outcome"], value["dead_letter_id"]) for _, kind, value in outputs if kind == "Receipt")


@pytest.fixture
def place() -> Place:
    return Place([a_route()])


@pytest.fixture
def picky(tmp_path: Path) -> Model:
    """Give a model like the shipped one that takes no cancelled order."""
    content = json.loads((MAPPINGS / "nopcommerce-bng/order_placed.json").read_text(encoding="utf-8"))
    rules = next(node for node in content["nodes"] if node["id"] == "order-status")["content"]["rules"]
    rules[:] = [rule for rule in rules if rule["in"] != "'40'"]
    path = tmp_path / "picky.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return Model("picky", path)


# --- routing


def test_an_order_becomes_a_delivery_and_part_of_the_public_stream(place: Place) -> None:
    order = an_order()
    (_, kind, delivery), public = place.event(order)
    assert ("orders", "OrderPlaced", order) == public
    assert ("Delivery", "orders", "shop", "bng", "create_order") == (kind, *(delivery[name] for name in ("flow", "source", "target", "operation")))
    assert (order["meta"]["key"], order["meta"]["event_id"]) == (delivery["effect_key"], delivery["event_id"])
    assert order == CODEC.decode_as("OrderPlaced", delivery["event"])
    assert {("routed", "orders", "OrderPlaced"): 1} == place.counts


def test_a_delivery_has_the_same_id_whenever_it_is_made() -> None:
    ids = [Place([a_route()]).event(an_order())[0][2]["delivery_id"] for _ in range(2)]
    assert ids[0] == ids[1]


def test_every_flow_that_wants_the_event_gets_a_delivery_of_its_own() -> None:
    found = Place([a_route(), a_route("copy", "bng-2")]).event(an_order())
    assert ["deliver.bng", "deliver.bng-2", "orders"] == topics(found)
    assert 2 == len({value["delivery_id"] for _, kind, value in found if kind == "Delivery"})


def test_a_replay_for_one_flow_takes_of_the_deliveries_its_own_and_of_the_events_all() -> None:
    offered = Place([a_route(), a_route("copy", "bng")]).processor.process(record_of(an_order(), "OrderPlaced"), no_state).outputs
    found = [record_at(output) for output in offered] + [record_of(an_order(), "OrderPlaced"), Record("deliver.bng", 0, 0, 0.0, b"k", b"rubbish", [])]
    assert ["deliver.bng", "deliver.bng", "orders", "received.orders", "deliver.bng"] == [record.topic for record in found]
    assert [True, False, True, True, False] == [Selection((), flow="orders", codec=CODEC).fits(record) for record in found]


def test_an_event_that_no_flow_wants_is_published_and_counted(place: Place) -> None:
    assert ["orders"] == topics(place.event(an_order(connection="shop-2")))
    assert ["customers"] == topics(place.event(a_customer(), "CustomerChanged"))
    assert {("dropped", "OrderPlaced", "unrouted"): 1, ("dropped", "CustomerChanged", "unrouted"): 1} == place.counts


def test_the_outputs_of_an_order_stand_under_its_key_and_carry_cloud_event_headers(place: Place) -> None:
    order = an_order()
    step = place.processor.process(record_of(order), no_state)
    headers = {
        "ce_specversion": "1.0",
        "ce_id": order["meta"]["event_id"],
        "ce_type": "towpath.OrderPlaced",
        "ce_source": "shop",
        "ce_subject": "shop/order/1001",
        "ce_time": "2026-11-20T09:30:00+00:00",
    }
    for output in step.outputs:
        found = {name: value.decode() for name, value in output.headers}
        assert b"shop/order/1001" == output.key
        assert f"00-{order['meta']['trace_id']}-" == found.pop("traceparent")[:36]
        assert headers == found


def test_what_is_told_of_another_event_bears_the_headers_of_that() -> None:
    order = an_order()
    changed = Arrived(record_of(order), Event("OrderChanged", order), None, None)
    assert (b"towpath.OrderChanged", b"towpath.OrderPlaced") == tuple(
        dict(arrived.headers)["ce_type"] for arrived in (changed, replace(changed, event=Event("OrderPlaced", order)))
    )


@pytest.mark.parametrize("trace_id", ["", "x", "0" * 32, "A" * 32])
def test_an_event_without_a_true_trace_id_gets_no_broken_traceparent(trace_id: str) -> None:
    order = an_order()
    order["meta"]["trace_id"] = trace_id
    assert "traceparent" not in dict(cloud_event(Event("OrderPlaced", order)))


# --- deduplication


@pytest.mark.parametrize("first", [an_order(), an_order(**BAD)], ids=["routed", "failed"])
def test_an_equal_digest_is_a_duplicate_whatever_became_of_the_first(place: Place, first: OrderPlaced) -> None:
    place.event(first)
    later = copy.deepcopy(first)
    later["meta"]["version"]["minor"] = 5
    assert [] == place.event(later)
    assert 1 == place.counts["dropped", "OrderPlaced", "duplicate"]


def test_what_lies_between_two_that_say_the_same_is_superseded_when_it_comes_last(place: Place) -> None:
    place.event(an_order(offset=1))
    place.event(an_order(offset=3))
    assert [] == place.event(an_order(offset=2, shipping_method="Air"))
    assert 1 == place.counts["dropped", "OrderPlaced", "superseded"]


def test_an_older_version_is_superseded(place: Place) -> None:
    place.event(an_order(offset=5))
    assert [] == place.event(an_order(offset=4, status="10"))
    assert 1 == place.counts["dropped", "OrderPlaced", "superseded"]


def test_an_order_that_only_got_further_is_no_change(place: Place) -> None:
    place.event(an_order())
    assert [] == place.event(an_order(offset=1, status="30", payment_status="40"))
    assert 1 == place.counts["dropped", "OrderPlaced", "duplicate"]


def test_orders_and_customers_of_one_id_do_not_shade_each_other(place: Place) -> None:
    order, customer = an_order(), a_customer()
    customer["meta"]["key"] = order["meta"]["key"]
    place.event(order)
    assert ["customers"] == topics(place.event(customer, "CustomerChanged"))


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["10", "20"])), max_size=12))
def test_routed_versions_strictly_rise_and_no_two_neighbours_are_equal(facts: list[tuple[int, str]]) -> None:
    place = Place([a_route()])
    routed = [
        (value["version"]["minor"], json.loads(value["document"])["OrderStatus"])
        for offset, status in facts
        for _, kind, value in place.event(an_order(offset=offset, status=status))
        if kind == "Delivery"
    ]
    minors = [minor for minor, _ in routed]
    assert sorted(set(minors)) == minors
    assert all(one != other for (_, one), (_, other) in itertools.pairwise(routed))


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["10", "20", "99"])), max_size=12))
def test_the_books_balance(facts: list[tuple[int, str]]) -> None:
    place = Place([a_route()])
    for offset, status in facts:
        place.event(an_order(offset=offset, status=status))
    assert len(facts) == place.counts.total()


# --- failures and corrections


def test_a_broken_rule_is_a_dead_letter_that_tells_the_whole_story(place: Place) -> None:
    order = an_order(**BAD)
    record = record_of(order)
    (letter,) = letters(place.take(record))
    assert ("dead", "processor", "shop", "processor", "received.orders", 1) == tuple(
        letter[name] for name in ("state", "hop", "connection", "group", "topic", "offset")
    )
    assert (record.key, record.value, [{"name": "ce_source", "value": b"shop"}]) == (letter["key"], letter["value"], letter["headers"])
    assert ("data", "total", "99.99", "orders", 1) == tuple(letter[name] for name in ("error_class", "field", "field_value", "flow", "attempts"))
    assert (order["meta"]["key"], order["meta"]["trace_id"], MAPPING.version) == tuple(
        letter[name] for name in ("business_key", "trace_id", "mapping_version")
    )
    assert (NOW, NOW) == (letter["first_at"], letter["last_at"])


def test_a_dead_letter_goes_to_its_source_connection_and_the_event_is_public_all_the_same(place: Place) -> None:
    assert ["dlq.shop", "orders"] == topics(place.event(an_order(**BAD)))


def test_a_correction_is_routed_and_resolves_the_dead_letter(place: Place) -> None:
    (letter,) = letters(place.event(an_order(**BAD)))
    found = place.event(an_order(offset=1))
    assert ["deliver.bng", "orders", "receipts"] == topics(found)
    assert [("resolved", letter["dead_letter_id"])] == receipts(found)


def test_a_correction_that_fails_as_well_leaves_its_own_dead_letter_open(place: Place) -> None:
    (first,) = letters(place.event(an_order(**BAD)))
    found = place.event(an_order(offset=1, total=Decimal("88.88")))
    (second,) = letters(found)
    assert [("resolved", first["dead_letter_id"])] == receipts(found)
    assert [("resolved", second["dead_letter_id"])] == receipts(place.event(an_order(offset=2)))


def test_one_flow_that_fails_does_not_hold_up_another(picky: Model) -> None:
    place = Place([a_route(), a_route("picky", "bng-2", picky)])
    found = place.event(an_order(status="40"))
    assert ["deliver.bng", "dlq.shop", "orders"] == topics(found)
    assert ["picky"] == [letter["flow"] for letter in letters(found)]


# --- replay


def test_a_replay_bypasses_dedupe_is_not_published_again_and_resolves_its_dead_letter(place: Place) -> None:
    (letter,) = letters(place.event(an_order(**BAD)))
    mended = {**letter, "value": CODEC.encode("OrderPlaced", an_order())}
    found = place.replay(mended)
    assert ["deliver.bng", "receipts"] == topics(found)
    assert [("resolved", letter["dead_letter_id"])] == receipts(found)


def test_a_replay_that_fails_again_keeps_the_dead_letter_open_and_counts_up(place: Place) -> None:
    (letter,) = letters(place.event(an_order(**BAD)))
    found = place.replay(letter)
    (again,) = letters(found)
    assert ["dlq.shop"] == topics(found)
    assert (letter["dead_letter_id"], 2, 1, NOW) == tuple(again[name] for name in ("dead_letter_id", "attempts", "replays", "first_at"))
    (third,) = letters(place.replay(again))
    assert (3, 2) == (third["attempts"], third["replays"])


def test_what_was_replayed_is_known_afterwards(place: Place) -> None:
    (letter,) = letters(place.event(an_order(**BAD)))
    place.replay({**letter, "value": CODEC.encode("OrderPlaced", an_order())})
    assert [] == place.event(an_order())
    assert 1 == place.counts["dropped", "OrderPlaced", "duplicate"]


def test_a_mended_order_is_routed_though_its_shop_has_said_the_same_again_meanwhile_and_what_lies_between_is_old_news(place: Place) -> None:
    (letter,) = letters(place.event(an_order(**BAD)))
    assert [] == place.event(an_order(offset=5, **BAD))
    found = place.replay({**letter, "value": CODEC.encode("OrderPlaced", an_order())})
    assert ["deliver.bng", "receipts"] == topics(found)
    assert [("resolved", letter["dead_letter_id"])] == receipts(found)
    assert [] == place.event(an_order(offset=3, total=Decimal("88.88")))


def test_a_replay_of_a_failed_order_after_its_correction_is_superseded(place: Place) -> None:
    (letter,) = letters(place.event(an_order(**BAD)))
    place.event(an_order(offset=1))
    before = dict(place.state)
    found = place.replay(letter)
    assert [("superseded", letter["dead_letter_id"])] == receipts(found)
    assert (["receipts"], before) == (topics(found), place.state)


def test_a_replay_of_an_old_order_neither_overtakes_nor_resolves_a_newer_one_that_failed(place: Place) -> None:
    (old,) = letters(place.event(an_order(**BAD)))
    (new,) = letters(place.event(an_order(offset=1, total=Decimal("88.88"))))
    found = place.replay({**old, "value": CODEC.encode("OrderPlaced", an_order())})
    assert [("superseded", old["dead_letter_id"])] == receipts(found)
    assert [("resolved", new["dead_letter_id"])] == receipts(place.event(an_order(offset=2)))


def test_a_replay_goes_to_the_flow_that_failed_and_to_no_other(picky: Model) -> None:
    place = Place([a_route(), a_route("picky", "bng-2", picky)])
    (letter,) = letters(place.event(an_order(status="40")))
    place.processor = Place([a_route(), a_route("picky", "bng-2")]).processor
    found = place.replay(letter)
    assert ["deliver.bng-2", "receipts"] == topics(found)
    assert [("resolved", letter["dead_letter_id"])] == receipts(found)


def test_a_replay_for_one_flow_leaves_the_dead_letter_of_another_open(picky: Model) -> None:
    place = Place([a_route(model=picky), a_route("picky", "bng-2", picky)])
    one, other = letters(place.event(an_order(status="40")))
    place.processor = Place([a_route(), a_route("picky", "bng-2", picky)]).processor
    assert [("resolved", one["dead_letter_id"])] == receipts(place.replay(one))
    (again,) = letters(place.replay(other))
    assert (other["dead_letter_id"], "picky") == (again["dead_letter_id"], again["flow"])
    assert [("resolved", other["dead_letter_id"])] == receipts(place.event(an_order(offset=1)))


def test_a_replay_for_a_flow_that_is_gone_stays_a_dead_letter(place: Place) -> None:
    (letter,) = letters(place.event(an_order(**BAD)))
    place.processor = Place([a_route("other")]).processor
    found = place.replay(letter)
    assert [(letter["dead_letter_id"], "flow")] == [(again["dead_letter_id"], again["field"]) for again in letters(found)]
    assert ["dlq.shop"] == topics(found)


def refused(delivery: Mapping[str, Any], headers: Headers = (), *, offset: int = 1) -> dict[str, Any]:
    """Return the dead letter of a delivery that its target refused."""
    record = Record("deliver.bng", 0, offset, 0.0, delivery["key"].encode(), CODEC.encode("Delivery", delivery), headers)
    output = Registrar(CODEC, "sink", "sink.bng").dead_letter(record, Failure("unknown SKU"), Subject("bng", delivery["key"]), NOW)[1]
    return CODEC.decode_as("DeadLetter", output.value)


def test_a_refused_delivery_is_mapped_anew_by_the_newest_mapping_for_its_flow_alone_and_says_by_which(place: Place, picky: Model) -> None:
    (_, _, delivery), _ = place.event(an_order())
    letter = refused(delivery)
    found = Place([a_route(model=picky), a_route("copy", "bng-2", picky)]).take(record_at(remapped_of(letter, CODEC)))
    assert MAPPING.version == delivery["mapping_version"] != picky.version
    assert [("orders", picky.version)] == [(value["flow"], value["mapping_version"]) for _, kind, value in found if kind == "Delivery"]
    assert ["deliver.bng"] == topics(found)  # its sink says what became of it: nothing is resolved so far


def test_a_refused_delivery_is_mapped_anew_though_its_shop_has_said_the_same_again_meanwhile(place: Place) -> None:
    (_, _, delivery), _ = place.event(an_order())
    letter = refused(delivery)
    assert [] == place.event(an_order(offset=5))
    found = place.take(record_at(remapped_of(letter, CODEC)))
    assert ["deliver.bng"] == topics(found)
    assert [] == place.event(an_order(offset=3, total=Decimal("88.88")))


def test_a_refused_delivery_that_the_newest_mapping_passes_over_is_resolved_where_it_is_mapped(place: Place, tmp_path: Path) -> None:
    (_, _, delivery), _ = place.event(an_order())
    letter = refused(delivery)
    content = json.loads((MAPPINGS / "nopcommerce-bng/order_placed.json").read_text(encoding="utf-8"))
    document = next(node for node in content["nodes"] if node["id"] == "document")["content"]
    document["expressions"] = [{"id": "x0", "key": "skip", "value": "'sold elsewhere'"}]
    path = tmp_path / "idle.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    found = Place([a_route(model=Model("idle", path))]).take(record_at(remapped_of(letter, CODEC)))
    assert (["receipts"], [("resolved", letter["dead_letter_id"])]) == (topics(found), receipts(found))


def test_what_is_refused_again_though_it_was_mapped_anew_stays_one_dead_letter_and_counts_up(place: Place) -> None:
    (_, _, delivery), _ = place.event(an_order())
    letter = first = refused(delivery)
    sent = remapped_of(first, CODEC)
    for offset in (2, 3):
        step = place.processor.process(record_at(remapped_of(letter, CODEC)), place.state.get)
        (sent,) = [output for output in step.outputs if output.topic == "deliver.bng"]
        letter = refused(CODEC.decode_as("Delivery", sent.value), sent.headers, offset=offset)
    assert (first["dead_letter_id"], 3, 2, NOW) == tuple(letter[name] for name in ("dead_letter_id", "attempts", "replays", "first_at"))
    assert ("sink.bng", "orders") == (letter["group"], Record("t", 0, 0, 0.0, None, None, sent.headers).header("towpath-flow"))


@pytest.mark.parametrize("how", ["the corrected order", "a replay", "a replay of what is outdated"])
def test_a_success_is_no_earlier_than_the_failure_that_it_ends_though_that_host_s_clock_was_ahead(place: Place, how: str) -> None:
    place.clock.stands_at = NOW + timedelta(minutes=15)
    (letter,) = letters(place.event(an_order(**BAD)))
    place.clock.stands_at = NOW
    if how == "the corrected order":
        ended = place.event(an_order(offset=1))
    elif how == "a replay":
        ended = place.replay({**letter, "value": CODEC.encode("OrderPlaced", an_order())})
    else:
        place.event(an_order(offset=1, total=Decimal("88.88")))
        ended = place.replay({**letter, "value": CODEC.encode("OrderPlaced", an_order())})
        assert [("superseded", letter["dead_letter_id"])] == receipts(ended)
    (receipt,) = [value for _, kind, value in ended if kind == "Receipt"]
    assert (letter["dead_letter_id"], letter["last_at"]) == (receipt["dead_letter_id"], receipt["at"])


def test_a_replay_meant_for_another_group_is_none_of_our_business(place: Place) -> None:
    (letter,) = letters(place.event(an_order(**BAD)))
    before = dict(place.state), dict(place.counts)
    assert [] == place.replay({**letter, "group": "sink.bng"})
    assert before == (place.state, place.counts)


FORGED: dict[str, dict[str, bytes]] = {
    "no time": {"towpath-first-at": b""},
    "a time before all times": {"towpath-first-at": b"0001-01-01T00:00:00+14:00"},
    "attempts that are no number": {"towpath-attempts": b"many"},
    "attempts beyond any record": {"towpath-attempts": b"9" * 30},
    "attempts of 5,000 digits": {"towpath-attempts": b"9" * 5000},
    "negative replays": {"towpath-replays": b"-1"},
    "bytes that are no text": {"towpath-attempts": b"\xff\xfe"},
    "a failure after all times": {"towpath-last-at": b"9999-12-31T23:59:59.999999+00:00"},
    "a failure at no time": {"towpath-last-at": b"soon"},
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=list(FORGED))
@pytest.mark.parametrize("order", [an_order(), an_order(**BAD)], ids=["good", "bad"])
def test_forged_replay_headers_are_no_replay(place: Place, order: OrderPlaced, forged: dict[str, bytes]) -> None:
    true = dict(Replay("letter", 1, NOW, 1, "processor").headers())
    record = record_of(order)
    plain = Place([a_route()]).take(record)
    found = place.take(record._replace(headers=[*record.headers, *(true | forged).items()]))
    assert topics(plain) == topics(found)
    assert [letter["dead_letter_id"] for letter in letters(plain)] == [letter["dead_letter_id"] for letter in letters(found)]


@given(st.dictionaries(st.sampled_from(["dead-letter", "attempts", "first-at", "last-at", "replays", "group", "flow"]), st.binary(max_size=30)))
def test_no_headers_stop_the_processor(headers: dict[str, bytes]) -> None:
    pairs = [(f"towpath-{name}", value) for name, value in headers.items()]
    for value in (CODEC.encode("OrderPlaced", an_order(**BAD)), b"poison"):
        Place([a_route()]).take(record_of(an_order())._replace(value=value, headers=pairs))


def test_replay_headers_come_back_as_they_were() -> None:
    replay = Replay("letter", 3, NOW, 2, "processor", "orders", failed_at="sink.bng", last_at=NOW)
    assert replay == Record("t", 0, 0, 0.0, None, None, replay.headers()).replay


# --- poison


@pytest.mark.parametrize(
    ("headers", "key", "expected"),
    [
        ([("ce_source", b"shop")], b"shop/order/1", "dlq.shop"),
        ([], b"shop/order/1", "dlq.shop"),
        ([], b"elsewhere/order/1", "dlq.unknown"),
        ([("ce_source", b"../../etc")], b"shop/order/1", "dlq.unknown"),
        ([("ce_source", b"\xff")], b"\xff", "dlq.unknown"),
        ([], None, "dlq.unknown"),
    ],
)
def test_unreadable_bytes_go_to_the_dead_letters_of_their_connection_or_of_none(
    place: Place, headers: list[tuple[str, bytes]], key: bytes | None, expected: str
) -> None:
    found = place.take(Record("received.orders", 2, 9, 0.0, key, b"\x00poison", headers))
    (letter,) = letters(found)
    assert [expected] == topics(found)
    assert (key, b"\x00poison", "value", {}) == (letter["key"], letter["value"], letter["field"], place.state)
    assert {("dead_letters", expected.removeprefix("dlq."), "dead", "data"): 1} == place.counts, "no label that a stranger chose"


NO_EVENT = Registrar(CODEC, "processor", "processor").receipt("applied", Subject(), NOW).value


@pytest.mark.parametrize("value", [None, b"", b"\x00" * 100, NO_EVENT], ids=["null", "empty", "zeros", "a receipt"])
def test_what_is_no_event_is_a_dead_letter(place: Place, value: bytes | None) -> None:
    assert ["dlq.shop"] == topics(place.take(Record("received.orders", 0, 0, 0.0, b"shop/order/1", value)))


def test_an_event_on_the_topic_of_another_aggregate_is_a_dead_letter(place: Place) -> None:
    (letter,) = letters(place.take(record_of(a_customer(), "CustomerChanged")._replace(topic="received.orders")))
    assert "CustomerChanged is no event of received.orders" == letter["reason"]


@given(st.binary(max_size=60), st.none() | st.binary(max_size=20))
def test_no_bytes_stop_the_processor(value: bytes, key: bytes | None) -> None:
    place = Place([a_route()])
    place.take(Record("received.orders", 0, 0, 0.0, key, value))
    place.take(Record("received.orders", 0, 0, 0.0, key, CODEC.by_name["OrderPlaced"].prefix + value))
    assert 2 == place.counts.total()


# --- purity


@pytest.mark.parametrize("order", [an_order(), an_order(**BAD), an_order(billing_address=an_address(lines=[]))], ids=["good", "bad", "bare"])
@pytest.mark.parametrize("seen", [None, Seen(Version(major=0, minor=0), "x", ("letter",))], ids=["first", "after a failure"])
def test_processing_changes_nothing_that_it_was_given_and_gives_the_same_twice(order: OrderPlaced, seen: Seen | None) -> None:
    route = replace(a_route(), options={"nested": {"list": [1]}})
    processor = Place([route]).processor
    record = record_of(order)
    state = {b"OrderPlaced|shop/order/1001": seen.dump()} if seen else {}
    given_ = copy.deepcopy((record, state, dict(route.options)))
    steps = [processor.process(record, state.get) for _ in range(2)]
    assert given_ == (record, state, dict(route.options))
    assert steps[0] == steps[1]


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**63 - 1), st.lists(st.text(max_size=5)))
def test_the_state_of_a_key_comes_back_as_it_was(major: int, minor: int, dead_letters: list[str]) -> None:
    seen = Seen(Version(major=major, minor=minor), "digest", tuple(dead_letters))
    assert seen == Seen.load(seen.dump())
    assert Seen.load(None) is None
