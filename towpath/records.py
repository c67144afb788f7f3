"""Kafka records as values: what was read, what is to be sent, and the headers Towpath adds. No I/O."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

Headers = Sequence[tuple[str, bytes]]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
TRACEPARENT: Final = "traceparent"
TRACE_PARTS: Final = 4
"""Version, trace, parent and flags."""
DEAD_LETTER: Final = "towpath-dead-letter"
ATTEMPTS: Final = "towpath-attempts"
FIRST_AT: Final = "towpath-first-at"
LAST_AT: Final = "towpath-last-at"
REPLAYS: Final = "towpath-replays"
GROUP: Final = "towpath-group"
FLOW: Final = "towpath-flow"
REPLAY: Final = "towpath-replay"
FORCE: Final = "towpath-force"
FAILED_AT: Final = "towpath-failed-at"
ORIGIN: Final = "towpath-origin"
"""The offset that a replayed record had at first; not among `OURS`, so that it stays with the record however often it is replayed."""
OURS: Final = frozenset({DEAD_LETTER, ATTEMPTS, FIRST_AT, LAST_AT, REPLAYS, GROUP, FLOW, REPLAY, FORCE, FAILED_AT})
LATEST: Final = 253_402_300_799.0
"""The last second of the year 9999."""
LAST_YEAR: Final = 9000
"""A time later than this is forged: nothing can be said to be later still."""
MOST: Final = 1_000_000
"""More attempts or replays than this are forged."""
LONGEST_OFFSET: Final = 19
LONGEST_ID: Final = 40
"""A dead letter's id is a UUID; what is longer is forged."""


_TRACE = re.compile(r"(?!0{32})[0-9a-f]{32}")


def is_trace_id(text: str) -> bool:
    """Tell whether the text is a W3C trace id: 32 lower-case hex digits, not all zero."""
    return _TRACE.fullmatch(text) is not None


def new_trace(*parts: str) -> tuple[str, bytes]:
    """Return the W3C `traceparent` header that begins a trace; equal parts begin the same one, so that what is sent again keeps it."""
    trace = hashlib.sha256("/".join(parts).encode("utf-8", "replace")).hexdigest()
    return TRACEPARENT, f"00-{trace[:32]}-{trace[32:48]}-01".encode()


class Record(NamedTuple):
    """One Kafka record as it was read; `timestamp` is the broker's, in seconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp: float
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def written_at(self) -> datetime:
        """Return the broker's time, UTC; a record may claim any, so it is brought into the years 1970 to 9999."""
        return datetime.fromtimestamp(max(0.0, min(LATEST, self.timestamp)), UTC)

    def header(self, name: str) -> str | None:
        """Return the last header of that name as text, None when there is none."""
        found = [value for header, value in self.headers if header == name]
        return (found[-1] or b"").decode("utf-8", "replace") if found else None

    @property
    def trace_id(self) -> str:
        """Return the W3C trace id of the record, or empty where it has none or a forged one."""
        parts = (self.header(TRACEPARENT) or "").split("-")
        return parts[1] if len(parts) == TRACE_PARTS and is_trace_id(parts[1]) else ""

    @property
    def origin(self) -> int:
        """Return the offset that the record had when it was first written, whether it is a replay or not."""
        return self.offset if self.replay is None else self.first_offset

    @property
    def first_offset(self) -> int:
        """Return the offset that the record says to have had at first, its own where it says none."""
        text = self.header(ORIGIN)
        return int(text) if text and text.isascii() and text.isdigit() and len(text) < LONGEST_OFFSET else self.offset

    @property
    def as_new(self) -> Record:
        """Return the record as one that nobody sent again."""
        return self._replace(headers=[(name, value) for name, value in self.headers if name not in OURS])

    @property
    def replay(self) -> Replay | None:
        """Return what the replay headers say; None on a record that no operator sent again, or whose headers are forged nonsense."""
        for name, _ in self.headers:
            if name in (DEAD_LETTER, REPLAY):
                break
        else:
            return None  # as nearly every record: it is asked many times of each
        dead_letter_id, replay_id = self.header(DEAD_LETTER), self.header(REPLAY)
        if dead_letter_id and (len(dead_letter_id) > LONGEST_ID or not dead_letter_id.isprintable()):
            return None
        try:
            return Replay(
                dead_letter_id or "",
                _count(self.header(ATTEMPTS)),
                _moment(self.header(FIRST_AT)) if dead_letter_id is not None else EPOCH,
                _count(self.header(REPLAYS)),
                self.header(GROUP) or "",
                self.header(FLOW) or "",
                replay_id or "",
                self.header(FORCE) == "1",
                self.header(FAILED_AT) or "",
                _moment(self.header(LAST_AT) or EPOCH.isoformat()),
            )
        except (ValueError, OverflowError):
            return None


def _moment(text: str | None) -> datetime:
    moment = datetime.fromisoformat(text or "").astimezone(UTC)
    if moment.year > LAST_YEAR:
        raise ValueError(f"{moment} is no time of ours")
    return moment


def _count(text: str | None) -> int:
    number = int(text or 0)
    if not 0 <= number <= MOST:
        raise ValueError(f"{number} is no count")
    return number


class Replay(NamedTuple):
    """A record that is played again: the dead letter it stands for, what was tried before, and the only group and flow it is meant for.

    One that stands for no dead letter (`towpath replay`) has a `replay_id` and goes through every hop; `force` has updates done again. One whose
    dead letter is mapped anew goes on to the group where that `failed_at`. `last_at` is when it failed last, by the clock of whoever it failed at:
    what becomes of it is told as no earlier, for that clock may have been ahead.
    """

    dead_letter_id: str
    attempts: int
    first_at: datetime
    replays: int
    group: str
    flow: str = ""
    replay_id: str = ""
    force: bool = False
    failed_at: str = ""
    last_at: datetime = EPOCH

    @property
    def closes(self) -> dict[str, datetime]:
        """Return the dead letter that its success closes, with when that failed last; nothing where it stands for none."""
        return {self.dead_letter_id: self.last_at} if self.dead_letter_id else {}

    @property
    def onward(self) -> list[tuple[str, bytes]]:
        """Return the headers for the next hop: a replay of a dead letter ends at the hop that failed."""
        if self.failed_at:
            return self._replace(group=self.failed_at, failed_at="").headers()
        return [] if self.dead_letter_id else self.headers()

    def headers(self) -> list[tuple[str, bytes]]:
        """Return the headers that say so."""
        if not self.dead_letter_id:
            again = {REPLAY: self.replay_id, GROUP: self.group, FLOW: self.flow, FORCE: "1" if self.force else ""}
            return [(name, text.encode()) for name, text in again.items() if text]
        pairs = {
            DEAD_LETTER: self.dead_letter_id,
            ATTEMPTS: str(self.attempts),
            FIRST_AT: self.first_at.isoformat(),
            LAST_AT: self.last_at.isoformat(),
            REPLAYS: str(self.replays),
            GROUP: self.group,
            FLOW: self.flow,
        }
        if self.failed_at:
            pairs[FAILED_AT] = self.failed_at
        return [(name, text.encode()) for name, text in pairs.items()]


class Output(NamedTuple):
    """One record to send; `key` decides the partition."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
