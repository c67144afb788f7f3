"""Whether schemas can read each other's records: Apache Avro's own checker, asked part by part so that its answer names the field.

What it leaves out is added here: logical types. To it a decimal of another scale, or milliseconds for microseconds, is the same bytes; to a
reader it is another amount or another day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import avro.schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

from towpath.registry.schema import LOGICAL, AvroSchema

LEVELS = ("BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE", "NONE")
DEFAULT_LEVEL = "FULL_TRANSITIVE"
NAMED = {"record", "error", "enum", "fixed"}


def against(level: str, new: AvroSchema, earlier: Mapping[int, AvroSchema]) -> list[str]:
    """Return why `new` may not follow the earlier versions of its subject under a level, one line a reason; empty where it may."""
    versions = sorted(earlier) if level.endswith("_TRANSITIVE") else sorted(earlier)[-1:]
    found = []
    for version in versions if level != "NONE" else ():
        if level.startswith(("BACKWARD", "FULL")):
            found += [f"it cannot read records of version {version}: {problem}" for problem in problems(new, earlier[version])]
        if level.startswith(("FORWARD", "FULL")):
            found += [f"version {version} cannot read its records: {problem}" for problem in problems(earlier[version], new)]
    return found


def problems(reader: AvroSchema, writer: AvroSchema) -> list[str]:
    """Return why one schema cannot read the records of another, each naming the field; empty where it can."""
    found = list(_Walk().problems(reader.parsed, writer.parsed, ""))
    if not found and (verdict := _verdict(reader.parsed, writer.parsed)) is not None:
        found.append(verdict)
    return found


def _verdict(reader: avro.schema.Schema, writer: avro.schema.Schema) -> str | None:
    """Return what Apache's checker has against the pair, None where nothing."""
    result = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)  # type: ignore[no-untyped-call]
    return None if result.compatibility is SchemaCompatibilityType.compatible else "; ".join(sorted(result.messages))


class _Walk:
    """One comparison; what was compared is not compared again, so that a record may hold itself."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, int]] = set()

    def problems(self, reader: Any, writer: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - Apache's classes share no attributes
        if (id(reader), id(writer)) in self._seen:
            return
        self._seen.add((id(reader), id(writer)))
        kinds = (reader.type, writer.type)
        if "union" in kinds:
            yield from self._union(reader, writer, path)
        elif kinds == ("record", "record") and _same_name(reader, writer):
            yield from self._record(reader, writer, path)
        elif kinds == ("array", "array"):
            yield from self.problems(reader.items, writer.items, f"{path}[]")
        elif kinds == ("map", "map"):
            yield from self.problems(reader.values, writer.values, f"{path}{{}}")
        elif (verdict := _verdict(reader, writer)) is not None:
            yield f"{_at(path)}{_named(writer)} cannot be read as {_named(reader)}" + (f" ({verdict})" if reader.type == writer.type else "")
        yield from _logical(reader, writer, path)

    def _record(self, reader: Any, writer: Any, path: str) -> Iterator[str]:  # noqa: ANN401
        for field in reader.fields:
            inner = f"{path}.{field.name}" if path else field.name
            names = [field.name, *(field.props.get("aliases") or ())]
            source = next((writer.fields_dict[name] for name in names if name in writer.fields_dict), None)
            if source is not None:
                yield from self.problems(field.type, source.type, inner)
            elif not field.has_default:
                yield f"field {inner}: it is missing there and has no default here"

    def _union(self, reader: Any, writer: Any, path: str) -> Iterator[str]:  # noqa: ANN401
        branches = reader.schemas if reader.type == "union" else [reader]
        for one in writer.schemas if writer.type == "union" else [writer]:
            alike = next((branch for branch in branches if _alike(branch, one)), None)
            if alike is not None:
                yield from self.problems(alike, one, path)
            elif not any(_verdict(branch, one) is None for branch in branches):
                yield f"{_at(path)}{_named(one)} is none of {_listed(branches)}"


def _at(path: str) -> str:
    return f"field {path}: " if path else ""


def _named(schema: Any) -> str:  # noqa: ANN401
    kind: str = schema.fullname if schema.type in NAMED else schema.type
    logical = schema.props.get(LOGICAL)
    size = f"({schema.props.get('precision')}, {schema.props.get('scale', 0)})" if logical == "decimal" else ""
    return f"{kind} as {logical}{size}" if logical else kind


def _listed(branches: Iterable[Any]) -> str:
    return ", ".join(map(_named, branches))


def _same_name(reader: Any, writer: Any) -> bool:  # noqa: ANN401
    return reader.name == writer.name or writer.fullname in (reader.props.get("aliases") or ())


def _alike(reader: Any, writer: Any) -> bool:  # noqa: ANN401
    return bool(reader.type == writer.type and (reader.type not in NAMED or _same_name(reader, writer)))


def _logical(reader: Any, writer: Any, path: str) -> Iterator[str]:  # noqa: ANN401
    """Yield what differs in the meaning of the same bytes: a logical type, the scale of a decimal, a precision too small for it."""
    mine, theirs = reader.props.get(LOGICAL), writer.props.get(LOGICAL)
    if mine != theirs:
        yield f"{_at(path)}{_named(writer)} would be taken for {_named(reader)}"
    elif mine == "decimal":
        scales = (reader.props.get("scale", 0), writer.props.get("scale", 0))
        if scales[0] != scales[1] or reader.props["precision"] < writer.props["precision"]:
            yield f"{_at(path)}{_named(writer)} would be taken for {_named(reader)}"
