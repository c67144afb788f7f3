"""Kafka records as values: what was read, what is to be sent, and the headers Towpath adds. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

Headers = Sequence[tuple[str, bytes]]

DEAD_LETTER: Final = "towpath-dead-letter"
ATTEMPTS: Final = "towpath-attempts"
FIRST_AT: Final = "towpath-first-at"
REPLAYS: Final = "towpath-replays"
GROUP: Final = "towpath-group"
FLOW: Final = "towpath-flow"
OURS: Final = frozenset({DEAD_LETTER, ATTEMPTS, FIRST_AT, REPLAYS, GROUP, FLOW})
MOST: Final = 1_000_000
"""More attempts or replays than this are forged."""


_TRACE = re.compile(r"(?!0{32})[0-9a-f]{32}")


def is_trace_id(text: str) -> bool:
    """Tell whether the text is a W3C trace id: 32 lower-case hex digits, not all zero."""
    return _TRACE.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Record:
    """One Kafka record as it was read; `timestamp` is the broker's, in seconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp: float
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    def header(self, name: str) -> str | None:
        """Return the last header of that name as text, None when there is none."""
        found = [value for header, value in self.headers if header == name]
        return (found[-1] or b"").decode("utf-8", "replace") if found else None

    @property
    def replay(self) -> Replay | None:
        """Return what the replay headers say; None on a record that no operator sent again, or whose headers are forged nonsense."""
        dead_letter_id = self.header(DEAD_LETTER)
        if dead_letter_id is None:
            return None
        try:
            return Replay(
                dead_letter_id,
                _count(self.header(ATTEMPTS)),
                datetime.fromisoformat(self.header(FIRST_AT) or "").astimezone(UTC),
                _count(self.header(REPLAYS)),
                self.header(GROUP) or "",
                self.header(FLOW) or "",
            )
        except (ValueError, OverflowError):
            return None


def _count(text: str | None) -> int:
    number = int(text or 0)
    if not 0 <= number <= MOST:
        raise ValueError(f"{number} is no count")
    return number


class Replay(NamedTuple):
    """A record that is played again: the dead letter it stands for, what was tried before, and the only group and flow it is meant for."""

    dead_letter_id: str
    attempts: int
    first_at: datetime
    replays: int
    group: str
    flow: str = ""

    def headers(self) -> list[tuple[str, bytes]]:
        """Return the headers that say so."""
        pairs = {
            DEAD_LETTER: self.dead_letter_id,
            ATTEMPTS: str(self.attempts),
            FIRST_AT: self.first_at.isoformat(),
            REPLAYS: str(self.replays),
            GROUP: self.group,
            FLOW: self.flow,
        }
        return [(name, text.encode()) for name, text in pairs.items()]


class Output(NamedTuple):
    """One record to send; `key` decides the partition."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
