"""Avro in the Confluent wire format: a zero byte, a 4-byte schema id, the encoded record.

A schema's id is the first 31 bits of the SHA-256 of its inlined JSON without docs, so that the schema files alone are the source of ids, two
processes with the same files always agree, nobody has to ask before it writes, and a better wording orphans no stored record. A registry of
others gives ids of its own, which are then taken over. A record that another version of Towpath wrote has a schema that no file here holds:
it is asked for by its id, once, and the record is read as the schema of here wants it.

Decimals are read and written here and not by fastavro: it takes minutes for one forged to a megabyte, and never checks the precision.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Context, Decimal, DecimalException
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import fastavro
import fastavro.read
import fastavro.schema
import fastavro.write

from towpath.avro_reader import TROUBLE, HeadReader, Reader, RestReader, head_reader_of, reader_of, rest_reader_of
from towpath.avro_values import DECIMAL, LONGEST_DECIMAL
from towpath.avro_writer import WRONG, Writer, writer_of
from towpath.errors import DataError

MAGIC = 0
NAMESPACE = "towpath"
HEADER = struct.Struct(">bI")
SCHEMAS = Path(__file__).resolve().parent.parent / "schemas"
PRECISION = 38
WIDE = Context(prec=PRECISION)
META = "meta"
"""The first field of every event."""
ABOUT = frozenset({"doc", "pii"})
"""Attributes that say nothing of the bytes."""


@dataclass(frozen=True, slots=True)
class Schema:
    """One schema, parsed and inlined: `name` without its namespace, `id` as it stands in the wire format.

    `reader` is what a record of it is read as: None for the schema itself. `text` is its JSON, docs and all.
    """

    name: str
    id: int
    parsed: Any
    prefix: bytes
    text: str = ""
    reader: Any = None


class Head(NamedTuple):
    """What stands before all else in an event: its type and its meta; `rest` reads what follows.

    `places` are where the fields of the meta begin in the event's bytes, and where the last one ends.
    """

    name: str
    meta: Any
    places: tuple[int, ...]
    rest: RestReader


class Registry(Protocol):
    """Where schemas are asked for that no file here holds."""

    def text(self, schema_id: int) -> str | None:
        """Return the JSON of a schema, None where there is none of this id; raises RetryableError while that cannot be told."""
        ...


class Codec:
    """Encodes and decodes every record type whose schema lies in a folder (default: the distribution's own `schemas/`).

    With a registry it also decodes what was written with another version of such a schema.
    """

    def __init__(self, folder: Path = SCHEMAS, registry: Registry | None = None) -> None:
        fastavro.read.LOGICAL_READERS[f"bytes-{DECIMAL}"] = _read_decimal
        fastavro.write.LOGICAL_WRITERS[f"bytes-{DECIMAL}"] = _write_decimal
        schemas = [_load(path) for path in sorted(folder.glob("towpath.*.avsc"))]
        self.by_name: Mapping[str, Schema] = {schema.name: schema for schema in schemas}
        self._by_id: dict[int, Schema] = {schema.id: schema for schema in schemas}
        self._readers: dict[int, Reader | None] = {}
        self._peekers: dict[bytes, tuple[str, HeadReader, RestReader] | None] = {}
        self._writers: dict[str, Writer | None] = {}
        self._registry = registry
        if len(self._by_id) != len(schemas):
            message = f"two schemas in {folder} have the same content"
            raise ValueError(message)

    def adopt(self, ids: Mapping[str, int]) -> None:
        """Write records with these ids from here on, by the schema's name; records with the ids from before are read as well."""
        adopted = [replace(self.by_name[name], id=given, prefix=HEADER.pack(MAGIC, given)) for name, given in ids.items()]
        self.by_name = {**self.by_name, **{schema.name: schema for schema in adopted}}
        self._by_id |= {schema.id: schema for schema in adopted}

    def encode(self, name: str, value: Mapping[str, Any]) -> bytes:
        """Return `value` in wire format; raises DataError naming the type when it does not fit the schema."""
        schema = self.by_name[name]
        if (quick := self._written(schema, value)) is not None:
            return quick
        buffer = io.BytesIO()
        buffer.write(schema.prefix)
        try:
            fastavro.schemaless_writer(buffer, schema.parsed, value, strict=True)
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError, DecimalException) as error:
            message = f"encoding {name}: {error}"
            raise DataError(message, field=name) from error
        return buffer.getvalue()

    def _written(self, schema: Schema, value: Mapping[str, Any]) -> bytes | None:
        """Return the record as the writer of its schema has it, None where fastavro must be asked."""
        if schema.name not in self._writers:
            self._writers[schema.name] = writer_of(schema.parsed)
        write, parts = self._writers[schema.name], [schema.prefix]
        if write is None:
            return None
        try:
            write(value, parts)
        except WRONG:
            return None
        return b"".join(parts)

    def peek(self, data: bytes | None) -> Head | None:
        """Return the head of an event, whatever its rest is worth; None where the whole of it has to be decoded to tell."""
        if data is None:
            return None
        prefix = data[: HEADER.size]
        peeker = self._peekers[prefix] if prefix in self._peekers else self._peeker(prefix)
        if peeker is None:
            return None
        name, head, rest = peeker
        try:
            meta, places = head(data, HEADER.size)
        except TROUBLE:
            return None
        return Head(name, meta, places, rest) if places[-1] <= len(data) else None

    def _peeker(self, prefix: bytes) -> tuple[str, HeadReader, RestReader] | None:
        """Return the name of the schema that a record begins with and what reads its meta and its rest.

        None for a schema that does not begin with a meta, or is not our own.
        """
        schema = self._by_id.get(HEADER.unpack(prefix)[1]) if len(prefix) == HEADER.size and prefix[0] == MAGIC else None
        if schema is None:
            return None
        first = schema.parsed["fields"][0]
        head = head_reader_of(first["type"]) if first["name"] == META and schema.reader is None else None
        rest = rest_reader_of(schema.parsed) if head is not None else None
        self._peekers[prefix] = None if head is None or rest is None else (schema.name, head, rest)
        return self._peekers[prefix]

    def decode(self, data: bytes | None, head: Head | None = None) -> tuple[str, dict[str, Any]]:
        """Return (type name, record); what `peek` gave of it need not be read again.

        Raises:
            DataError: the bytes are not a known Avro record, whole; its field is `value`.
            RetryableError: the record's schema is not known here, and the registry does not answer yet.
        """
        if head is not None and data is not None and (rest := _rest(data, head)) is not None:
            return head.name, rest
        if data is None or len(data) < HEADER.size:
            message = f"not an Avro record: {0 if data is None else len(data)} bytes, fewer than the 5-byte header"
            raise DataError(message, field="value")
        magic, schema_id = HEADER.unpack_from(data)
        schema = self._by_id.get(schema_id)
        if magic != MAGIC or schema is None:
            schema = self._learned(magic, schema_id, data)
        quick = self._quickly(schema, data) if schema.reader is None else None
        if quick is not None:
            return schema.name, quick
        buffer = io.BytesIO(data)
        buffer.seek(HEADER.size)
        try:
            record = fastavro.schemaless_reader(buffer, schema.parsed, schema.reader)
        except Exception as error:  # fastavro raises many kinds on broken bytes, MemoryError-like ones among them
            message = f"broken {schema.name} record: {type(error).__name__}: {error}"
            raise DataError(message, field="value") from error
        if buffer.tell() != len(data) or not isinstance(record, dict):
            message = f"broken {schema.name} record: {len(data) - buffer.tell()} bytes after its end"
            raise DataError(message, field="value")
        if schema.reader is not None:
            return schema.name, self._as_ours(schema, record)
        return schema.name, record

    def _quickly(self, schema: Schema, data: bytes) -> dict[str, Any] | None:
        """Return the record as the reader of its schema has it, None where fastavro must be asked."""
        if schema.id not in self._readers:
            self._readers[schema.id] = reader_of(schema.parsed)
        read = self._readers[schema.id]
        try:
            record, end = read(data, HEADER.size) if read is not None else (None, 0)
        except TROUBLE:
            return None
        return record if end == len(data) else None

    def _as_ours(self, schema: Schema, record: dict[str, Any]) -> dict[str, Any]:
        """Return a record of another version just as it would be had our own been written: by writing and reading that."""
        try:
            return self.decode(self.encode(schema.name, record))[1]
        except DataError as error:
            raise DataError(f"a record of schema id {schema.id} does not fit ours: {error}", field="value") from error

    def decode_as(self, name: str, data: bytes | None) -> dict[str, Any]:
        """Return the record when it is of type `name`; raises DataError otherwise."""
        actual, record = self.decode(data)
        if actual != name:
            message = f"expected {name}, found {actual}"
            raise DataError(message, field="value", value=actual)
        return record

    def _learned(self, magic: int, schema_id: int, data: bytes) -> Schema:
        """Return the schema of this id as the registry has it, to be read as the one of its name here."""
        text = self._registry.text(schema_id) if magic == MAGIC and self._registry is not None else None
        if text is None:
            message = f"not an Avro record of ours: first byte {magic}, schema id {schema_id}"
            raise DataError(message, field="value", value=data[:16].hex())
        try:
            content = json.loads(text)
            mine = self.by_name[str(content["name"]).rpartition(".")[2]]
            learned = Schema(mine.name, schema_id, _parsed(content), HEADER.pack(MAGIC, schema_id), text, mine.parsed)
        except Exception as error:  # whatever a registry may hold
            message = f"schema id {schema_id} is none of ours: {type(error).__name__}: {error}"
            raise DataError(message, field="value", value=data[:16].hex()) from error
        self._by_id[schema_id] = learned
        return learned


