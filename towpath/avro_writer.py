"""Writes Avro records by a function written for one schema, as avro_reader reads them: the bytes that fastavro writes, in half its time.

A writer takes only what certainly fits. Anything unusual (a field too many or too few, another type, a number beyond its own) makes it raise, and
fastavro writes it or tells what is wrong; so it does for a schema with a type that is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from towpath.avro_reader import Unreadable
from towpath.avro_values import EIGHT_BYTES, EPOCH

Writer = Callable[[Any, list[bytes]], None]
"""Puts the parts of a record's bytes into a list; raises one of WRONG."""

WRONG: Final = (ValueError, TypeError, KeyError, AttributeError, OverflowError)
NUMBERS: Final = {
    ("long", None): "long_of",
    ("int", None): "int_of",
    ("long", "timestamp-micros"): "micros_of",
}
"""By type and logical type, the function that gives a number's bytes."""
ONE_BYTE: Final = 128
LEAST_OF_EIGHT: Final = 1 << 49
"""The least number that takes eight bytes."""


def writer_of(schema: Any) -> Writer | None:  # noqa: ANN401 - a parsed schema
    """Return the writer of a record's schema that fastavro parsed, None where it has a type that is not known here."""
    maker = Maker()
    try:
        maker.value(schema, "value", "    ")
    except Unreadable:
        return None
    maker.put("    ")
    write: Writer = made(["def write(value, parts, sizes=SIZES):", *maker.lines])
    return write


def made(lines: list[str]) -> Any:  # noqa: ANN401 - a function
    """Return the function `write` of these lines."""
    namespace: dict[str, Any] = {"SIZES": SIZES, "long_of": _long_of, "int_of": _int_of, "micros_of": _micros_of}
    exec(compile("\n".join(lines), "<avro writer>", "exec"), namespace)  # noqa: S102 - our own source: names are written by repr, all else are numbers
    return namespace["write"]


def _zigzag(number: int) -> bytes:
    rest = (number << 1) ^ (number >> 63)
    if LEAST_OF_EIGHT <= rest < LEAST_OF_EIGHT << 7:  # microseconds of our days: all eight groups of seven bits at once, as they are read
        rest = (rest & 0xFFFFFFF) | (rest & 0xFFFFFFF0000000) << 4
        rest = (rest & 0x3FFF00003FFF) | (rest & 0xFFFC0000FFFC000) << 2
        rest = (rest & 0x7F007F007F007F) | (rest & 0x3F803F803F803F80) << 1
        return (rest | EIGHT_BYTES).to_bytes(8, "little")
    found = bytearray()
    while rest >= ONE_BYTE:
        found.append(rest & 127 | 128)
        rest >>= 7
    found.append(rest)
    return bytes(found)


class _Sizes(dict[int, bytes]):
    """Lengths as they are written; the usual ones are kept."""

    def __missing__(self, size: int) -> bytes:
        return _zigzag(size)


SIZES: Final = _Sizes({size: _zigzag(size) for size in range(8192)})


def _long_of(value: Any) -> bytes:  # noqa: ANN401 - whatever stands in the field, as in the others
    if type(value) is not int or not -(1 << 63) <= value < 1 << 63:
        raise ValueError
    return _zigzag(value)


def _int_of(value: Any) -> bytes:  # noqa: ANN401
    if type(value) is not int or not -(1 << 31) <= value < 1 << 31:
        raise ValueError
    return _zigzag(value)


def _micros_of(value: Any) -> bytes:  # noqa: ANN401
    if type(value) is not datetime or value.tzinfo is None:
        raise ValueError
    since = value - EPOCH
    return _zigzag((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


class Maker:
    """Makes the lines that write one schema; each value is taken from an expression."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._parts: list[str] = []
        self._names: dict[str, Any] = {}
        self._count = 0

    def value(self, schema: Any, given: str, indent: str) -> None:  # noqa: ANN401 - any part of a schema
        """Make what writes the value of an expression; raises Unreadable for a type that is not known here."""
        if isinstance(schema, str):
            schema = self._names.get(schema, {"type": schema})
        kind, logical = (schema["type"], schema.get("logicalType")) if isinstance(schema, dict) else ("union", None)
        if (kind, logical) in NUMBERS:
            self._parts.append(f"{NUMBERS[kind, logical]}({given})")
        elif logical is not None or kind not in ("string", "bytes", "record", "map"):
            raise Unreadable(f"{kind} {logical}")
        elif kind == "string":
            self._string(given, indent)
        elif kind == "bytes":
            data = self._sized(given, indent)
            self._add(indent, f"if type({data}) is not bytes: raise ValueError")
        elif kind == "map":
            self._map(schema, given, indent)
        else:
            self._record(schema, given, indent)

    def _add(self, indent: str, *lines: str) -> None:
        self.lines += [f"{indent}{line}" for line in lines]

    def put(self, indent: str) -> None:
        """Make what puts the parts that are known by now into the list, all in one go."""
        if self._parts:
            self._add(indent, f"parts += ({', '.join(self._parts)},)")
            self._parts.clear()

    def _sized(self, given: str, indent: str) -> str:
        data = self._variable()
        self._add(indent, f"{data} = {given}")
        self._parts += [f"sizes[len({data})]", data]
        return data

    def _string(self, given: str, indent: str) -> None:
        self._sized(f"{given}.encode()", indent)

    def _variable(self) -> str:
        self._count += 1
        return f"v{self._count}"

    def _record(self, schema: Mapping[str, Any], given: str, indent: str) -> None:
        found = self._variable()
        self._names[schema["name"]] = schema
        self._add(indent, f"{found} = {given}", f"if type({found}) is not dict or len({found}) != {len(schema['fields'])}: raise ValueError")
        for field in schema["fields"]:
            self.value(field["type"], f"{found}[{field['name']!r}]", indent)

    def _map(self, schema: Mapping[str, Any], given: str, indent: str) -> None:
        found, key, part = self._variable(), self._variable(), self._variable()
        self._add(indent, f"{found} = {given}", f"if type({found}) is not dict: raise ValueError")
        self.put(indent)
        self._add(indent, f"if {found}: parts.append(sizes[len({found})])", f"for {key}, {part} in {found}.items():")
        self._sized(f"{key}.encode()", indent + "    ")
        self.value(schema["values"], part, indent + "    ")
        self.put(indent + "    ")
        self._parts.append(r"b'\0'")
