"""The 3PL as a source: every parcel is an event, whatever else a webhook says is a data error that names the field."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from producers.base import Fetch, Provenance
from producers.threepl import ThreeplSource
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.config import Connection
from towpath.errors import DataError, RetryableError
from towpath.events import Event
from towpath.http import ApiClient
from towpath.metrics import Metrics
from towpath.systems.base import connect
from towpath.systems.threepl import key_of

PROVENANCE = Provenance("threepl", datetime(2026, 11, 20, tzinfo=UTC), 5, "1" * 32)
PARCELS = [
    {"trackingNumber": " 1Z1 ", "carrier": "UPS", "lines": [{"sku": "TP-0001", "quantity": 2}]},
    {"trackingNumber": "", "carrier": "", "lines": [{"sku": "TP-0001", "quantity": 1}, {"sku": "TP-0002", "quantity": 1}]},
]
DATA = {"requestId": "FR-1", "reference": "BP-12447605", "shippedAt": "2026-11-20T10:00:00Z", "parcels": PARCELS}
HOOK = {"type": "shipment.confirmed", "id": "evt_1", "occurredAt": "2026-11-20T10:00:01Z", "data": DATA}
SOURCE = ThreeplSource()


class Known:
    """The ledger's word on requests: what FR-1 was written for, or nothing."""

    def __init__(self, key: str | None = "shop/order/1001/request/12447605") -> None:
        self._key = key

    async def key_of(self, entity: str, external_id: str) -> str | None:
        assert ("request", "FR-1") == (entity, external_id)
        return self._key

    def customer_of(self, reference: str) -> str | None:
        raise AssertionError(reference)

    def is_ours(self, order_reference: str) -> bool:
        return order_reference.startswith("BP-")


def client() -> ApiClient:
    return connect("threepl", Connection.model_validate({"system": "threepl", "url": "http://127.0.0.1:1"}), SystemClock(), Metrics())


async def fetched(hook: Any, known: Known | None = None) -> str | None:  # noqa: ANN401 - any JSON
    wanted = SOURCE.wanted(json.dumps(hook).encode())
    assert isinstance(wanted, Fetch)
    return await SOURCE.fetch(client(), wanted, known or Known())


async def events(hook: Any) -> list[Event]:  # noqa: ANN401 - any JSON
    text = await fetched(hook)
    assert text is not None
    return SOURCE.decode("shipment", text.encode(), PROVENANCE)


async def test_each_parcel_is_an_event_of_its_order_and_the_same_in_every_copy() -> None:
    one, other = await events(HOOK)
    assert ("evt_1-1", "1Z1", "shop/order/1001", "12447605", "FR-1") == (
        *(one.value[name] for name in ("shipment_id", "tracking_number")),
        one.meta["key"],
        *(one.value[name] for name in ("request_id", "order_id")),
    )
    assert [("TP-0001", Decimal(1)), ("TP-0002", Decimal(1))] == [(line["sku"], line["quantity"]) for line in other.value["lines"]]
    assert ("evt_1-2", "", "") == (other.value["shipment_id"], other.value["tracking_number"], other.value["carrier"])
    assert [event.meta["event_id"] for event in await events(HOOK)] == [one.meta["event_id"], other.meta["event_id"]]
    assert one.meta["event_id"] != other.meta["event_id"]
    for event in (one, other):
        assert (event.type, event.value) == default_codec().decode(default_codec().encode(event.type, event.value))


async def test_a_request_of_somebody_else_concerns_no_flow_and_one_of_ours_that_is_not_known_yet_waits() -> None:
    assert await fetched({**HOOK, "data": {**DATA, "reference": "OTHER-1"}}, Known(None)) is None
    with pytest.raises(RetryableError, match="not known"):
        await fetched(HOOK, Known(None))


def test_another_type_concerns_no_flow_and_a_webhook_is_about_its_own_id() -> None:
    assert SOURCE.wanted(json.dumps({**HOOK, "type": "inbound.received"}).encode()) is None
    assert ("shipment/evt_1", None) == (key_of(json.dumps(HOOK).encode()), key_of(b"[1"))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": "../1"}, "id"),
        ({"id": "e" * 101}, "id"),
        ({"type": 7}, "type"),
        ({"data": {**DATA, "requestId": "a b"}}, "data.requestId"),
        ({"data": {**DATA, "parcels": []}}, "parcels"),
        ({"data": {**DATA, "parcels": ["x"]}}, "parcels[0]"),
        ({"data": {**DATA, "shippedAt": "yesterday"}}, "shippedAt"),
        ({"data": {**DATA, "parcels": [{**PARCELS[0], "lines": []}]}}, "parcels[0].lines"),
        ({"data": {**DATA, "parcels": [{**PARCELS[0], "trackingNumber": None}]}}, "parcels[0].trackingNumber"),
        ({"data": {**DATA, "parcels": [{**PARCELS[0], "lines": [{"sku": " ", "quantity": 1}]}]}}, "parcels[0].lines[0].sku"),
        *(
            ({"data": {**DATA, "parcels": [{**PARCELS[0], "lines": [{"sku": "A", "quantity": quantity}]}]}}, "parcels[0].lines[0].quantity")
            for quantity in (0, -1, 1.5, True, "2", 10**30, None)
        ),
    ],
)
async def test_rubbish_is_a_data_error_that_names_the_field(change: Any, field: str) -> None:  # noqa: ANN401 - any JSON
    with pytest.raises(DataError) as caught:
        await events({**HOOK, **change})
    assert field == caught.value.field
