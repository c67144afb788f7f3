from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import pytest

from towpath.errors import DataError
from towpath.registry.compatibility import LEVELS, against, problems
from towpath.registry.schema import AvroSchema, parse


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - a type and attributes, as JSON has them
    return {"name": name, "type": kind, **more}


def record(*fields: dict[str, Any], name: str = "Order", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"type": "record", "name": name, "fields": list(fields), **more}


def decimal(precision: int, scale: int) -> dict[str, Any]:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


def timestamp(unit: str) -> dict[str, Any]:
    return {"type": "long", "logicalType": f"timestamp-{unit}"}


def schema(content: Any) -> AvroSchema:  # noqa: ANN401 - any JSON
    return parse(json.dumps(content))


NUMBER = field("number", "string")
LINE = field("sku", "string")
NESTED = record(NUMBER, field("lines", {"type": "array", "items": record(LINE, field("quantity", decimal(38, 6)), name="Line")}))


def nested(*fields: dict[str, Any]) -> dict[str, Any]:
    return record(NUMBER, field("lines", {"type": "array", "items": record(*fields, name="Line")}))


def enum(*symbols: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return field("state", {"type": "enum", "name": "State", "symbols": list(symbols), **more})


HARMLESS: dict[str, tuple[Any, Any]] = {
    "an optional field": (record(NUMBER), record(NUMBER, field("note", ["null", "string"], default=None))),
    "a field with a default": (record(NUMBER), record(NUMBER, field("note", "string", default=""))),
    "a better doc": (record(NUMBER), record({**NUMBER, "doc": "Worded better."}, doc="An order.")),
    "an optional field of a nested record": (NESTED, nested(LINE, field("quantity", decimal(38, 6)), field("note", "string", default=""))),
    "fields in another order": (record(NUMBER, LINE), record(LINE, NUMBER)),
    "a record that holds itself": (record(field("next", ["null", "Order"], default=None)), record(field("next", ["null", "Order"], default=None))),
    "a new symbol where either has a default": (record(enum("A", default="A")), record(enum("A", "B", default="A"))),
}

BREAKING: dict[str, tuple[Any, Any, str]] = {
    "a field without a default": (record(NUMBER), record(NUMBER, LINE), "field sku: it is missing there and has no default"),
    "a field that is gone": (record(NUMBER, LINE), record(NUMBER), "version 1 cannot read its records: field sku: it is missing there"),
    "a field that is renamed": (record(NUMBER), record(field("no", "string")), "field number: it is missing there"),
    "another type": (record(NUMBER), record(field("number", "int")), "field number: string cannot be read as int"),
    "a wider number": (
        record(field("n", "int")),
        record(field("n", "long")),
        "version 1 cannot read its records: field n: long cannot be read as int",
    ),
    "null no more": (record(field("n", ["null", "string"])), record(field("n", "string")), "field n: null is none of string"),
    "another scale": (
        record(field("n", decimal(38, 6))),
        record(field("n", decimal(38, 4))),
        "decimal(38, 6) would be taken for bytes as decimal(38, 4)",
    ),
    "a larger precision": (record(field("n", decimal(20, 6))), record(field("n", decimal(38, 6))), "field n: bytes as decimal(38, 6) would be taken"),
    "a decimal that is plain bytes": (record(field("n", decimal(20, 6))), record(field("n", "bytes")), "would be taken for bytes"),
    "a text for a decimal": (record(field("n", decimal(20, 6))), record(field("n", "string")), "decimal(20, 6) would be taken for string"),
    "milliseconds": (record(field("at", timestamp("micros"))), record(field("at", timestamp("millis"))), "long as timestamp-micros would be taken"),
    "milliseconds in a union": (
        record(field("at", ["null", timestamp("micros")], default=None)),
        record(field("at", ["null", timestamp("millis")], default=None)),
        "field at: long as timestamp-micros would be taken for long as timestamp-millis",
    ),
    "a scale in a nested record": (NESTED, nested(LINE, field("quantity", decimal(38, 2))), "field lines[].quantity: bytes as decimal(38, 6)"),
    "a scale in a map": (
        record(field("sums", {"type": "map", "values": decimal(38, 6)})),
        record(field("sums", {"type": "map", "values": decimal(38, 2)})),
        "field sums{}: bytes as decimal(38, 6)",
    ),
    "a nested field in a union": (
        record(field("to", ["null", record(NUMBER, name="To")], default=None)),
        record(field("to", ["null", record(NUMBER, LINE, name="To")], default=None)),
        "field to.sku: it is missing there",
    ),
    "a symbol that is gone": (record(enum("A", "B")), record(enum("A")), "field state: State cannot be read as State ({'B'})"),
    "another record": (record(NUMBER), record(NUMBER, name="Invoice"), "Order cannot be read as Invoice"),
    "a nested record of another name": (
        record(field("to", record(NUMBER, name="To"))),
        record(field("to", record(NUMBER, name="From"))),
        "field to: To cannot be read as From",
    ),
    "another size": (
        record(field("id", {"type": "fixed", "name": "Id", "size": 16})),
        record(field("id", {"type": "fixed", "name": "Id", "size": 8})),
        "field id: Id cannot be read as Id (expected: 16, found: 8)",
    ),
}


@pytest.mark.parametrize(("old", "new"), HARMLESS.values(), ids=list(HARMLESS))
def test_what_either_can_read_may_follow(old: Any, new: Any) -> None:  # noqa: ANN401
    assert [] == against("FULL_TRANSITIVE", schema(new), {1: schema(old)})


@pytest.mark.parametrize(("old", "new", "reason"), BREAKING.values(), ids=list(BREAKING))
def test_what_breaks_a_reader_is_refused_with_the_field(old: Any, new: Any, reason: str) -> None:  # noqa: ANN401
    assert reason in "\n".join(against("FULL_TRANSITIVE", schema(new), {1: schema(old)}))


READINGS: dict[str, tuple[Any, Any, Any]] = {
    name: (old, new, value)
    for (name, (old, new)), value in zip(
        HARMLESS.items(),
        [
            {"number": "1"},
            {"number": "1"},
            {"number": "1"},
            {"number": "1", "lines": []},
            {"number": "1", "sku": "A"},
            {"next": {"next": None}},
            {"state": "A"},
        ],
        strict=True,
    )
}


@pytest.mark.parametrize(("old", "new", "value"), READINGS.values(), ids=list(READINGS))
def test_what_the_checker_lets_pass_is_read_by_the_library_that_reads_our_records(old: Any, new: Any, value: Any) -> None:  # noqa: ANN401
    data = io.BytesIO()
    fastavro.schemaless_writer(data, fastavro.parse_schema(old, _write_hint=False), value)
    read = fastavro.schemaless_reader(io.BytesIO(data.getvalue()), fastavro.parse_schema(old), fastavro.parse_schema(new))
    assert isinstance(read, dict)
    assert value == {name: read[name] for name in value}


def test_every_earlier_version_counts_when_it_is_transitive_and_only_the_last_when_not() -> None:
    first, second, third = record(NUMBER, LINE), record(NUMBER, field("sku", "string", default="")), record(NUMBER)
    earlier = {1: schema(first), 2: schema(second)}
    assert [] == against("FULL", schema(third), earlier)
    assert ["version 1 cannot read its records: field sku: it is missing there and has no default here"] == against(
        "FULL_TRANSITIVE", schema(third), earlier
    )


@pytest.mark.parametrize(("level", "refused"), [(level, level.startswith(("BACKWARD", "FULL"))) for level in LEVELS])
def test_a_level_asks_for_the_direction_it_names(level: str, refused: bool) -> None:  # noqa: FBT001 - a parameter of a test
    assert refused == bool(against(level, schema(record(NUMBER, LINE)), {1: schema(record(NUMBER))}))


def test_an_alias_lets_a_reader_find_a_renamed_field() -> None:
    assert [] == problems(schema(record(field("no", "string", aliases=["number"]))), schema(record(NUMBER)))


BAD: dict[str, str] = {
    "nothing": "",
    "half of it": '{"type": "record"',
    "no JSON": "NaN",
    "a word": "order",
    "a name that nobody knows": '"Order"',
    "a number": "5",
    "null": "null",
    "no fields": '{"type": "record", "name": "Order"}',
    "a name with a space": '{"type": "record", "name": "an order", "fields": []}',
    "a default of another type": json.dumps(record(field("number", "string", default=5))),
    "a default that is no number": '{"type": "record", "name": "A", "fields": [{"name": "b", "type": "double", "default": NaN}]}',
    "a scale above the precision": json.dumps(record(field("n", decimal(2, 6)))),
    "a field twice": json.dumps(record(NUMBER, NUMBER)),
    "an abyss": "[" * 5_000 + "]" * 5_000,
    "an abyss of records": '{"type":"array","items":' * 300 + '"int"' + "}" * 300,
}


@pytest.mark.parametrize("text", BAD.values(), ids=list(BAD))
def test_what_is_no_schema_is_a_data_error_that_says_so(text: str) -> None:
    with pytest.raises(DataError, match="it is no Avro schema: ") as caught:
        parse(text)
    assert "schema" == caught.value.field


def test_the_deepest_schema_that_is_taken_can_be_compared() -> None:
    deep = '{"type":"array","items":' * 190 + '"int"' + "}" * 190
    assert [] == problems(parse(deep), parse(deep))
