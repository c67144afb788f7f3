"""What a system adds to be written to, and how a document names what it refers to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import orjson

from towpath.errors import DataError
from towpath.http import ApiClient

Document = Mapping[str, Any]


class Standing(NamedTuple):
    """What stands at a target: its id there, and since when by the target's own clock, where it tells.

    `whole` is False where the effect takes several calls and not all are done; `review` says what a person should look at, if anything.
    """

    id: str
    at: datetime | None = None
    whole: bool = True
    review: str = ""


Find = Callable[[ApiClient, Document], Awaitable[Standing | None]]


@dataclass(frozen=True, slots=True)
class Twins:
    """How an effect that may stand twice is seen, where the target refuses no repeat: `find_all` lists what stands, the oldest first.

    `cancel` undoes the one with an id; None where only a person can.
    """

    find_all: Callable[[ApiClient, Document], Awaitable[list[Standing]]]
    cancel: Callable[[ApiClient, str], Awaitable[object]] | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing a target can do once: `find` looks the effect up by its natural key, `write` does it; both give the target's id.

    `find_again` looks for what stood there once and is gone; it may look further than `find`. `stale` says what a refused write means: from
    the field it blames to the entity whose reference the target knows no more. `resume` finishes what `find` found begun; `twins` is asked
    for where another process may have written it at the same time. `may_repeat` raises
    DataError where what was tried before, maybe in vain, can be tried no more at that time.
    """

    find: Find
    write: Callable[[ApiClient, Document], Awaitable[Standing]]
    find_again: Find | None = None
    stale: Mapping[str, str] = field(default_factory=dict)
    resume: Callable[[ApiClient, Document, Standing], Awaitable[Standing]] | None = None
    twins: Twins | None = None
    may_repeat: Callable[[Document, datetime], None] | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """A state that a target can be given, of which only the newest counts; it may be put again and again.

    `put` gets the version's `major` that stands there by what Towpath knows (None: none of ours), and tells whether it had to write.
    `brings` names what a dead letter may await ("entity key") that this document makes right; `stale` is as an Operation's.
    """

    put: Callable[[ApiClient, Document, int | None], Awaitable[tuple[bool, Standing]]]
    brings: Callable[[Document], str] | None = None
    stale: Mapping[str, str] = field(default_factory=dict)


class Reference(NamedTuple):
    """What {"$ref": entity, "key": key} in a document stands for: the target's id of something else."""

    entity: str
    key: str

    @classmethod
    def of(cls, part: Document) -> Reference:
        """Return what this part of a document refers to."""
        return cls(str(part["$ref"]), str(part.get("key") or ""))


class Target(Protocol):
    """One system as a target."""

    operations: Mapping[str, Operation | Update]
    creates: Mapping[str, str]
    """From the entity of a reference to the operation that makes it, so that a missing one can be created first."""


def parse_document(text: str, name: str) -> dict[str, Any]:
    """Return a mapped document; raises DataError naming it when it is no JSON object."""
    try:
        document = orjson.loads(text)
    except ValueError as error:
        raise DataError(f"{name} is not JSON: {error}", field=name) from error
    if not isinstance(document, dict):
        raise DataError(f"{name} is no JSON object", field=name)
    return document


def references(value: Any) -> Iterator[Reference]:  # noqa: ANN401 - any part of a document
    """Yield every reference in a document."""
    if isinstance(value, Mapping):
        if "$ref" in value:
            yield Reference.of(value)
            return
        value = list(value.values())
    for part in value if isinstance(value, list) else ():
        if isinstance(part, dict | list):
            yield from references(part)


def filled(value: Any, ids: Mapping[Reference, str]) -> Any:  # noqa: ANN401 - any part of a document
    """Return the document with the target's id in the place of each reference."""
    if isinstance(value, Mapping):
        if "$ref" in value:
            return ids[Reference.of(value)]
        return {name: filled(part, ids) for name, part in value.items()}
    return [filled(part, ids) for part in value] if isinstance(value, list) else value
