"""What is known of an effect when it is claimed, and the dead letters that are noted at it. No I/O."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from towpath.delivery.deadletters import dated, failed_last


class State(enum.StrEnum):
    """What is known of an effect."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


Order = tuple[int, int]
"""A version as (major, minor)."""


class Blamed(NamedTuple):
    """A dead letter of an effect: the version that failed, None of a one-shot effect, and when it failed last."""

    version: Order | None
    last_at: datetime


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
    dead_letters: Mapping[str, Blamed] = field(default_factory=dict)
    version: Order | None = None
    external_at: datetime | None = None
    taken: bool = False

    def closed_by(self, version: Order | None) -> dict[str, datetime]:
        """Return the dead letters that end when this version stands, each with when it failed last: of a one-shot effect all.

        Else not those of a newer version.
        """
        ended = {letter: one for letter, one in self.dead_letters.items() if version is None or one.version is None or one.version <= version}
        return {letter: one.last_at for letter, one in ended.items()}


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


def _blamed(note: str) -> tuple[str, Blamed]:
    named, _, version = note.partition("@")
    major, _, minor = version.partition(".")
    letter, last_at = failed_last(named)
    return letter, Blamed((int(major), int(minor)) if version else None, last_at)


def note_of(letter: str, version: Order | None, last_at: datetime) -> str:
    """Return how a dead letter stands in the row of the effect that failed: `id~time` or `id~time@major.minor`, with when it failed last.

    Empty for an id that none of ours has.
    """
    if not letter.isascii() or not letter.isprintable() or {" ", "@"} & {*letter}:
        return ""
    named = dated(letter, last_at)
    return named if version is None else f"{named}@{version[0]}.{version[1]}"


def without(notes: str, letters: Collection[str]) -> str:
    """Return the notes of a row without those of these dead letters."""
    return " ".join(note for note in notes.split() if _blamed(note)[0] not in letters)
