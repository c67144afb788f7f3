"""Reads Avro records by a function written for one schema: the values that fastavro gives, in half its time.

A reader answers only what is certain. Anything unusual (broken bytes, a number beyond its type, a block with a size) makes it raise, and
fastavro is asked; so is it for a schema with a type that is not known here.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Any, Final

Reader = Callable[[bytes, int], tuple[Any, int]]
"""From bytes and where the record begins to the record and where it ends; raises one of TROUBLE."""
HeadReader = Callable[[bytes, int], tuple[Any, tuple[int, ...]]]
"""The same, but for the places where each field begins, and the last one ends."""
RestReader = Callable[[bytes, int, Any], tuple[Any, int]]
"""The same, from where the first field ends, with that field's value."""

TROUBLE: Final = (ValueError, IndexError, OverflowError, TypeError)
DECIMAL: Final = "towpath-decimal"
"""How parsed schemas name Avro's `decimal`, so that fastavro's own way with it is not taken; the files keep the standard name."""
LONGEST_DECIMAL: Final = 16
LONGEST_LONG: Final = 70
"""Bits of the ten bytes that 64 bits take."""
MORE: Final = 0x8080808080808080
EIGHT_BYTES: Final = MORE >> 8
"""Of eight bytes, the bits that say that more follow; and as they are in a number of just eight."""
MOST_AMOUNTS: Final = 10_000
"""About 2 MB of them."""
SIZES: Final = tuple(0 if first & 129 else (first >> 1) + 1 for first in range(256))
"""By the first byte of what is read after its length, how many bytes it takes with that one; 0: more bytes say so, or it is negative."""
ALWAYS: Final = "    "
"""The indent of what is read of every record."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Unreadable(Exception):  # noqa: N818 - no error: fastavro reads it instead
    """A schema with a type that is not known here."""


def reader_of(schema: Any) -> Reader | None:  # noqa: ANN401 - a parsed schema
    """Return the reader of a schema that fastavro parsed, None where it has a type that is not known here."""
    writer = _Writer(schema)
    try:
        record = writer.value(schema, ALWAYS)
    except Unreadable:
        return None
    read: Reader = _made(writer, ["def read(data, at, sizes=SIZES):", *writer.lines, f"    return {record}, at"])
    return read


def head_reader_of(schema: Any) -> HeadReader | None:  # noqa: ANN401 - a parsed schema
    """Return what reads a record of such a schema and tells where its fields are, None as `reader_of`."""
    writer = _Writer(schema)
    try:
        record = writer.head(schema, ALWAYS)
    except Unreadable:
        return None
    places = ", ".join(f"p{number}" for number in range(len(schema["fields"])))
    read: HeadReader = _made(writer, ["def read(data, at, sizes=SIZES):", *writer.lines, f"    return {record}, ({places}, at)"])
    return read


def rest_reader_of(schema: Any) -> RestReader | None:  # noqa: ANN401 - a parsed schema
    """Return what reads a record of such a schema behind its first field, None as `reader_of`."""
    writer = _Writer(schema)
    try:
        record = writer.rest(schema, ALWAYS)
    except Unreadable:
        return None
    read: RestReader = _made(writer, ["def read(data, at, first, sizes=SIZES):", *writer.lines, f"    return {record}, at"])
    return read


def _made(writer: _Writer, lines: list[str]) -> Any:  # noqa: ANN401 - a function
    namespace: dict[str, Any] = {"SIZES": SIZES, "long_at": _long_at, "size_at": _size_at, "EPOCH": EPOCH, "timedelta": timedelta, **writer.amounts}
    exec(compile("\n".join(lines), "<avro>", "exec"), namespace)  # noqa: S102 - our own source: names are written by repr, all else are numbers
    return namespace["read"]


class _Amounts(dict[bytes, Decimal]):
    """Decimals by the bytes that they stand in; the same few amounts come again and again."""

    def __init__(self, precision: int, scale: int) -> None:
        super().__init__()
        self._largest, self._scale, self._context = 10**precision, scale, Context(prec=precision)

    def __missing__(self, data: bytes) -> Decimal:
        unscaled = int.from_bytes(data[: LONGEST_DECIMAL + 1], "big", signed=True)
        if len(data) > LONGEST_DECIMAL or not -self._largest < unscaled < self._largest:
            raise ValueError("a decimal of too many digits")
        if len(self) >= MOST_AMOUNTS:
            self.clear()
        found = self[data] = self._context.scaleb(Decimal(unscaled), -self._scale)
        return found


@functools.cache
def _amounts(precision: int, scale: int) -> _Amounts:
    return _Amounts(precision, scale)


def _long_at(data: bytes, at: int) -> tuple[int, int]:
    """Return a zigzag number and where it ends."""
    word = int.from_bytes(data[at : at + 8], "little")
    if word & MORE == EIGHT_BYTES:  # microseconds of our days: all eight groups of seven bits at once
        word = (word & 0x7F007F007F007F) | (word & 0x7F007F007F007F00) >> 1
        word = (word & 0x3FFF00003FFF) | (word & 0x3FFF00003FFF0000) >> 2
        word = (word & 0xFFFFFFF) | (word & 0xFFFFFFF00000000) >> 4
        return (word >> 1) ^ -(word & 1), at + 8
    shift = found = 0
    while True:
        byte = data[at]
        at += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follows
            break
        shift += 7
        if shift >= LONGEST_LONG:
            raise ValueError("an endless number")
    if found >= 1 << 64:
        raise ValueError("a number of more than 64 bits")
    return (found >> 1) ^ -(found & 1), at


def _size_at(data: bytes, at: int) -> tuple[int, int]:
    """Return a number that must not be negative, and where it ends."""
    size, at = _long_at(data, at)
    if size < 0:
        raise ValueError("a negative size")
    return size, at


class _Writer:
    """Writes the lines that read one schema; each value gets a variable of its own."""

    def __init__(self, whole: Any) -> None:  # noqa: ANN401 - a parsed schema
        self._text = json.dumps(whole)
        self.lines: list[str] = []
        self.amounts: dict[str, _Amounts] = {}
        self._names: dict[str, Any] = {}
        self._open: set[str] = set()
        self._before: dict[str, tuple[str, str]] = {}
        self._count = 0

    def value(self, schema: Any, indent: str) -> str:  # noqa: ANN401 - any part of a schema
        """Write what reads a value of this schema; return the variable, or the expression, that it is then in."""
        if isinstance(schema, list):
            return self._optional(schema, indent)
        if isinstance(schema, str):
            schema = self._names.get(schema, {"type": schema})
        kind = schema["type"]
        write: Callable[[Mapping[str, Any], str], str] | None = getattr(self, f"_{kind}", None) if isinstance(kind, str) else None
        if write is None:
            raise Unreadable(str(kind))
        return write(schema, indent)

    def _add(self, indent: str, *lines: str) -> None:
        self.lines += [f"{indent}{line}" for line in lines]

    def _variable(self) -> str:
        self._count += 1
        return f"v{self._count}"

    def _record(self, schema: Mapping[str, Any], indent: str) -> str:
        name = schema["name"]
        if name in self._open:
            raise Unreadable(f"{name} within itself")
        if name in self._before:
            return self._again(schema, indent)
        self._names[name] = schema
        self._open.add(name)
        comes_again = indent == ALWAYS and self._text.count(f'"{name}"') > 1
        start, found = self._variable(), self._variable()
        if comes_again:
            self._add(indent, f"{start} = at")
        fields = [(field["name"], self.value(field["type"], indent)) for field in schema["fields"]]
        self._open.discard(name)
        if not comes_again:
            return _display(fields)
        self._add(indent, f"{found} = {_display(fields)}; {start} = data[{start}:at]")
        self._before[name] = start, found
        return found

    def _again(self, schema: Mapping[str, Any], indent: str) -> str:
        """Write what reads a record of a type that came before: an order often goes to the address that pays for it, to the byte."""
        start, before = self._before[schema["name"]]
        found = self._variable()
        self._add(indent, f"if data.startswith({start}, at): {found} = {{**{before}}}; at += len({start})", "else:")
        fields = [(field["name"], self.value(field["type"], f"{indent}    ")) for field in schema["fields"]]
        self._add(f"{indent}    ", f"{found} = {_display(fields)}")
        return found

    def head(self, schema: Mapping[str, Any], indent: str) -> str:
        """Write what reads a record's fields, with the place of each in `p0`, `p1` and so on."""
        found = []
        for number, field in enumerate(schema["fields"]):
            self._add(indent, f"p{number} = at")
            found.append((field["name"], self.value(field["type"], indent)))
        return _display(found)

    def rest(self, schema: Mapping[str, Any], indent: str) -> str:
        """Write what reads a record's fields but the first, which is in `first`."""
        first, *others = schema["fields"]
        self._names[schema["name"]] = schema
        self._open.add(schema["name"])
        self.value(first["type"], indent)  # for the names that it declares
        self.lines.clear()
        return _display([(first["name"], "first"), *((field["name"], self.value(field["type"], indent)) for field in others)])

    def _bytes(self, schema: Mapping[str, Any], indent: str) -> str:
        logical = schema.get("logicalType")
        if logical not in (None, DECIMAL):
            raise Unreadable(str(logical))
        found = self._slice(indent)
        if logical is not None:
            precision, scale = schema["precision"], schema["scale"]
            self.amounts[f"amounts_{precision}_{scale}"] = _amounts(precision, scale)
            self._add(indent, f"{found} = amounts_{precision}_{scale}[{found}]")
        return found

    def _string(self, schema: Mapping[str, Any], indent: str) -> str:
        if "logicalType" in schema:
            raise Unreadable(str(schema["logicalType"]))
        return self._slice(indent, ".decode()")

    def _slice(self, indent: str, as_what: str = "") -> str:
        """Write what reads bytes after their length; a slice past the end is found out at the record's end, which is then past it too."""
        found = self._variable()
        self._add(indent, "size = sizes[data[at]]", f"if size: {found} = data[at + 1 : at + size]{as_what}; at += size")
        self._add(indent, f"else: end, at = size_at(data, at); end += at; {found} = data[at:end]{as_what}; at = end")
        return found

    def _size(self, name: str, indent: str) -> None:
        self._add(indent, f"{name} = data[at]", f"if {name} & 129: {name}, at = size_at(data, at)", f"else: {name} >>= 1; at += 1")

    def _long(self, schema: Mapping[str, Any], indent: str) -> str:
        logical, found = schema.get("logicalType"), self._variable()
        if logical not in (None, "timestamp-micros"):
            raise Unreadable(str(logical))
        self._add(indent, f"{found}, at = long_at(data, at)")
        if logical is not None:
            self._add(indent, f"{found} = EPOCH + timedelta(0, 0, {found})")
        return found

    def _int(self, schema: Mapping[str, Any], indent: str) -> str:
        if "logicalType" in schema:
            raise Unreadable(str(schema["logicalType"]))
        found = self._variable()
        self._add(indent, f"{found} = data[at]", f"if {found} & 129: {found}, at = long_at(data, at)", f"else: {found} >>= 1; at += 1")
        return found

    def _boolean(self, _schema: Mapping[str, Any], indent: str) -> str:
        found = self._variable()
        self._add(indent, f"{found} = data[at]", f"if {found} > 1: raise ValueError", f"{found} = {found} == 1; at += 1")
        return found

    def _array(self, schema: Mapping[str, Any], indent: str) -> str:
        found, count = self._variable(), self._variable()
        self._add(indent, f"{found} = []")
        self._size(count, indent)
        self._add(indent, f"while {count}:", f"    for _ in range({count}):")
        item = self.value(schema["items"], indent + " " * 8)
        self._add(indent, f"        {found}.append({item})")
        self._size(count, indent + " " * 4)
        return found

    def _map(self, schema: Mapping[str, Any], indent: str) -> str:
        found, count = self._variable(), self._variable()
        self._add(indent, f"{found} = {{}}")
        self._size(count, indent)
        self._add(indent, f"while {count}:", f"    for _ in range({count}):")
        key = self._string({}, indent + " " * 8)
        value = self.value(schema["values"], indent + " " * 8)
        self._add(indent, f"        {found}[{key}] = {value}")
        self._size(count, indent + " " * 4)
        return found

    def _optional(self, schema: list[Any], indent: str) -> str:
        if len(schema) != len(("null", "another")) or schema[0] != "null":
            raise Unreadable("a union")
        found = self._variable()
        self._add(indent, f"{found} = data[at]; at += 1", f"if not {found}: {found} = None", f"elif {found} == 2:")
        value = self.value(schema[1], indent + " " * 4)
        self._add(indent, f"    {found} = {value}", "else: raise ValueError")
        return found


def _display(fields: list[tuple[str, str]]) -> str:
    return f"{{{', '.join(f'{name!r}: {value}' for name, value in fields)}}}"
