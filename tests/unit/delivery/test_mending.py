"""A record becomes text that a person can change and comes back exactly, and what is wrong in the text is named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.codec import default_codec
from towpath.delivery.mending import mended, readable, text_of, with_values
from towpath.errors import DataError
from towpath.testing.events import a_cancellation, a_change, a_customer, a_payment, a_product, a_shipment, a_status, a_stock, an_order

CODEC = default_codec()
EVENTS: Mapping[str, Any] = {
    "OrderPlaced": an_order(),
    "OrderChanged": a_change(),
    "OrderStatusChanged": a_status(),
    "OrderCancelled": a_cancellation(),
    "ShipmentConfirmed": a_shipment(),
    "PaymentReceived": a_payment(),
    "StockChanged": a_stock(),
    "CustomerChanged": a_customer(),
    "ProductChanged": a_product(price=None),
}
ORDER = CODEC.encode("OrderPlaced", an_order())


@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_that_nobody_changed_comes_back_byte_for_byte(kind: str) -> None:
    value = CODEC.encode(kind, EVENTS[kind])
    assert value == mended(CODEC, value, text_of(CODEC, value))


def test_what_was_changed_is_changed_and_nothing_else_not_even_the_digest() -> None:
    text = with_values(text_of(CODEC, ORDER), ["lines[1].sku=A-8", "lines[1].quantity=3", "customer_email=zoe@new.example"])
    before, (_, after) = an_order(), CODEC.decode(mended(CODEC, ORDER, text))
    line = {**before["lines"][1], "sku": "A-8", "quantity": Decimal(3)}
    assert {**before, "lines": [before["lines"][0], line], "customer_email": "zoe@new.example"} == after


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"total": "much"}, "OrderPlaced.total"),
        ({"placed_at": "soon"}, "OrderPlaced.placed_at"),
        ({"lines": [{"sku": 7, "quantity": []}]}, "OrderPlaced.lines[0].quantity"),
        ({"lines": 7}, "OrderPlaced.lines"),
        ({"nonsense": 1}, "OrderPlaced.nonsense"),
        ({"order_number": 1001}, "OrderPlaced"),
        ({"custom_fields": None}, "OrderPlaced.custom_fields"),
    ],
)
def test_what_does_not_fit_is_named(change: Mapping[str, Any], field: str) -> None:
    with pytest.raises(DataError) as caught:
        mended(CODEC, ORDER, json.dumps({**json.loads(text_of(CODEC, ORDER)), **change}))
    assert field == caught.value.field


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "[" * 100_000, '"\ud800"'])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        mended(CODEC, ORDER, text)


def test_where_json_is_broken_is_told() -> None:
    with pytest.raises(DataError, match="line 2 column 4"):
        mended(CODEC, ORDER, '{"total": "1.00",\n   lines: []}')


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"<html>", b"\0\0\0\0\7x", b"\0{}"])
def test_what_nobody_can_read_is_none_and_cannot_be_mended(value: bytes | None) -> None:
    assert readable(CODEC, value) is None
    with pytest.raises(DataError):
        text_of(CODEC, value)


def test_the_text_of_a_webhook_stays_as_it_was_written_but_for_what_is_set() -> None:
    body = b'{"id": 1001, "total": 39.9000000000000000001, "items": [{"sku": "A-7", "price": 1.10}]}'
    assert body == mended(CODEC, body, text_of(CODEC, body))
    changed = with_values(text_of(CODEC, body), ["items[0].sku=A-8", "id=1002"])
    assert '"total": 39.9000000000000000001' in changed
    assert '"price": 1.10' in changed
    assert ("A-8", 1002) == ((found := json.loads(mended(CODEC, body, changed)))["items"][0]["sku"], found["id"])


def test_a_number_is_set_as_a_number_and_a_text_as_a_text() -> None:
    text = '{"rate": 1.5, "code": "007", "none": null}'
    changed = json.loads(with_values(text, ["rate=2.25", "code=008", "none=true"]))
    assert {"rate": 2.25, "code": "008", "none": True} == changed


@given(st.text(max_size=30), st.text(max_size=10))
def test_any_assignment_changes_the_text_or_is_refused(path: str, value: str) -> None:
    before = '{"a": {"b": [1, "x"]}}'
    try:
        after = with_values(before, [f"{path}={value}"])
    except DataError as error:
        assert "--set" in str(error)  # noqa: PT017 - or it changes the text
    else:
        json.loads(after)
