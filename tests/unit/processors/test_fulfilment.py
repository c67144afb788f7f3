"""What somebody else ships of an order: what is still to leave is known whichever parcel is told of first, last or twice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from processors.flow_processor import FlowProcessor
from processors.fulfilment import Fulfilment, fulfilment_key
from processors.mapping import load_model
from processors.routing import Route
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.delivery.deadletters import Registrar
from towpath.events import Event, seal
from towpath.records import Output, Record
from towpath.testing.events import a_cancellation, a_meta, a_request, a_shipment

FLOWS: dict[str, tuple[str, str, str, str, dict[str, Any]]] = {
    "requests": ("erp", "threepl", "ShipmentRequested", "brightpearl-threepl/shipment_requested", {"warehouses": ["2"]}),
    "notes": ("threepl", "erp", "ShipmentConfirmed", "threepl-brightpearl/shipment_confirmed", {"event_owner_id": 9}),
    "parcels": ("threepl", "shop", "ShipmentConfirmed", "threepl-nopcommerce/shipment_confirmed", {}),
    "cancellations": ("shop", "threepl", "OrderCancelled", "nopcommerce-threepl/order_cancelled", {"warehouses": ["2"]}),
}
NOTE = "12447605"
LINES = [{"line_no": 1, "sku": "TP-0001", "quantity": Decimal(2)}, {"line_no": 2, "sku": "TP-0002", "quantity": Decimal(1)}]


class Worker:
    """A processor with its state in memory; `told` returns the deliveries by their flow."""

    def __init__(self) -> None:
        self.state: dict[bytes, bytes] = {}
        routes = [Route(name, source, to, event, load_model(model), "BP-", options) for name, (source, to, event, model, options) in FLOWS.items()]
        registrar = Registrar(default_codec(), "processor", "processor", frozenset({"shop", "erp", "threepl"}))
        self.processor = FlowProcessor(routes, registrar, SystemClock())
        self.offset = 0

    def told(self, kind: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - any event
        self.offset += 1
        record = Record("received.orders", 0, self.offset, 1.0, value["meta"]["key"].encode(), default_codec().encode(kind, value))
        step = self.processor.process(record, self.state.get)
        self.state |= step.writes
        return dict(_delivered(output) for output in step.outputs if output.topic.startswith(("deliver.", "dlq.")))


def _delivered(output: Output) -> tuple[str, Any]:
    _, value = default_codec().decode(output.value)
    if output.topic.startswith("dlq."):
        return value["flow"], value["field"]
    return value["flow"], (value["operation"], orjson.loads(value["document"]), value["effect_key"], output.key)


def parcel(number: int, sku: str, quantity: int, **more: Any) -> Any:  # noqa: ANN401 - any field of the schema
    meta = a_meta("shop/order/1001", connection="threepl", major=number)
    lines = [{"line_no": 0, "sku": sku, "quantity": Decimal(quantity)}]
    changes = {"meta": meta, "tracking_number": f"1Z{number}", "lines": lines, "request_id": NOTE, **more}
    return seal(Event("ShipmentConfirmed", {**a_shipment(shipment=f"evt-{number}"), **changes})).value


@pytest.fixture
def worker() -> Worker:
    worker = Worker()
    worker.told("ShipmentRequested", a_request(shipment=NOTE, lines=LINES))
    return worker


def test_a_note_is_requested_once_and_one_of_another_warehouse_never() -> None:
    worker = Worker()
    (found,) = worker.told("ShipmentRequested", a_request(shipment=NOTE)).values()
    assert ("create_request", "BP-12447605", f"shop/order/1001/request/{NOTE}", b"shop/order/1001") == (
        found[0],
        found[1]["reference"],
        *found[2:],
    )
    assert {} == worker.told("ShipmentRequested", a_request(shipment=NOTE))
    assert {} == worker.told("ShipmentRequested", a_request(shipment="12447606", location="3"))


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_the_last_parcel_told_of_ships_the_note_with_all_their_numbers(worker: Worker, order: tuple[int, ...]) -> None:
    parcels = {1: parcel(1, "TP-0001", 1), 2: parcel(2, "tp-0001 ", 1), 3: parcel(3, "TP-0002", 1)}
    *before, last = [worker.told("ShipmentConfirmed", parcels[number])["notes"] for number in order]
    assert [("track_note", f"threepl/shipment/evt-{number}") for number in order[:-1]] == [(found[0], found[2]) for found in before]
    assert ("ship_note", [f"1Z{number}" for number in order]) == (last[0], last[1]["TrackingNumbers"])
    assert {b"shop/order/1001"} == {found[3] for found in (*before, last)}, "one lane: what is tracked is not written after what is shipped"


def test_a_parcel_that_is_told_of_twice_counts_once(worker: Worker) -> None:
    worker.told("ShipmentConfirmed", parcel(1, "TP-0001", 2))
    assert {} == worker.told("ShipmentConfirmed", parcel(1, "TP-0001", 2))
    changed = parcel(1, "TP-0001", 1, meta=a_meta("shop/order/1001", connection="threepl", major=9))
    assert "track_note" == worker.told("ShipmentConfirmed", changed)["notes"][0]
    assert "track_note" == worker.told("ShipmentConfirmed", parcel(2, "TP-0002", 1))["notes"][0], "one of TP-0001 is still to leave"


def test_what_nobody_asked_for_is_a_dead_letter_of_the_note_and_the_shop_says_itself_what_it_lacks(worker: Worker) -> None:
    found = worker.told("ShipmentConfirmed", parcel(1, "TP-0009", 1))
    assert ("lines.sku", "create_shipment") == (found["notes"], found["parcels"][0])
    assert "request_id" == worker.told("ShipmentConfirmed", parcel(2, "TP-0001", 1, request_id="7"))["notes"]


def test_a_cancellation_takes_back_what_was_asked_for_and_nothing_is_asked_for_after_it(worker: Worker) -> None:
    found = worker.told("OrderCancelled", a_cancellation())
    key = f"shop/order/1001/request/{NOTE}"
    assert ("cancel_requests", {"Requests": [{"$ref": "request", "key": key}]}) == found["cancellations"][:2]
    assert {"requests": "shipment_id"} == worker.told("ShipmentRequested", a_request(shipment="12447606"))


def test_a_cancellation_of_an_order_of_which_nothing_was_asked_for_asks_for_nothing() -> None:
    assert {} == Worker().told("OrderCancelled", a_cancellation())


def test_the_state_comes_back_as_it_was(worker: Worker) -> None:
    worker.told("ShipmentConfirmed", parcel(1, "TP-0001", 2))
    data = worker.state[fulfilment_key("shop/order/1001")]
    assert data == Fulfilment.load(data).dump()
