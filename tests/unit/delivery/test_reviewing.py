"""An answer to whether a customer is one who is there already, as the delivery that is sent again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from towpath.codec import default_codec
from towpath.delivery.reviewing import decided
from towpath.errors import DataError
from towpath.testing.events import PLACED_AT, a_customer

CODEC = default_codec()
TEXTS = ("delivery_id", "flow", "source", "target", "event_id", "trace_id", "mapping", "mapping_version", "key")


def a_delivery(**related: Any) -> bytes:  # noqa: ANN401 - documents
    times = {"occurred_at": PLACED_AT, "received_at": PLACED_AT, "version": {"major": 1, "minor": 0}}
    what = {"operation": "put_customer", "effect_key": "k", "event_type": "CustomerChanged", "document": "{}"}
    event = CODEC.encode("CustomerChanged", a_customer())
    texts = {name: json.dumps(document) for name, document in related.items()}
    return CODEC.encode("Delivery", {**dict.fromkeys(TEXTS, "x"), **times, **what, "related": texts, "event": event})


@pytest.mark.parametrize(("candidate", "match"), [("C1", {"Match": "C1"}), ("", {"Match": {"Not": ["C1", "C2"]}})])
def test_who_is_meant_stands_in_the_place_of_the_question(candidate: str, match: dict[str, object]) -> None:
    before = a_delivery(customer={"Email": "zoe@shop.example", "Match": {"Confidence": 0.8}})
    after = CODEC.decode_as("Delivery", decided(CODEC, before, candidate, ["C2", "C1"]))
    assert {"Email": "zoe@shop.example", **match} == json.loads(after["related"]["customer"])
    assert {**CODEC.decode_as("Delivery", before), "related": after["related"]} == after


@pytest.mark.parametrize("related", [{}, {"customer": {"Email": "zoe@shop.example"}}, {"customer": {"Match": "C1"}}])
def test_a_delivery_that_asks_nothing_is_refused(related: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        decided(CODEC, a_delivery(**related), "C1")


def test_what_is_no_delivery_is_refused() -> None:
    with pytest.raises(DataError):
        decided(CODEC, b"not Avro", "C1")
