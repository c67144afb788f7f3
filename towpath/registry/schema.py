"""An Avro schema as a registry takes it: one that Apache's own library understands, and the library that reads our records."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn

import avro.schema
import fastavro

from towpath.errors import DataError

LOGICAL = "logical-type"
"""How Apache's library is told `logicalType`: its own classes for these drop what they do not know, with a warning."""
DEEPEST = 200


@dataclass(frozen=True, slots=True)
class AvroSchema:
    """A valid schema: its `text` without white space, and Apache's object."""

    text: str
    parsed: avro.schema.Schema

    @property
    def content(self) -> Any:  # noqa: ANN401 - any JSON
        """Return what the text says."""
        return json.loads(self.text)


def parse(text: str) -> AvroSchema:
    """Return the schema; raises DataError with field `schema` that says what is wrong with it, a default that is none of its type included."""
    try:
        content = json.loads(text, parse_constant=_no_number)
        if _too_deep(content):
            raise ValueError(f"it nests deeper than {DEEPEST} levels")  # noqa: TRY301 - one place says what is wrong
        fastavro.parse_schema(content, _write_hint=False)
        parsed = avro.schema.parse(json.dumps(_renamed(content)))
    except Exception as error:  # two libraries, many kinds
        line = (str(error).splitlines() or [""])[0][:300] or type(error).__name__
        raise DataError(f"it is no Avro schema: {line}", field="schema") from error
    return AvroSchema(json.dumps(content, separators=(",", ":"), ensure_ascii=False), parsed)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _too_deep(content: Any) -> bool:  # noqa: ANN401 - any JSON
    level = [content]
    for _ in range(DEEPEST):
        level = [one for part in level for one in (part.values() if isinstance(part, dict) else part if isinstance(part, list) else ())]
    return bool(level)


def _renamed(content: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(content, dict):
        return {LOGICAL if name == "logicalType" else name: _renamed(part) for name, part in content.items()}
    return [_renamed(part) for part in content] if isinstance(content, list) else content
