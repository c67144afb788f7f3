"""What a system's answers mean: its declared table from status to outcome, and how it words its refusals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


class Outcome:
    """What an answer means for the record: names for the right column of a system's table."""

    DATA = "data"
    RETRY = "retry"
    THROTTLED = "throttled"
    SYSTEM = "system"
    UNKNOWN = "unknown"
    MISSING = "missing"


USUAL = (
    (range(401, 402), Outcome.SYSTEM),
    (range(403, 404), Outcome.SYSTEM),
    (range(404, 405), Outcome.MISSING),
    (range(408, 409), Outcome.RETRY),
    (range(423, 424), Outcome.RETRY),
    (range(425, 426), Outcome.RETRY),
    (range(429, 430), Outcome.THROTTLED),
    (range(400, 500), Outcome.DATA),
    (range(503, 504), Outcome.RETRY),
    (range(500, 600), Outcome.UNKNOWN),
)
"""The table of a system that refuses with 503 before it does anything; after any other 5xx it may have committed."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a system words a refusal: (message, field), either empty where it does not say."""

    message: str = ""
    field: str = ""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a system answers: its table from status to outcome (first match wins, ranges allowed), and how to read its refusals."""

    table: Sequence[tuple[range, str]]
    refusal: Callable[[int, str], Refusal]

    def outcome(self, status: int, *, write: bool) -> str:
        """Return what a status outside 2xx means; one that the table does not name is unknown for a write and retried for a read."""
        for statuses, outcome in self.table:
            if status in statuses:
                return Outcome.RETRY if outcome == Outcome.UNKNOWN and not write else outcome
        return Outcome.UNKNOWN if write else Outcome.RETRY


def refusal_of(_status: int, text: str) -> Refusal:
    """Return a plain-text refusal as its own message."""
    return Refusal(text[:600])
