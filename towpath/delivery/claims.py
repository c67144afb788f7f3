"""What is known of an effect when it is claimed, and the dead letters that are noted at it. No I/O."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa


class State(enum.StrEnum):
    """What is known of an effect."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


Order = tuple[int, int]
"""A version as (major, minor)."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What `begin` found: `fresh` (nothing was ever sent), `mine` (go on; look up first) or neither (another owner works on it).

    `wait` is the seconds until the caller may act: until another's lease has run out, or until a request whose outcome is unknown has settled.
    `version` is the one that stands at the target, of a state-like effect. `taken` says that another owner left it unfinished: it may still be at it.
    """

    state: State
    mine: bool
    fresh: bool
    wait: float
    external_id: str = ""
    digest: str = ""
    dead_letters: Mapping[str, Order | None] = field(default_factory=dict)
    version: Order | None = None
    external_at: datetime | None = None
    taken: bool = False

    def closed_by(self, version: Order | None) -> frozenset[str]:
        """Return the dead letters that end when this version stands: all of a one-shot effect, else not those of a newer version."""
        return frozenset(letter for letter, failed in self.dead_letters.items() if version is None or failed is None or failed <= version)


FRESH = Claim(State.PENDING, mine=True, fresh=True, wait=0.0)


def stands(known: Order | None, wanted: Order, *, again: bool = False) -> bool:
    """Tell whether the version that stands at the target makes `wanted` needless; where it is to be done `again`, only a newer one does."""
    return known is not None and (known > wanted if again else known >= wanted)


def known_of(row: sa.Row[Any]) -> dict[str, Any]:
    """Return what the row of an effect tells, as a claim has it."""
    return {
        "external_id": row.external_id,
        "external_at": None if row.external_at is None else datetime.fromtimestamp(row.external_at, UTC),
        "digest": row.digest,
        "dead_letters": dict(map(_blamed, row.dead_letters.split())),
        "version": None if row.major is None else (row.major, row.minor),
    }


def _blamed(note: str) -> tuple[str, Order | None]:
    letter, _, version = note.partition("@")
    major, _, minor = version.partition(".")
    return letter, (int(major), int(minor)) if version else None


def note_of(letter: str, version: Order | None) -> str:
    """Return how a dead letter stands in the row of the effect that failed; empty for an id that none of ours has."""
    if not letter.isascii() or not letter.isprintable() or {" ", "@"} & {*letter}:
        return ""
    return letter if version is None else f"{letter}@{version[0]}.{version[1]}"


def without(notes: str, letters: Collection[str]) -> str:
    """Return the notes of a row without those of these dead letters."""
    return " ".join(note for note in notes.split() if _blamed(note)[0] not in letters)
