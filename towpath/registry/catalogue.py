"""docs/events.md: every record that stands in a topic, as its schema and schemas/topics.yaml declare it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from towpath.codec import NAMESPACE, SCHEMAS, Codec
from towpath.registry.subjects import subjects
from towpath.topics import Topics, load_topics

HEAD = """# Events

What stands in the topics: Avro in the Confluent wire format (a zero byte, the schema's id in 4 bytes, the record). The schemas are at the
registry of `schema_registry:`, under the subjects named here. An event may come more than once: count it by `meta.event_id`.
This page is made from `schemas/` by `python -m towpath.registry.catalogue > docs/events.md`.

An amount or a quantity is a decimal of 38 digits, 6 of them after the point; a time is in microseconds since 1970, UTC. *Personal* marks
personal data. A field with a default may be missing in records from before it was added.
"""
PLAIN = {"decimal": "decimal", "timestamp-micros": "time"}

Files = Mapping[str, Mapping[str, Any]]


def reference(folder: Path = SCHEMAS) -> str:
    """Return the page."""
    files = {path.name.removeprefix(f"{NAMESPACE}.").removesuffix(".avsc"): json.loads(path.read_text(encoding="utf-8")) for path in _paths(folder)}
    topics = load_topics()
    named = subjects(Codec(folder), topics)
    on_topics = list(dict.fromkeys(named.values()))
    parts = [name for name in files if name not in on_topics]
    sections = [HEAD]
    sections += [_section(files, name, _places(topics, name), sorted(subject for subject in named if named[subject] == name)) for name in on_topics]
    sections += ["## Parts of events\n", *(_section(files, name, [], [], level="###") for name in parts)]
    return "\n".join(sections)


def _paths(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{NAMESPACE}.*.avsc"))


def _places(topics: Topics, name: str) -> list[str]:
    return [f"`{spec.name}` (key: {spec.key})" for spec in topics.declared if name in spec.schemas]


def _section(files: Files, name: str, places: list[str], under: list[str], level: str = "##") -> str:
    schema = files[name]
    lines = [f"{level} {name}", "", schema["doc"], ""]
    if places:
        lines += [f"Topics: {', '.join(places)}. Subjects: {', '.join(f'`{subject}`' for subject in under)}.", ""]
    lines += ["| Field | Type | Default | | Meaning |", "| --- | --- | --- | --- | --- |", *_rows(files, schema), ""]
    return "\n".join(lines)


def _rows(files: Files, schema: Mapping[str, Any]) -> Iterator[str]:
    for field in schema["fields"]:
        default = f"`{json.dumps(field['default'])}`" if "default" in field else ""
        personal = "*Personal*" if field.get("pii") else ""
        meaning = field["doc"].replace("|", "\\|")
        yield f"| `{field['name']}` | {_type(files, field['type'])} | {default} | {personal} | {meaning} |"


def _type(files: Files, kind: Any) -> str:  # noqa: ANN401 - any part of a schema
    if isinstance(kind, list):
        return " or ".join(_type(files, branch) for branch in sorted(kind, key=lambda branch: branch == "null"))
    if isinstance(kind, str):
        name = kind.removeprefix(f"{NAMESPACE}.")
        return f"[{name}](#{name.lower()})" if name in files else kind
    if "logicalType" in kind:
        return str(PLAIN.get(kind["logicalType"], kind["logicalType"]))
    if kind["type"] == "array":
        return f"list of {_type(files, kind['items'])}"
    return f"map of {_type(files, kind['values'])}" if kind["type"] == "map" else str(kind["type"])


if __name__ == "__main__":
    sys.stdout.write(reference())