def _rest(data: bytes, head: Head) -> dict[str, Any] | None:
    """Return the whole record that begins with this head, None where fastavro must be asked."""
    try:
        record, end = head.rest(data, head.meta, head.places)
    except TROUBLE:
        return None
    return record if end == len(data) else None


def id_of(content: Any) -> int:  # noqa: ANN401 - any schema
    """Return the id that a schema's content gives it; docs and marks of personal data do not count."""
    text = json.dumps(bare(content), sort_keys=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def _load(path: Path) -> Schema:
    content = fastavro.schema.load_schema(str(path), _write_hint=False)
    name, schema_id = path.name.removeprefix("towpath.").removesuffix(".avsc"), id_of(content)
    return Schema(name, schema_id, _parsed(content), HEADER.pack(MAGIC, schema_id), json.dumps(content, separators=(",", ":")))


def _parsed(content: Any) -> Any:  # noqa: ANN401 - any schema
    text = json.dumps(bare(content)).replace('"logicalType": "decimal"', f'"logicalType": "{DECIMAL}"')
    return fastavro.parse_schema(json.loads(text))


def bare(schema: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Return the schema without what says nothing of the bytes."""
    if isinstance(schema, dict):
        return {name: part if name == "default" else bare(part) for name, part in schema.items() if name not in ABOUT}
    return [bare(part) for part in schema] if isinstance(schema, list) else schema


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
