"""FULL compatibility: what is added to a schema is optional, so old readers read new data and new readers old data."""

from __future__ import annotations

import copy
import io
import json
from pathlib import Path
from typing import Any

import fastavro
import fastavro.schema
import pytest

from towpath.codec import HEADER, SCHEMAS, Codec, default_codec
from towpath.registry.catalogue import reference
from towpath.registry.history import breaks, record, shapes
from towpath.registry.schema import parse
from towpath.registry.subjects import subjects
from towpath.testing.events import a_cancellation, a_change, a_customer, a_payment, a_product, a_shipment, a_status, a_stock, an_order
from towpath.topics import load_topics

VALUES: dict[str, Any] = {
    "OrderPlaced": an_order(),
    "OrderChanged": a_change(),
    "OrderStatusChanged": a_status(),
    "OrderCancelled": a_cancellation(),
    "ShipmentConfirmed": a_shipment(),
    "PaymentReceived": a_payment(),
    "StockChanged": a_stock(),
    "CustomerChanged": a_customer(),
    "ProductChanged": a_product(),
}
NOTE = {"name": "note", "type": ["null", "string"], "default": None, "doc": "Added later."}


def inlined(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = fastavro.schema.load_schema(str(SCHEMAS / f"towpath.{name}.avsc"), _write_hint=False)  # type: ignore[assignment]
    return schema


def grown(name: str) -> dict[str, Any]:
    schema = copy.deepcopy(inlined(name))
    schema["fields"].append(NOTE)
    return schema


def read(data: bytes, writer: dict[str, Any], reader: dict[str, Any]) -> Any:  # noqa: ANN401 - a record
    return fastavro.schemaless_reader(io.BytesIO(data), copy.deepcopy(writer), copy.deepcopy(reader))


@pytest.mark.parametrize("name", sorted(VALUES))
def test_a_reader_with_one_more_optional_field_reads_old_data(name: str) -> None:
    data = Codec().encode(name, VALUES[name])[HEADER.size :]
    assert {**VALUES[name], "note": None} == read(data, inlined(name), grown(name))


@pytest.mark.parametrize("name", sorted(VALUES))
def test_a_reader_without_it_reads_new_data(name: str) -> None:
    new = io.BytesIO()
    fastavro.schemaless_writer(new, grown(name), {**VALUES[name], "note": "hello"})
    assert VALUES[name] == read(new.getvalue(), grown(name), inlined(name))


def copied(folder: Path) -> Path:
    for path in SCHEMAS.glob("*.avsc"):
        (folder / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    return folder


def changed(folder: Path, schema_name: str, **changes: Any) -> Path:  # noqa: ANN401 - attributes of a field
    path = copied(folder) / f"towpath.{schema_name}.avsc"
    schema = json.loads(path.read_text(encoding="utf-8"))
    schema["fields"][-1].update(changes)
    path.write_text(json.dumps(schema), encoding="utf-8")
    return folder


def test_a_better_doc_or_a_mark_of_personal_data_keeps_the_id_so_that_stored_records_stay_readable(tmp_path: Path) -> None:
    codec = Codec(changed(tmp_path, "OrderPlaced", doc="Worded better.", pii=True))
    assert Codec().by_name["OrderPlaced"].id == codec.by_name["OrderPlaced"].id


def test_another_shape_has_another_id(tmp_path: Path) -> None:
    codec = Codec(changed(tmp_path, "OrderPlaced", name="custom_fields_2"))
    assert Codec().by_name["OrderPlaced"].id != codec.by_name["OrderPlaced"].id


def test_another_scale_has_another_id(tmp_path: Path) -> None:
    path = copied(tmp_path) / "towpath.OrderLine.avsc"
    path.write_text(path.read_text(encoding="utf-8").replace('"scale": 6', '"scale": 4'), encoding="utf-8")
    assert Codec().by_name["OrderLine"].id != Codec(tmp_path).by_name["OrderLine"].id


def test_two_codecs_of_the_same_files_agree_on_every_id(tmp_path: Path) -> None:
    ids = {name: schema.id for name, schema in Codec().by_name.items()}
    assert ids == {name: schema.id for name, schema in Codec(copied(tmp_path)).by_name.items()}


def test_every_schema_reads_what_was_released_and_is_read_by_it() -> None:
    assert [] == breaks(default_codec())


def test_every_record_of_a_topic_has_a_history() -> None:
    assert set(subjects(default_codec(), load_topics()).values()) == set(shapes())


BREAKING: dict[str, tuple[str, dict[str, Any], str]] = {
    "another type": ("StockChanged", {"type": "string", "default": ""}, "it cannot read records of version 1: field custom_fields: map cannot"),
    "of a nested record": ("OrderLine", {"type": "int", "default": 0}, "field lines[]."),
    "a new field without a default": ("OrderPlaced", {"name": "note"}, "it cannot read records of version 1: field note: it is missing there"),
}


@pytest.mark.parametrize(("name", "changes", "reason"), BREAKING.values(), ids=list(BREAKING))
def test_a_breaking_change_is_told_by_its_field(tmp_path: Path, name: str, changes: dict[str, Any], reason: str) -> None:
    folder = changed(tmp_path, name, **changes)
    path = folder / f"towpath.{name}.avsc"
    schema = json.loads(path.read_text(encoding="utf-8"))
    if "default" not in changes:
        schema["fields"][-1].pop("default", None)
    path.write_text(json.dumps(schema), encoding="utf-8")
    assert reason in "\n".join(breaks(Codec(folder)))


def test_a_record_that_is_gone_is_told(tmp_path: Path) -> None:
    (copied(tmp_path) / "towpath.StockHold.avsc").unlink()
    assert ["StockHold: it is gone, and records of it may be there; keep its schema"] == breaks(Codec(tmp_path))


def test_a_shape_is_recorded_once(tmp_path: Path) -> None:
    folder = changed(tmp_path, "StockHold", doc="Worded better.")
    assert len(shapes()) == len(record(folder))
    assert [] == record(folder)
    path = folder / "towpath.StockHold.avsc"
    schema = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(schema | {"fields": [*schema["fields"], NOTE]}), encoding="utf-8")
    assert (["StockHold"], []) == (record(folder), breaks(Codec(folder), folder))
    assert 2 == len(shapes(folder)["StockHold"])


@pytest.mark.parametrize("name", sorted(default_codec().by_name))
def test_every_schema_is_one_for_apaches_library_too(name: str) -> None:
    assert f"towpath.{name}" == getattr(parse(default_codec().by_name[name].text).parsed, "fullname", "")


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.avsc")), ids=lambda path: path.name)
def test_no_amount_or_time_has_a_default_of_its_own(path: Path) -> None:
    """A reader fills a default in as JSON has it: for a decimal that is a text."""
    fields = [field for field in json.loads(path.read_text(encoding="utf-8"))["fields"] if "logicalType" in json.dumps(field["type"])]
    assert [] == [field["name"] for field in fields if field.get("default") not in (None, [], {})]


def test_the_page_of_events_is_what_the_schemas_say() -> None:
    page = SCHEMAS.parent / "docs" / "events.md"
    assert page.read_text(encoding="utf-8") == reference(), "run: python -m towpath.registry.catalogue > docs/events.md"
