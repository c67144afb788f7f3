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

from towpath.codec import HEADER, SCHEMAS, Codec
from towpath.testing.events import a_cancellation, a_change, a_customer, a_payment, a_product, a_shipment, a_status, a_stock, an_order

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
