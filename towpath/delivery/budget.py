"""The budget of one connection: which calls may go out, and when. Rules without I/O, the same in one process and over a database.

A bucket of tokens is refilled at the declared rate; each call takes one. Whoever finds it empty books tokens that are still to come and
waits until they are there, so that all who wait are served in turn. Lower priorities leave a part of the bucket to those before them: where
there is no more than that, they wait for as long as it should take until there is, and then book one token as everybody does: so nobody
waits for ever. A call goes out at most `Terms.hold` after its token was there, and the bucket is smaller than the system's own by what
comes in during that time: so no system sees more calls at once than declared.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

LEASE_SECONDS: Final = 0.25
VIEW_SECONDS: Final = 1.0
PROBE_SECONDS: Final = 10.0


class Priority(enum.IntEnum):
    """What a call is for, the most urgent first."""

    ORDERS = 0
    SHIPMENTS = 1
    STOCK = 2
    POLLING = 3
    BACKFILL = 4


LEAVES: Final[Mapping[Priority, float]] = {
    Priority.ORDERS: 0.0,
    Priority.SHIPMENTS: 1 / 8,
    Priority.STOCK: 1 / 4,
    Priority.POLLING: 1 / 2,
    Priority.BACKFILL: 3 / 4,
}
"""The part of the bucket that each priority leaves to those before it."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a connection's system allows: `rate` calls a second (None: any number), `burst` at once; and the pause between two probes of it."""

    rate: float | None = None
    burst: int = 1
    probe_seconds: float = PROBE_SECONDS

    @property
    def hold(self) -> float:
        """Return how many seconds a token may be kept before its call; 0 where the bucket is too small for any delay."""
        return VIEW_SECONDS if self.rate is None else min(LEASE_SECONDS, (self.burst - 1) / (2 * self.rate))

    @property
    def capacity(self) -> float:
        """Return how many tokens the bucket holds, at least 1."""
        return 0.0 if self.rate is None else self.burst - self.rate * self.hold

    @property
    def batch(self) -> int:
        """Return how many tokens may be booked in one go: the first of them is kept until the last is there."""
        return 1 + int((self.rate or 0.0) * self.hold)

    def left_by(self, priority: Priority) -> float:
        """Return how many tokens a priority leaves to those before it; where the bucket is small, it can have one all the same."""
        return LEAVES[priority] * (self.capacity - 1)

    def longest_wait(self, priority: Priority, lines: int) -> float:
        """Return the seconds after which whoever is first in its line has a token, where so many lines (one a process and priority) want some."""
        if self.rate is None:
            return 0.0
        booked = lines * self.batch
        before = self.left_by(priority) + booked + self.batch if priority else 0.0
        return (before + booked) / self.rate


class Ask(NamedTuple):
    """What a process tells and wants: tokens for `waiting` callers of one priority. Times are seconds ago, so that clocks need not agree."""

    waiting: int = 0
    priority: Priority = Priority.ORDERS
    is_due: bool = False
    """Whether the first of them has waited once as it was told."""
    unused: float = 0.0
    """Tokens that are given back."""
    pause: float = 0.0
    """For how many seconds more the system asked to wait."""
    answered: float | None = None
    """When the system answered last, since the last time that this was told."""
    down: float | None = None
    """When the first of several faults in a row was, where the system is found down."""
    probed: float | None = None
    """When a probe failed: the pause begins then, so that two are never nearer to each other than that, however long one takes."""

    @property
    def changes(self) -> bool:
        """Tell whether there is more to it than a look."""
        return self != Ask()


class Told(NamedTuple):
    """What a process is told: `tokens` that are there after `wait` seconds, or no tokens, and to ask again after `wait`; `probe` is for one call."""

    tokens: float
    wait: float
    probe: bool
    pause: float
    is_open: bool


