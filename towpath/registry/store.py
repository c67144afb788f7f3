"""What a registry knows, as the records of its topic tell it. No I/O.

Keys and values are those of Confluent's own `_schemas` topic, so that its registry can take over where this one stops.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from towpath.codec import id_of
from towpath.errors import DataError
from towpath.registry.compatibility import DEFAULT_LEVEL, LEVELS
from towpath.registry.schema import AvroSchema, parse

LARGEST_ID = 0x7FFF_FFFF

parsed = lru_cache(maxsize=1_000)(parse)


class Row(NamedTuple):
    """One record of the topic."""

    key: bytes
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Registered:
    """One version of a subject; `text` is its schema. What was deleted is still read by its id."""

    subject: str
    version: int
    id: int
    text: str
    deleted: bool = False

    def row(self) -> Row:
        """Return the record that tells of it."""
        value = {"subject": self.subject, "version": self.version, "id": self.id, "schema": self.text, "deleted": self.deleted}
        return Row(_json({"keytype": "SCHEMA", "subject": self.subject, "version": self.version, "magic": 1}), _json(value))


def level_row(subject: str | None, level: str | None) -> Row:
    """Return the record that sets a compatibility level, of a subject or of all that have none; None takes it back."""
    return Row(_json({"keytype": "CONFIG", "subject": subject, "magic": 0}), None if level is None else _json({"compatibilityLevel": level}))


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


class Store:
    """Subjects, versions, ids and levels."""

    def __init__(self) -> None:
        self.subjects: dict[str, dict[int, Registered]] = {}
        self.texts: dict[int, str] = {}
        self._ids: dict[str, int] = {}
        self._levels: dict[str | None, str] = {}

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        """Take in one record of the topic; one that says nothing this store knows of is passed over. Twice the same changes nothing."""
        try:
            about, told = json.loads(key or b"{}"), json.loads(value or b"null")
            match about.get("keytype"):
                case "SCHEMA":
                    self._tell(about["subject"], about["version"], told)
                case "CONFIG":
                    self._set(about["subject"], told and told["compatibilityLevel"])
                case "DELETE_SUBJECT" if told:
                    self._drop(told["subject"], told["version"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return

    def _tell(self, subject: Any, version: Any, told: Mapping[str, Any] | None) -> None:  # noqa: ANN401 - any JSON
        if told is None:
            self.subjects.get(subject, {}).pop(version, None)
            return
        one = Registered(subject, version, told["id"], told["schema"], bool(told.get("deleted")))
        if not (isinstance(subject, str) and type(version) is int and type(one.id) is int and isinstance(one.text, str)):
            raise TypeError("a version that another program wrote, and wrongly")
        self._ids.setdefault(_content(one.text), one.id)
        self.texts.setdefault(one.id, one.text)
        self.subjects.setdefault(subject, {})[version] = one

    def _set(self, subject: str | None, level: str | None) -> None:
        if level is None:
            self._levels.pop(subject, None)
        elif level in LEVELS:
            self._levels[subject] = level

    def _drop(self, subject: str, up_to: int) -> None:
        for version, one in self.subjects.get(subject, {}).items():
            if version <= up_to:
                self.subjects[subject][version] = replace(one, deleted=True)

    def versions(self, subject: str, *, deleted: bool = False) -> dict[int, Registered]:
        """Return the versions of a subject in their order, those that were deleted only where asked for."""
        found = self.subjects.get(subject, {})
        return {version: found[version] for version in sorted(found) if deleted or not found[version].deleted}

    def find(self, subject: str, schema: AvroSchema, *, deleted: bool = False) -> Registered | None:
        """Return the newest version of a subject that says the same as `schema`, in whatever order its attributes stand."""
        wanted = _content(schema.text)
        found = [one for one in self.versions(subject, deleted=deleted).values() if _content(one.text) == wanted]
        return found[-1] if found else None

    def having(self, schema_id: int) -> Iterator[Registered]:
        """Yield every version that has this id."""
        for name in sorted(self.subjects):
            yield from (one for one in self.versions(name, deleted=True).values() if one.id == schema_id)

    def next(self, subject: str, schema: AvroSchema) -> Registered:
        """Return what `schema` becomes when it is registered: the id it has elsewhere, else the one that its content gives, else the next free."""
        version = max(self.subjects.get(subject, {}), default=0) + 1
        schema_id = self._ids.get(_content(schema.text)) or id_of(schema.content)
        while schema_id == 0 or _content(self.texts.get(schema_id, schema.text)) != _content(schema.text):
            schema_id = schema_id % LARGEST_ID + 1
        return Registered(subject, version, schema_id, schema.text)

    def level(self, subject: str | None = None) -> str:
        """Return the level that holds for a subject, or for all that have none of their own."""
        return self._levels.get(subject) or self._levels.get(None, DEFAULT_LEVEL)

    def own_level(self, subject: str) -> str | None:
        """Return the level that was set for this subject."""
        return self._levels.get(subject)


def level_of(value: object) -> str:
    """Return the level that a request names; raises DataError with field `compatibility` where there is none of that name."""
    if not isinstance(value, str) or value.upper() not in LEVELS:
        raise DataError(f"Invalid compatibility level. Valid values are {', '.join(LEVELS).lower()}", field="compatibility")
    return value.upper()


@lru_cache(maxsize=1_000)
def _content(text: str) -> str:
    return json.dumps(json.loads(text), sort_keys=True)
