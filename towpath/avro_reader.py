"""Reads Avro records by a function written for one schema: the values that fastavro gives, in half its time.

A reader answers only what is certain. Anything unusual (broken bytes, a number beyond its type, a block with a size) makes it raise, and
fastavro is asked; so is it for a schema with a type that is not known here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from towpath.avro_values import DECIMAL, EPOCH, SIZES, Amounts, amounts_of, long_at, size_at

Reader = Callable[[bytes, int], tuple[Any, int]]
"""From bytes and where the record begins to the record and where it ends; raises one of TROUBLE."""
HeadReader = Callable[[bytes, int], tuple[Any, tuple[int, ...]]]
"""The same, but for the places where each field begins, and the last one ends."""
RestReader = Callable[[bytes, Any, tuple[int, ...]], tuple[Any, int]]
"""The same for what follows the first field, with what that one's reader gave."""
Make = Callable[["_Writer", Any, str], str]
"""Has a writer write the lines that read a schema, at an indent; returns the source of what was read."""

TROUBLE: Final = (ValueError, IndexError, OverflowError, TypeError)
ALWAYS: Final = "    "
"""The indent of what is read of every record."""
TIME: Final = {"type": "long", "logicalType": "timestamp-micros"}


class Unreadable(Exception):  # noqa: N818 - no error: fastavro reads it instead
    """A schema with a type that is not known here."""


def reader_of(schema: Any) -> Reader | None:  # noqa: ANN401 - a parsed schema
    """Return the reader of a schema that fastavro parsed, None where it has a type that is not known here."""
    read: Reader | None = _made(schema, _Writer.value, "data, at")
    return read


def head_reader_of(schema: Any) -> HeadReader | None:  # noqa: ANN401 - a parsed schema
    """Return what reads a record of such a schema and tells where its fields are, None as `reader_of`."""
    places = ", ".join(f"p{number}" for number in range(len(schema["fields"])))
    read: HeadReader | None = _made(schema, _Writer.head, "data, at", ends=f"({places}, at)")
    return read


def rest_reader_of(schema: Any) -> RestReader | None:  # noqa: ANN401 - a parsed schema
    """Return what reads a record of such a schema behind its first field, None as `reader_of`."""
    read: RestReader | None = _made(schema, _Writer.rest, "data, first, places", begins=["    at = places[-1]"])
    return read


def _made(schema: Any, make: Make, given: str, *, begins: Sequence[str] = (), ends: str = "at") -> Any:  # noqa: ANN401 - a schema, and a function
    """Return a function of what is `given` that reads what `make` writes the lines of, and tells where it `ends`; None for an unknown type."""
    writer = _Writer(schema)
    try:
        record = make(writer, schema, ALWAYS)
    except Unreadable:
        return None
    lines = [f"def read({given}, sizes=SIZES):", *begins, *writer.lines, f"    return {record}, {ends}"]
    namespace: dict[str, Any] = {"SIZES": SIZES, "long_at": long_at, "size_at": size_at, "EPOCH": EPOCH, "timedelta": timedelta, **writer.amounts}
    exec(compile("\n".join(lines), "<avro>", "exec"), namespace)  # noqa: S102 - our own source: names are written by repr, all else are numbers
    return namespace["read"]


class _Writer:
    """Writes the lines that read one schema; each value gets a variable of its own."""

    def __init__(self, whole: Any) -> None:  # noqa: ANN401 - a parsed schema
        self._text = json.dumps(whole)
        self.lines: list[str] = []
        self.amounts: dict[str, Amounts] = {}
        self._names: dict[str, Any] = {}
        self._open: set[str] = set()
        self._before: dict[str, tuple[str, str]] = {}
        self._time: tuple[str, str] | None = None
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
        """Write what reads a record's fields but the first, a record that is in `first`, with its own fields' places in `places`."""
        first, *others = schema["fields"]
        self._names[schema["name"]] = schema
        self._open.add(schema["name"])
        self.value(first["type"], indent)  # for the names that it declares
        self.lines.clear()
        self._time = None
        times = [(place, field["name"]) for place, field in enumerate(first["type"]["fields"]) if field["type"] == TIME]
        if times and json.dumps(TIME) in json.dumps(others):
            place, name = times[0]
            self._add(indent, f"time = data[places[{place}]:places[{place + 1}]]; before = first[{name!r}]")
            self._time = "time", "before"
        return _display([(first["name"], "first"), *((field["name"], self.value(field["type"], indent)) for field in others)])

    def _bytes(self, schema: Mapping[str, Any], indent: str) -> str:
        logical = schema.get("logicalType")
        if logical is None:
            return self._slice(indent)
        if logical != DECIMAL:
            raise Unreadable(str(logical))
        precision, scale, found = schema["precision"], schema["scale"], self._variable()
        amounts = f"amounts_{precision}_{scale}"
        self.amounts[amounts] = amounts_of(precision, scale)
        self._add(
            indent,
            "size = sizes[data[at]]",
            f"if size: {found} = {amounts}[data[at + 1 : (at := at + size)]]",
            "else: raise ValueError('a decimal of too many digits')",
        )
        return found

    def _string(self, schema: Mapping[str, Any], indent: str) -> str:
        if "logicalType" in schema:
            raise Unreadable(str(schema["logicalType"]))
        return self._slice(indent, ".decode()")

    def _slice(self, indent: str, as_what: str = "") -> str:
        """Write what reads bytes after their length; a slice past the end is found out at the record's end, which is then past it too."""
        found = self._variable()
        self._add(indent, "size = sizes[data[at]]", f"if size: {found} = data[at + 1 : (at := at + size)]{as_what}")
        self._add(indent, f"else: end, at = size_at(data, at); end += at; {found} = data[at:end]{as_what}; at = end")
        return found

    def _size(self, name: str, indent: str) -> None:
        self._add(indent, f"{name} = data[at]", f"if {name} & 129: {name}, at = size_at(data, at)", f"else: {name} >>= 1; at += 1")

    def _long(self, schema: Mapping[str, Any], indent: str) -> str:
        logical = schema.get("logicalType")
        if logical is None:
            return self._int(schema, indent)
        if logical != "timestamp-micros":
            raise Unreadable(str(logical))
        return self._moment(indent)

    def _moment(self, indent: str) -> str:
        """Write what reads a time; often one stands in a record twice: when an order was placed, and when that was."""
        found = self._variable()
        read = f"{found}, at = long_at(data, at); {found} = EPOCH + timedelta(0, 0, {found})"
        if self._time is not None:
            bytes_before, before = self._time
            self._add(indent, f"if data.startswith({bytes_before}, at): {found} = {before}; at += len({bytes_before})", f"else: {read}")
        elif indent == ALWAYS:
            self._time = self._variable(), found
            self._add(indent, f"{self._time[0]} = at", read, f"{self._time[0]} = data[{self._time[0]}:at]")
        else:
            self._add(indent, read)
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
