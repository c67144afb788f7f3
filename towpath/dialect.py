"""What a system's answers mean: its declared table from status to outcome, and how it words its refusals."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

from towpath.records import EPOCH

_NUMBER: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


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


def seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """Return how long `Retry-After` asks to wait, at most an hour: seconds, or a time that is compared with the answer's own `Date`."""
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    if _NUMBER.fullmatch(text):
        return min(3600.0, float(text))
    try:
        until, sent_at = parsedate_to_datetime(text), parsedate_to_datetime(headers.get("Date", ""))
        return max(0.0, min(3600.0, (until - sent_at).total_seconds()))
    except (ValueError, TypeError):
        return None


@functools.lru_cache(16)  # hundreds of answers have the same one
def moment_of(date: str) -> datetime | None:
    """Return the time that an answer's `Date` says, None where it could be none."""
    try:
        moment = parsedate_to_datetime(date)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment >= EPOCH else None
