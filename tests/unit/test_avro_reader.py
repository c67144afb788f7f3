"""A reader gives what fastavro gives, of every schema and of any bytes, or leaves them to it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.avro_reader import TROUBLE, reader_of
from towpath.avro_values import DECIMAL, MOST_AMOUNTS, amounts_of
from towpath.codec import HEADER, Codec, Head
from towpath.errors import DataError
from towpath.testing.events import an_order

CODEC = Codec()
NAMES = sorted(CODEC.by_name)
TEXTS = st.one_of(st.sampled_from(["", "EUR", "Zoë", "x" * 63, "x" * 64, "x" * 9000]), st.text(st.characters(exclude_categories=["Cs"]), max_size=5))
LONGS = st.one_of(st.integers(-70, 70), st.integers(-(2**63), 2**63 - 1))
MOMENTS = [datetime(2026, 11, 20, 9, 30, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)]
"""Times that often stand in a record twice."""
LEAVES: Mapping[str, st.SearchStrategy[Any]] = {
    "string": TEXTS,
    "long": LONGS,
    "int": st.one_of(st.integers(-70, 70), st.integers(-(2**31), 2**31 - 1)),
    "boolean": st.booleans(),
    "bytes": st.binary(max_size=70),
    "null": st.none(),
    DECIMAL: st.one_of(st.integers(0, 300).map(Decimal), st.decimals(-(10**31), 10**31, places=6), st.decimals(-(10**20), 10**20, places=2)),
    "timestamp-micros": st.sampled_from(MOMENTS) | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis wants them naive
}


class WithoutReaders(Codec):
    """The codec as it is where no reader is certain."""

    def _quickly(self, *_: object) -> None:
        return None


PLAIN = WithoutReaders()


def values(schema: Any, names: dict[str, Any]) -> st.SearchStrategy[Any]:  # noqa: ANN401 - any part of a schema
    """Return a strategy of what a schema allows."""
    if isinstance(schema, list):
        return st.one_of(*(values(part, names) for part in schema))
    if isinstance(schema, str):
        return values(names[schema], names) if schema in names else LEAVES[schema]
    if schema["type"] == "record":
        names[schema["name"]] = schema
        return st.fixed_dictionaries({field["name"]: values(field["type"], names) for field in schema["fields"]})
    if schema["type"] == "array":
        return st.lists(values(schema["items"], names), max_size=3)
    if schema["type"] == "map":
        return st.dictionaries(TEXTS, values(schema["values"], names), max_size=3)
    return LEAVES[schema.get("logicalType") or schema["type"]]


def outcome(codec: Codec, data: bytes, head: Head | None = None) -> tuple[str, str]:
    try:
        name, record = codec.decode(data, head)
    except DataError as error:
        return "refused", str(error)
    return name, repr(record)


@pytest.mark.parametrize("name", NAMES)
def test_every_schema_has_a_reader(name: str) -> None:
    assert reader_of(CODEC.by_name[name].parsed) is not None


def test_an_address_that_stands_twice_is_two_of_the_same() -> None:
    order: Any = an_order()
    for other in (order["billing_address"], {**order["billing_address"], "city": "Köln"}, {**order["billing_address"], "country": ""}, None):
        order["shipping_address"] = other
        found = CODEC.decode(CODEC.encode("OrderPlaced", order))[1]
        assert (found, found["shipping_address"] is found["billing_address"]) == (order, False)


RECORDS = st.sampled_from(NAMES).flatmap(lambda name: st.tuples(st.just(name), values(CODEC.by_name[name].parsed, {})))


def encoded(name: str, value: Mapping[str, Any]) -> bytes | None:
    try:
        return CODEC.encode(name, value)
    except DataError:
        return None  # a decimal of too many digits before the point


@given(RECORDS)
def test_any_record_is_read_alike_and_without_fastavro(record: tuple[str, dict[str, Any]]) -> None:
    data = encoded(*record)
    if data is not None:
        assert outcome(PLAIN, data) == outcome(CODEC, data)
        assert CODEC._quickly(CODEC.by_name[record[0]], data) is not None


@given(RECORDS, st.integers(0, 400), st.binary(max_size=12), st.integers(0, 12))
def test_any_bytes_put_in_or_taken_out_are_read_or_refused_alike(record: tuple[str, dict[str, Any]], at: int, put: bytes, taken: int) -> None:
    data = encoded(*record)
    if data is not None:
        at = HEADER.size + at % max(1, len(data) - HEADER.size)
        damaged = data[:at] + put + data[at + taken :]
        assert outcome(PLAIN, damaged) == outcome(CODEC, damaged)


@given(RECORDS, st.integers(0, 400), st.binary(max_size=12), st.integers(0, 12))
def test_what_is_decoded_behind_its_head_is_as_decoded_whole(record: tuple[str, dict[str, Any]], at: int, put: bytes, taken: int) -> None:
    data = encoded(*record)
    if data is not None:
        at = HEADER.size + at % max(1, len(data) - HEADER.size)
        for given_bytes in (data, data[:at] + put + data[at + taken :]):
            head = CODEC.peek(given_bytes)
            assert outcome(CODEC, given_bytes) == outcome(CODEC, given_bytes, head)
        head = CODEC.peek(data)
        assert ("meta" in record[1]) == (head is not None)
        assert head is None or (head.name, head.meta) == (record[0], CODEC.decode(data)[1]["meta"])


@pytest.mark.parametrize("data", [None, b"", b"\0", b"\1\2\3\4\5", b"\0\0\0\0\0" + b"x" * 50])
def test_what_is_no_record_of_ours_has_no_head(data: bytes | None) -> None:
    assert CODEC.peek(data) is None


def test_a_head_that_is_cut_off_is_none() -> None:
    data = CODEC.encode("OrderPlaced", an_order())
    head = CODEC.peek(data)
    assert head is not None
    end = head.places[-1]
    assert [CODEC.peek(data[:at]) for at in range(end)] == [None] * end


def by_both(schema: Any, data: bytes) -> tuple[object, object]:  # noqa: ANN401 - any schema
    parsed = fastavro.parse_schema(schema)
    read = reader_of(parsed)
    assert read is not None
    try:
        quick: object = read(data, 0)[0]
    except TROUBLE:
        quick = "unsure"
    return fastavro.schemaless_reader(io.BytesIO(data), parsed, None), quick


def a_record(kind: Any) -> dict[str, Any]:  # noqa: ANN401 - any type
    return {"type": "record", "name": "R", "fields": [{"name": "x", "type": kind}]}


def test_a_list_of_several_blocks_is_read_whole() -> None:
    numbers = {"type": "array", "items": "int"}
    assert ({"x": [1, 2, 3]}, {"x": [1, 2, 3]}) == by_both(a_record(numbers), b"\x02\x02\x04\x04\x06\x00")


def test_a_block_that_tells_its_size_is_left_to_fastavro() -> None:
    assert ({"x": [1, 2]}, "unsure") == by_both(a_record({"type": "array", "items": "int"}), b"\x03\x04\x02\x04\x00")


@pytest.mark.parametrize("number", [b"\xff" * 9 + b"\x01", b"\xff" * 9 + b"\x02", b"\xff" * 9 + b"\x7f", b"\x80" * 9 + b"\x01", b"\x80\x00"])
def test_a_number_of_ten_bytes_is_read_as_fastavro_does_or_left_to_it(number: bytes) -> None:
    by_fastavro, quick = by_both(a_record("long"), number)
    assert quick in (by_fastavro, "unsure")


@pytest.mark.parametrize(
    "kind",
    [
        "double", "float", ["int", "string"], ["null", "int", "string"], {"type": "enum", "name": "E", "symbols": ["A"]},
        {"type": "fixed", "name": "F", "size": 4}, {"type": "int", "logicalType": "date"}, {"type": "string", "logicalType": "uuid"},
        {"type": "long", "logicalType": "timestamp-millis"}, {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
        ["null", "R"],
    ],
)  # fmt: skip
def test_a_schema_with_another_type_has_no_reader(kind: object) -> None:
    assert reader_of(fastavro.parse_schema(a_record(kind))) is None


def test_the_amounts_that_are_kept_are_bounded() -> None:
    kept = amounts_of(38, 6)
    for number in range(MOST_AMOUNTS + 5):
        assert Decimal(number).scaleb(-6) == kept[number.to_bytes(4, "big")]
    assert len(kept) <= MOST_AMOUNTS
