"""What comes again is known by its head, and an order's content by the digest that it came with."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson

from processors.flow_processor import FlowProcessor
from processors.mapping import load_model
from processors.orders import Order, state_key
from processors.port import Step
from processors.routing import Route
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.delivery.deadletters import Registrar
from towpath.events import MOVING, Event, Version, digest, seal
from towpath.records import Record
from towpath.testing.events import an_order

CODEC = default_codec()
ROUTES = [
    Route("orders", "shop", "bng", "OrderPlaced", load_model("nopcommerce-bng/order_placed"), "TP-"),
    Route("changes", "shop", "bng", "OrderChanged", load_model("nopcommerce-bng/order_changed"), "TP-"),
]


class Place:
    """A processor with its state."""

    def __init__(self) -> None:
        self.state: dict[bytes, bytes] = {}
        self._processor = FlowProcessor(ROUTES, Registrar(CODEC, "processor", "processor", frozenset({"shop", "bng"})), SystemClock())

    def take(self, record: Record) -> Step:
        """Process a record and keep its state."""
        step = self._processor.process(record, self.state.get)
        self.state |= step.writes
        return step

    def kinds(self, record: Record) -> list[str]:
        """Return what kinds of event the record made public, or how it was dropped."""
        step = self.take(record)
        public = [CODEC.decode(output.value)[0] for output in step.outputs if output.topic == "orders"]
        return public or [counted.labels.get("reason", "") for counted in step.counts]


def placed(version: int = 1, **changes: Any) -> Record:  # noqa: ANN401 - fields of an order
    order = an_order(**changes)
    order["meta"]["version"] = Version(major=version, minor=0)
    seal(Event("OrderPlaced", order))
    return Record("received.orders", 0, version, 0.0, order["meta"]["key"].encode(), CODEC.encode("OrderPlaced", order))


def test_a_repeat_is_dropped_by_its_head_alone() -> None:
    place, record = Place(), placed()
    head = CODEC.peek(record.value)
    assert head is not None
    assert place.kinds(record) == ["OrderPlaced"]
    assert place.kinds(record) == ["duplicate"]
    assert place.kinds(record._replace(value=(record.value or b"")[: head.places[-1]])) == [
        "duplicate"
    ]  # its content was done, whatever these bytes lack


def test_a_repeat_on_a_topic_of_something_else_is_a_dead_letter() -> None:
    place, record = Place(), placed()
    place.take(record)
    assert [output.topic for output in place.take(record._replace(topic="received.stock")).outputs] == ["dlq.shop"]


def test_the_same_content_at_a_later_version_moves_the_version_that_counts() -> None:
    place = Place()
    assert [place.kinds(placed(version)) for version in (1, 3)] == [["OrderPlaced"], ["duplicate"]]
    assert place.kinds(placed(2, customer_company="Late")) == ["superseded"]


def test_a_change_that_is_taken_back_is_a_change() -> None:
    place = Place()
    company = {"customer_company": "Other"}
    assert [place.kinds(record) for record in (placed(1), placed(2, **company), placed(3))] == [["OrderPlaced"], ["OrderChanged"], ["OrderChanged"]]
    assert place.kinds(placed(3)) == ["duplicate"]


def test_an_order_that_only_got_further_is_no_change_before_and_after_a_change() -> None:
    place = Place()
    kinds = [place.kinds(record) for record in (placed(1, status="20"), placed(2, status="30"), placed(3, status="30", customer_company="Other"))]
    assert kinds == [["OrderPlaced"], ["duplicate"], ["OrderChanged"]]
    assert place.kinds(placed(4, status="40", customer_company="Other")) == ["duplicate"]


def test_an_order_that_is_kept_as_before_is_known_again() -> None:
    place, order = Place(), an_order()
    place.take(placed(1))
    key = state_key(order["meta"]["key"])
    kept = Order.load(place.state[key])
    assert kept is not None
    place.state[key] = kept._replace(content=digest(order, MOVING)).dump()
    assert place.kinds(placed(2, status="30")) == ["duplicate"]
    assert place.kinds(placed(3, customer_company="Other")) == ["OrderChanged"]


def renamed(name: str, *, quantity: int = 0) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = [{**line, "name": name} for line in an_order()["lines"]]
    lines[0] |= {"quantity": Decimal(quantity)} if quantity else {}
    return lines


def test_a_product_that_is_called_otherwise_by_now_is_no_change_of_its_orders() -> None:
    place = Place()
    assert [place.kinds(placed(1)), place.kinds(placed(2, lines=renamed("Mug, new")))] == [["OrderPlaced"], ["duplicate"]]
    assert place.kinds(placed(3, lines=renamed("Mug, new", quantity=9))) == ["OrderChanged"]
    assert place.kinds(placed(4, lines=renamed("Mug, newer", quantity=9), status="40")) == ["duplicate"]


def test_an_order_that_an_earlier_release_kept_has_no_names_and_is_known_again() -> None:
    place = Place()
    place.take(placed(1))
    key = state_key(an_order()["meta"]["key"])
    place.state[key] = orjson.dumps(orjson.loads(place.state[key])[:6])
    assert place.kinds(placed(2, status="30")) == ["duplicate"]
    assert place.kinds(placed(3, lines=renamed("Mug, new"))) == ["OrderChanged"]
