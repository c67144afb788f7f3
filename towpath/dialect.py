"""What a system's answers mean: its declared table from status to outcome, and how it words its refusals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


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


class Pace(NamedTuple):
    """What an answer's headers say of the limit: how many more calls it allows now, and the seconds until it allows all again."""

    remaining: int | None = None
    resets_in: float | None = None


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a system answers: its table from status to outcome (first match wins, ranges allowed), and how to read its refusals.

    `judged` gives the outcome of an answer whose body says more than its status, None where the table has it. `pace` reads the headers that
    a system sends with every answer to tell how much of its limit is left.
    """

    table: Sequence[tuple[range, str]]
    refusal: Callable[[int, str], Refusal]
    judged: Callable[[int, str], str | None] = lambda _status, _text: None
    pace: Callable[[Mapping[str, str]], Pace] = lambda _headers: Pace()

    def outcome(self, status: int, *, write: bool, text: str = "") -> str:
        """Return what an answer outside 2xx means; one that the table does not name is unknown for a write and retried for a read."""
        named = next((outcome for statuses, outcome in self.table if status in statuses), Outcome.UNKNOWN)
        outcome = self.judged(status, text) or named
        return Outcome.RETRY if outcome == Outcome.UNKNOWN and not write else outcome


def refusal_of(_status: int, text: str) -> Refusal:
    """Return a plain-text refusal as its own message."""
    return Refusal(text[:600])
