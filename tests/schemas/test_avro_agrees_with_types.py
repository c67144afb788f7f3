"""The .avsc files, the TypedDicts and the topics say the same, and say it in full."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from towpath import events
from towpath.codec import SCHEMAS
from towpath.topics import load_topics

FILES = {path.name.removeprefix("towpath.").removesuffix(".avsc"): json.loads(path.read_text()) for path in sorted(SCHEMAS.glob("towpath.*.avsc"))}
SHAPES = {name: shape for name, shape in vars(events).items() if typing.is_typeddict(shape)}
PLAIN: Mapping[str, Any] = {"string": str, "int": int, "long": int, "boolean": bool, "bytes": bytes}
LOGICAL: Mapping[str, Any] = {"timestamp-micros": datetime, "decimal": Decimal}
PERSONAL = ("email", "phone", "first_name", "last_name", "company", "city", "postcode", "region")


def python_type(avro: Any) -> Any:  # noqa: ANN401 - any part of a schema, any type
    """Return the Python type that a field of this Avro type has."""
    if isinstance(avro, list):
        assert "null" == avro[0], "an optional field defaults to null, so null comes first"
        return python_type(avro[1]) | None
    if isinstance(avro, str):
        return PLAIN.get(avro) or SHAPES[avro.removeprefix("towpath.")]
    if "logicalType" in avro:
        return LOGICAL[avro["logicalType"]]
    if avro["type"] == "array":
        return types.GenericAlias(list, (python_type(avro["items"]),))
    return types.GenericAlias(dict, (str, python_type(avro["values"])))


def records(schema: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any part of a schema
    """Yield every record of a file, the nested ones too."""
    if isinstance(schema, dict):
        if schema.get("type") == "record":
            yield schema
        for part in schema.values():
            yield from records(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from records(part)


FIELDS = {
    f"{name}.{record['name']}.{field['name']}": (record["name"], field)
    for name, schema in FILES.items()
    for record in records(schema)
    for field in record["fields"]
}


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_a_typed_dict_has_the_fields_of_its_schema_in_their_order_and_types(name: str) -> None:
    expected = [(field["name"], python_type(field["type"])) for field in FILES[name]["fields"]]
    assert expected == list(typing.get_type_hints(SHAPES[name]).items())


def test_every_event_that_is_known_has_a_schema_and_a_shape_and_stands_in_its_aggregate() -> None:
    declared = {event: aggregate for aggregate, found in load_topics().aggregates.items() for event in found}
    assert set() == set(events.AGGREGATES) - set(FILES)
    assert set() == set(events.AGGREGATES) - set(SHAPES)
    assert dict(events.AGGREGATES) == {event: declared[event] for event in events.AGGREGATES}


@pytest.mark.parametrize("event", sorted(events.AGGREGATES))
def test_every_event_carries_meta_first_and_custom_fields_last(event: str) -> None:
    fields = [field["name"] for field in FILES[event]["fields"]]
    assert ("meta", "custom_fields") == (fields[0], fields[-1])


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_every_field_says_what_it_is(field: str) -> None:
    assert FIELDS[field][1]["doc"].endswith(".")


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_schema_says_what_it_is_and_is_named_as_its_file(name: str) -> None:
    assert ("towpath", name, True) == (FILES[name]["namespace"], FILES[name]["name"], FILES[name]["doc"].endswith("."))


@pytest.mark.parametrize("field", sorted(name for name, (_, field) in FIELDS.items() if field["name"].endswith(PERSONAL)))
def test_every_field_of_personal_data_is_marked(field: str) -> None:
    assert FIELDS[field][1]["pii"] is True


@pytest.mark.parametrize("field", ["DeadLetter.DeadLetter.value", "DeadLetter.DeadLetter.field_value", "Delivery.Delivery.document",
                                   "Delivery.Delivery.related", "Delivery.Delivery.event", "Address.Address.lines"])  # fmt: skip
def test_what_carries_a_whole_record_or_a_street_is_marked_as_personal(field: str) -> None:
    assert FIELDS[field][1]["pii"] is True


@pytest.mark.parametrize("field", sorted(name for name, (_, field) in FIELDS.items() if "decimal" in json.dumps(field["type"])))
def test_every_amount_and_quantity_has_the_same_precision_and_scale(field: str) -> None:
    amount, kind = {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 6}, FIELDS[field][1]["type"]
    assert kind in (amount, ["null", amount])


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.avsc")), ids=lambda path: path.name)
def test_no_schema_knows_a_float(path: Path) -> None:
    assert [] == [kind for kind in ("float", "double") if f'"{kind}"' in path.read_text()]
