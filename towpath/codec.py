"""Avro in the Confluent wire format: a zero byte, a 4-byte schema id, the encoded record.

Until a registry assigns ids, a schema's id is the first 31 bits of the SHA-256 of its inlined JSON without docs, so that the schema files
alone are the source of ids, two processes with the same files always agree, and a better wording orphans no stored record.

Decimals are read and written here and not by fastavro: it takes minutes for one forged to a megabyte, and never checks the precision.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, DecimalException
from pathlib import Path
from typing import Any

import fastavro
import fastavro.read
import fastavro.schema
import fastavro.write

from towpath.errors import DataError

MAGIC = 0
HEADER = struct.Struct(">bI")
SCHEMAS = Path(__file__).resolve().parent.parent / "schemas"
DECIMAL = "towpath-decimal"
"""How the parsed schemas name Avro's `decimal`; the files keep the standard name."""
PRECISION = 38
LONGEST_DECIMAL = 16
WIDE = Context(prec=PRECISION)
ABOUT = frozenset({"doc", "pii"})
"""Attributes that say nothing of the bytes."""


@dataclass(frozen=True, slots=True)
class Schema:
    """One event schema, parsed and inlined: `name` without its namespace, `id` as it stands in the wire format."""

    name: str
    id: int
    parsed: Any
    prefix: bytes


class Codec:
    """Encodes and decodes every record type whose schema lies in a folder (default: the distribution's own `schemas/`)."""

    def __init__(self, folder: Path = SCHEMAS) -> None:
        fastavro.read.LOGICAL_READERS[f"bytes-{DECIMAL}"] = _read_decimal
        fastavro.write.LOGICAL_WRITERS[f"bytes-{DECIMAL}"] = _write_decimal
        schemas = [_load(path) for path in sorted(folder.glob("towpath.*.avsc"))]
        self.by_name: Mapping[str, Schema] = {schema.name: schema for schema in schemas}
        self._by_id: Mapping[int, Schema] = {schema.id: schema for schema in schemas}
        if len(self._by_id) != len(schemas):
            message = f"two schemas in {folder} have the same content"
            raise ValueError(message)

    def encode(self, name: str, value: Mapping[str, Any]) -> bytes:
        """Return `value` in wire format; raises DataError naming the type when it does not fit the schema."""
        schema = self.by_name[name]
        buffer = io.BytesIO()
        buffer.write(schema.prefix)
        try:
            fastavro.schemaless_writer(buffer, schema.parsed, value, strict=True)
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError, DecimalException) as error:
            message = f"encoding {name}: {error}"
            raise DataError(message, field=name) from error
        return buffer.getvalue()

    def decode(self, data: bytes | None) -> tuple[str, dict[str, Any]]:
        """Return (type name, record); raises DataError with field `value` when the bytes are not a known Avro record, whole."""
        if data is None or len(data) < HEADER.size:
            message = f"not an Avro record: {0 if data is None else len(data)} bytes, fewer than the 5-byte header"
            raise DataError(message, field="value")
        magic, schema_id = HEADER.unpack_from(data)
        schema = self._by_id.get(schema_id)
        if magic != MAGIC or schema is None:
            message = f"not an Avro record of ours: first byte {magic}, schema id {schema_id}"
            raise DataError(message, field="value", value=data[:16].hex())
        buffer = io.BytesIO(data)
        buffer.seek(HEADER.size)
        try:
            record = fastavro.schemaless_reader(buffer, schema.parsed, None)
        except Exception as error:  # fastavro raises many kinds on broken bytes, MemoryError-like ones among them
            message = f"broken {schema.name} record: {type(error).__name__}: {error}"
            raise DataError(message, field="value") from error
        if buffer.tell() != len(data) or not isinstance(record, dict):
            message = f"broken {schema.name} record: {len(data) - buffer.tell()} bytes after its end"
            raise DataError(message, field="value")
        return schema.name, record

    def decode_as(self, name: str, data: bytes | None) -> dict[str, Any]:
        """Return the record when it is of type `name`; raises DataError otherwise."""
        actual, record = self.decode(data)
        if actual != name:
            message = f"expected {name}, found {actual}"
            raise DataError(message, field="value", value=actual)
        return record


def _load(path: Path) -> Schema:
    inlined = _bare(fastavro.schema.load_schema(str(path), _write_hint=False))
    text = json.dumps(inlined, sort_keys=True)
    schema_id = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
    name = path.name.removeprefix("towpath.").removesuffix(".avsc")
    own = json.loads(text.replace('"logicalType": "decimal"', f'"logicalType": "{DECIMAL}"'))
    return Schema(name, schema_id, fastavro.parse_schema(own), HEADER.pack(MAGIC, schema_id))


def _bare(schema: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Return the schema without what says nothing of the bytes; a default of that name cannot stand in a list or record of ours."""
    if isinstance(schema, dict):
        return {name: _bare(part) for name, part in schema.items() if name not in ABOUT}
    return [_bare(part) for part in schema] if isinstance(schema, list) else schema


def _read_decimal(data: bytes, schema: Any, _reader: Any = None) -> Decimal:  # noqa: ANN401 - fastavro's own signature
    unscaled = int.from_bytes(data[: LONGEST_DECIMAL + 1], "big", signed=True)
    if len(data) > LONGEST_DECIMAL or abs(unscaled) >= 10 ** schema["precision"]:
        raise ValueError(f"a decimal of {len(data)} bytes has more than {schema['precision']} digits")
    return WIDE.scaleb(Decimal(unscaled), -schema["scale"])


def _write_decimal(value: Any, schema: Any) -> bytes:  # noqa: ANN401 - fastavro's own signature
    if not isinstance(value, Decimal) or not value.is_finite():
        raise TypeError(f"{value!r} is no finite Decimal")
    sign, digits, exponent = value.as_tuple()
    if len(digits) + int(exponent) + schema["scale"] > schema["precision"]:
        raise ValueError(f"{value:E} has more than {schema['precision'] - schema['scale']} digits before the point")
    scaled = WIDE.scaleb(value, schema["scale"])
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{value:E} has more than {schema['scale']} decimal places")
    unscaled = int(scaled)
    return unscaled.to_bytes((unscaled + sign).bit_length() // 8 + 1, "big", signed=True)


@functools.cache
def default_codec() -> Codec:
    """Return the codec over the distribution's own schemas, read once a process."""
    return Codec()
