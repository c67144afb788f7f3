"""What is written by a schema's own function is what fastavro writes, and nothing is written that fastavro refuses."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.avro_form import form_of
from towpath.avro_writer import WRONG, writer_of
from towpath.codec import Codec
from towpath.errors import DataError
from towpath.testing.events import an_order

CODEC = Codec()
DELIVERY: Any = fastavro.parse_schema(CODEC.by_name["Delivery"].parsed)
TEXTS = st.one_of(st.sampled_from(["", "Zoë", "x" * 63, "x" * 64, "x" * 8191, "x" * 8192, "x" * 70_000]), st.text(max_size=6))
NUMBERS = st.one_of(st.integers(-70, 70), st.integers(-(2**56), 2**56), st.integers(-(2**63) - 1, 2**63))
TIMES = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.sampled_from([UTC, timezone(timedelta(hours=5))]))  # noqa: DTZ001 - hypothesis wants them naive
STRINGS = [field["name"] for field in DELIVERY["fields"] if field["type"] == "string"]


def deliveries() -> st.SearchStrategy[dict[str, Any]]:
    version = st.fixed_dictionaries({"major": NUMBERS, "minor": NUMBERS})
    others = {"occurred_at": TIMES, "received_at": TIMES, "version": version, "related": st.dictionaries(TEXTS, TEXTS, max_size=2)}
    return st.fixed_dictionaries({**dict.fromkeys(STRINGS, TEXTS), **others, "event": st.binary(max_size=9)})


def by_fastavro(schema: Any, value: Any) -> bytes | None:  # noqa: ANN401 - any
    buffer = io.BytesIO()
    try:
        fastavro.schemaless_writer(buffer, schema, value, strict=True)
    except (*WRONG, OverflowError):
        return None
    return buffer.getvalue()


def quickly(schema: Any, value: Any) -> bytes | None:  # noqa: ANN401 - any
    write, parts = writer_of(schema), list[bytes]()
    assert write is not None
    try:
        write(value, parts)
    except WRONG:
        return None
    return b"".join(parts)


@given(deliveries())
def test_a_delivery_is_written_alike_or_by_neither(delivery: dict[str, Any]) -> None:
    assert quickly(DELIVERY, delivery) == by_fastavro(DELIVERY, delivery)


@given(
    deliveries(),
    st.sampled_from([*STRINGS, "version", "related", "event", "occurred_at"]),
    st.one_of(st.none(), st.booleans(), st.floats(), TEXTS, st.binary()),
)
def test_what_is_written_of_a_wrong_value_is_what_fastavro_writes(delivery: dict[str, Any], name: str, wrong: object) -> None:
    found = quickly(DELIVERY, {**delivery, name: wrong})
    assert found is None or found == by_fastavro(DELIVERY, {**delivery, name: wrong})


@pytest.mark.parametrize("changes", [{"more": "x"}, {"event": "no bytes"}, {"occurred_at": datetime(2026, 1, 1)}, {"flow": "\udc00"}])  # noqa: DTZ001 - a naive one
def test_what_does_not_fit_is_left_to_fastavro_and_told_by_it(changes: dict[str, Any]) -> None:
    fits = {**dict.fromkeys(STRINGS, "x"), "occurred_at": datetime.now(UTC), "received_at": datetime.now(UTC), "version": {"major": 1, "minor": 0}}
    fits |= {"related": {}, "event": b""}
    assert quickly(DELIVERY, fits) is not None
    assert quickly(DELIVERY, {**fits, **changes}) is None


def test_a_field_that_is_missing_is_named() -> None:
    with pytest.raises(DataError, match="Delivery"):
        CODEC.encode("Delivery", dict.fromkeys(STRINGS, "x"))


@pytest.mark.parametrize(
    "kind", ["double", ["null", "string"], {"type": "array", "items": "string"}, {"type": "long", "logicalType": "timestamp-millis"}]
)
def test_a_schema_with_another_type_has_no_writer(kind: object) -> None:
    assert writer_of(fastavro.parse_schema({"type": "record", "name": "R", "fields": [{"name": "x", "type": kind}]})) is None


ORDER: Any = an_order(1001)
ORDER_BYTES = CODEC.encode("OrderPlaced", ORDER)
HEAD: Any = CODEC.by_name["OrderPlaced"].parsed["fields"][0]["type"]
COPIED = ("version", "event_id", "key", "trace_id", "occurred_at", "received_at")
KNOWN = {"flow": "Zoë's", "source": "x" * 70, "target": "", "mapping": "m", "mapping_version": "1", "event_type": "OrderPlaced"}


@given(deliveries())
def test_a_form_writes_what_the_codec_writes(delivery: dict[str, Any]) -> None:
    whole = {**delivery, **KNOWN, **{name: ORDER["meta"][name] for name in COPIED}}
    head, made = CODEC.peek(ORDER_BYTES), form_of(DELIVERY, KNOWN, ("document", "related"), HEAD)
    assert head is not None
    assert made is not None
    texts = {"document": delivery["document"].encode(), "related": {key: text.encode() for key, text in delivery["related"].items()}}
    parts = [CODEC.by_name["Delivery"].prefix]
    made[0](parts, ORDER_BYTES, head.places, *({**whole, **texts}[name] for name in made[1]))
    assert b"".join(parts) == CODEC.encode("Delivery", whole)


@pytest.mark.parametrize(
    "wrong", [{"document": "no bytes"}, {"related": {"x": "no bytes"}}, {"event": None}, {"effect_key": "\udc00"}, {"operation": 7}]
)
def test_a_form_takes_only_what_fits(wrong: dict[str, Any]) -> None:
    head, made = CODEC.peek(ORDER_BYTES), form_of(DELIVERY, KNOWN, ("document", "related"), HEAD)
    assert head is not None
    assert made is not None
    fits: dict[str, Any] = {**dict.fromkeys(made[1], "x"), "document": b"{}", "related": {}, "event": b""}
    made[0]([], ORDER_BYTES, head.places, *fits.values())
    with pytest.raises(WRONG):
        made[0]([], ORDER_BYTES, head.places, *{**fits, **wrong}.values())


def test_a_field_of_another_type_than_the_heads_is_given() -> None:
    of_a_number = {**HEAD, "fields": [{**field, "type": "int"} if field["name"] == "key" else field for field in HEAD["fields"]]}
    made = form_of(DELIVERY, KNOWN, (), of_a_number)
    assert made is not None
    assert ["delivery_id", "operation", "effect_key", "key", "document", "related", "event"] == made[1]