@dataclass(slots=True)
class Standing:
    """How a connection stands, in seconds of one clock; `tokens` below 0 are booked, `down_since` and `probe_at` count while the circuit is open."""

    tokens: float
    at: float
    paused_until: float = 0.0
    answered_at: float = 0.0
    down_since: float | None = None
    probe_at: float = 0.0

    @classmethod
    def new(cls, terms: Terms, now: float) -> Standing:
        """Return that of a connection of which nothing is known."""
        return cls(terms.capacity, now)

    def exchange(self, terms: Terms, ask: Ask, now: float) -> Told:
        """Note what a process tells and return what it is told."""
        self._pass_time(terms, now)
        self._note(terms, ask)
        tokens, wait, probe = self._grant(terms, ask) if ask.waiting else (0.0, 0.0, False)
        return Told(tokens, wait, probe, max(0.0, self.paused_until - now), self.down_since is not None)

    def _pass_time(self, terms: Terms, now: float) -> None:
        if now < self.at:  # the clock was set back: everything lies as far from now as it did
            back = self.at - now
            self.paused_until, self.answered_at, self.probe_at = self.paused_until - back, self.answered_at - back, self.probe_at - back
            self.down_since = None if self.down_since is None else self.down_since - back
            self.at = now
        self.tokens = min(terms.capacity, self.tokens + (now - self.at) * (terms.rate or 0.0))
        self.at = now

    def _note(self, terms: Terms, ask: Ask) -> None:
        self.tokens = min(terms.capacity, self.tokens + ask.unused)
        if ask.pause > 0:
            self.paused_until = max(self.paused_until, self.at + ask.pause)
            self.tokens = min(self.tokens, 0.0)  # the system's bucket is empty, whatever ours said
        if ask.answered is not None:
            self.answered_at = max(self.answered_at, self.at - ask.answered)
        if ask.down is not None and self.down_since is None:
            self.down_since, self.probe_at = self.at - ask.down, self.at + terms.probe_seconds
        if ask.probed is not None:
            self.probe_at = max(self.probe_at, self.at - ask.probed + terms.probe_seconds)
        if self.down_since is not None and self.answered_at > self.down_since:  # it answered somebody since: it is not down as a whole
            self.down_since = None

    def _grant(self, terms: Terms, ask: Ask) -> tuple[float, float, bool]:
        if self.at < self.paused_until:
            return 0.0, self.paused_until - self.at, False
        if self.down_since is not None and self.at < self.probe_at:
            return 0.0, self.probe_at - self.at, False
        if self.down_since is not None:
            self.probe_at = self.at + terms.probe_seconds
            self.tokens -= 1.0
            return 1.0, 0.0, True
        if terms.rate is None:
            return math.inf, 0.0, False
        level = self.tokens - terms.left_by(ask.priority)
        wanted = min(ask.waiting, terms.batch)
        if level >= 1:
            wanted = min(int(level), max(ask.waiting, int(terms.rate * terms.hold)))
        elif ask.priority and not ask.is_due:
            room = max(1.0, (terms.capacity - terms.left_by(ask.priority)) / 2)  # to wait for more would let tokens run over
            return 0.0, (min(wanted, room) - level) / terms.rate, False
        elif ask.priority:  # others draw on what it leaves to them
            wanted = 1
        self.tokens -= wanted
        return float(wanted), max(0.0, -self.tokens) / terms.rate, False


class Budget(Protocol):
    """The budget of one connection; `shared` where other processes spend it as well."""

    shared: bool

    async def exchange(self, terms: Terms, ask: Ask) -> Told:
        """Tell and be told; it never fails for reasons outside of this process."""
        ...


class OwnBudget:
    """A budget that one process spends alone; `now` returns seconds."""

    shared = False

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.standing: Standing | None = None

    async def exchange(self, terms: Terms, ask: Ask) -> Told:
        """Tell and be told."""
        now = self._now()
        if self.standing is None:
            self.standing = Standing.new(terms, now)
        return self.standing.exchange(terms, ask, now)
