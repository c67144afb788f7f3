"""Records that another version of Towpath wrote: their schema is asked for by its id, and they are read as ours."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import fastavro
import pytest

from towpath.codec import HEADER, Codec, id_of
from towpath.errors import DataError, RetryableError
from towpath.testing.events import an_order

PLAIN = Codec()
CONTENT: dict[str, Any] = json.loads(PLAIN.by_name["OrderPlaced"].text)
NOTE = {"name": "note", "type": ["null", "string"], "default": None}


class Texts:
    """A registry of a few schemas; an error among them is raised."""

    def __init__(self, *contents: Any, error: Exception | None = None) -> None:  # noqa: ANN401 - any JSON
        self.texts: Mapping[int, str] = {id_of(content): json.dumps(content) for content in contents}
        self.error, self.asked = error, 0

    def text(self, schema_id: int) -> str | None:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.texts.get(schema_id)


def changed(*fields: dict[str, Any], without: str = "", doc: str = "") -> dict[str, Any]:
    content = copy.deepcopy(CONTENT)
    content["fields"] = [field for field in content["fields"] if field["name"] != without] + list(fields)
    return content | ({"doc": doc} if doc else {})


def written(content: dict[str, Any], value: Mapping[str, Any]) -> bytes:
    data = io.BytesIO()
    data.write(HEADER.pack(0, id_of(content)))
    fastavro.schemaless_writer(data, fastavro.parse_schema(copy.deepcopy(content)), value)
    return data.getvalue()


def test_a_field_that_a_newer_version_added_is_passed_over_and_nothing_else_is_lost() -> None:
    newer = changed(NOTE)
    data = written(newer, {**an_order(), "note": "later"})
    assert ("OrderPlaced", an_order()) == Codec(registry=Texts(newer)).decode(data)


def test_a_field_that_an_older_version_did_not_have_gets_its_default() -> None:
    older = changed(without="custom_fields")
    data = written(older, {name: value for name, value in an_order().items() if name != "custom_fields"})
    assert ("OrderPlaced", {**an_order(), "custom_fields": {}}) == Codec(registry=Texts(older)).decode(data)


def test_a_default_that_a_reader_fills_in_stands_in_no_other_record() -> None:
    older = changed(without="custom_fields")
    data = written(older, {name: value for name, value in an_order().items() if name != "custom_fields"})
    codec = Codec(registry=Texts(older))
    codec.decode(data)[1]["custom_fields"]["leaked"] = "yes"
    assert {} == codec.decode(data)[1]["custom_fields"]


def test_a_nested_record_of_another_version_is_read_as_ours() -> None:
    newer = json.loads(json.dumps(CONTENT).replace('"name": "line_no"', '"name": "gift", "type": "boolean", "default": false}, {"name": "line_no"'))
    order = an_order()
    data = written(newer, {**order, "lines": [{**line, "gift": True} for line in order["lines"]]})
    assert order == Codec(registry=Texts(newer)).decode(data)[1]


def test_an_amount_keeps_its_value_whatever_scale_it_was_written_with() -> None:
    finer = json.loads(json.dumps(CONTENT).replace('"scale": 6', '"scale": 4'))
    assert Decimal("34.56") == Codec(registry=Texts(finer)).decode(written(finer, an_order()))[1]["total"]


def test_a_schema_is_asked_for_once() -> None:
    newer = changed(NOTE)
    registry = Texts(newer)
    codec = Codec(registry=registry)
    for _ in range(3):
        codec.decode(written(newer, {**an_order(), "note": None}))
    assert 1 == registry.asked


def test_a_schema_of_ours_is_never_asked_for() -> None:
    registry = Texts(error=AssertionError())
    codec = Codec(registry=registry)
    assert an_order() == codec.decode(codec.encode("OrderPlaced", an_order()))[1]


def test_a_registry_that_is_away_makes_the_record_wait() -> None:
    with pytest.raises(RetryableError, match="away"):
        Codec(registry=Texts(error=RetryableError("away"))).decode(written(changed(NOTE), {**an_order(), "note": None}))


def test_an_id_that_the_registry_does_not_know_is_a_data_error() -> None:
    with pytest.raises(DataError, match="not an Avro record of ours: first byte 0, schema id 42"):
        Codec(registry=Texts()).decode(HEADER.pack(0, 42) + b"abc")


def test_another_first_byte_asks_nobody() -> None:
    with pytest.raises(DataError, match="first byte 1"):
        Codec(registry=Texts(error=AssertionError())).decode(b"\x01" + HEADER.pack(0, 42)[1:] + b"abc")


FOREIGN: dict[str, Any] = {
    "a record that is no event": {"type": "record", "name": "Invoice", "namespace": "other", "fields": []},
    "a text": "string",
    "a union": ["null", CONTENT],
    "no schema": {"name": "OrderPlaced"},
    "a number": 5,
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=list(FOREIGN))
def test_a_schema_of_something_else_is_a_data_error(content: Any) -> None:  # noqa: ANN401 - any JSON
    with pytest.raises(DataError, match="is none of ours"):
        Codec(registry=Texts(content)).decode(HEADER.pack(0, id_of(content)) + b"abc")


BREAKING: dict[str, tuple[str, str]] = {"string": ("34.56", "does not fit ours: encoding OrderPlaced"), "boolean": ("", "broken OrderPlaced record")}


@pytest.mark.parametrize("kind", BREAKING)
def test_a_record_that_does_not_resolve_is_a_data_error_that_names_the_type(kind: str) -> None:
    breaking, (total, reason) = changed({"name": "total", "type": kind}, without="total"), BREAKING[kind]
    with pytest.raises(DataError, match=reason) as caught:
        Codec(registry=Texts(breaking)).decode(written(breaking, {**an_order(), "total": total}))
    assert "value" == caught.value.field


def test_ids_that_a_registry_gives_are_written_and_those_from_before_are_read_too() -> None:
    codec, before = Codec(), PLAIN.encode("OrderPlaced", an_order())
    codec.adopt({"OrderPlaced": 7})
    after = codec.encode("OrderPlaced", an_order())
    assert (HEADER.pack(0, 7), before[HEADER.size :]) == (after[: HEADER.size], after[HEADER.size :])
    assert codec.decode(before) == codec.decode(after)
