"""One effect: as it is asked for, and what became of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import orjson

from sinks.base import Document, Operation, Reference, Twins, Update
from sinks.doubt import Doubted
from towpath.delivery.books import NONE
from towpath.delivery.claims import Claim, Order, State, stands
from towpath.delivery.ledger import Effect


class Effected(NamedTuple):
    """What became of an effect: applied (written now), found (it stood at the target), unchanged (it was done before) or superseded (by a newer)."""

    outcome: str
    external_id: str
    external_at: datetime | None = None
    closes: Mapping[str, datetime] = NONE
    reason: str = ""


class Wanted(NamedTuple):
    """One effect as it is asked for: `refers` is what its document refers to; `version` is None where it is one-shot."""

    effect: Effect
    operation: Operation | Update
    document: Document
    refers: tuple[Reference, ...]
    version: Order | None
    within: frozenset[Effect] = frozenset()
    """This effect, and those that wait for it: it may refer to none of them."""
    again: bool = False
    doubted: Doubted | None = None

    @property
    def twins(self) -> Twins | None:
        """Return how one that stands twice is seen, None where that is not known, or cannot be."""
        return self.operation.twins if isinstance(self.operation, Operation) else None

    @property
    def looks(self) -> bool:
        """Tell whether the target is asked, though it is done, if it stands twice: where it is to be done again what is done once."""
        return self.again and self.twins is not None

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the document, in hex."""
        return hashlib.sha256(orjson.dumps(self.document, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def done_by(self, known: Claim) -> bool:
        """Tell whether what is known makes a call needless."""
        return known.state == State.DONE if self.version is None else stands(known.version, self.version, again=self.again)

    def unchanged(self, known: Claim) -> Effected:
        """Return the outcome where it is done already: unchanged, or superseded where a newer version stands."""
        outcome = "superseded" if known.version is not None and known.version != self.version else "unchanged"
        other = outcome == "unchanged" and known.state == State.DONE and known.digest not in ("", self.digest)  # else it is that of a newer one
        reason = "the content changed after it was written; the change was not applied" if other else ""
        return Effected(outcome, known.external_id, known.external_at, known.closed_by(known.version), reason)

    def stale(self, field_at_fault: str) -> str | None:
        """Return the entity whose reference the target knows no more where it blames this field, None where that is another matter."""
        return self.operation.stale.get(field_at_fault)
