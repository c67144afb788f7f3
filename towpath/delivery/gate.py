"""What stands between the lanes of a connection and its system: the rate budget, the pause it asked for, and the circuit."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from towpath.clock import Clock
from towpath.delivery.budget import PROBE_SECONDS, VIEW_SECONDS, Ask, Budget, OwnBudget, Priority, Terms, Told
from towpath.delivery.nap import Nap

OPENS_AFTER: Final = 5
RESOLUTION: Final = 1e-6  # seconds that two clocks may differ by in what is left of a pause, by rounding
OVERSLEPT: Final = 1.0  # seconds after which booked tokens are no longer there: the process was stopped


class Gate:
    """Lets calls through one connection: at the declared rate, by priority, not while it asked us to wait, and only probes while it is down.

    All of that holds for every process that has the same `budget`; without one, for this process alone.

    Args:
        rate: calls a second, None for no limit of our own
        burst: calls at once before the rate applies
        probe_seconds: the pause between two probes, and before the first
    """

    def __init__(
        self, clock: Clock, *, rate: float | None = None, burst: int = 1, probe_seconds: float = PROBE_SECONDS, budget: Budget | None = None
    ) -> None:
        self.clock = clock
        self.terms = Terms(rate, burst, probe_seconds)
        self._budget = budget or OwnBudget(clock.monotonic)
        self._lines = {priority: _Line(self, priority) for priority in Priority}
        self._paused_until = 0.0
        self._open = False
        self._faults, self._first_fault = 0, 0.0
        self._news = _News()
        self.probing: asyncio.Task[Any] | None = None
        """Whose call is the latest probe of this process."""
        self._nap = Nap(clock)
        self._watching: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether the circuit is open: the system as a whole does not answer."""
        return self._open

    async def enter(self, priority: Priority = Priority.ORDERS) -> None:
        """Return when a call may be made now; while the circuit is open, a caller goes through as a probe now and then."""
        await self._lines[priority].enter()

    def answered(self) -> None:
        """Note that the system answered: the circuit closes."""
        self._faults = 0
        self._news.answered_at, self._news.down_since = self.clock.monotonic(), None
        if self._open:
            self._turn(is_open=False)
            self.watch()

    def throttled(self, seconds: float) -> None:
        """Note that the system asked to wait: normal flow control, and no fault."""
        until = self.clock.monotonic() + seconds
        self._paused_until, self._news.paused_until = max(self._paused_until, until), max(self._news.paused_until, until)
        self.watch()

    def failed(self) -> None:
        """Note a fault of the whole system; after several in a row the circuit opens."""
        if self._open:
            if self.probing is asyncio.current_task():
                self._news.probed_at, self.probing = self.clock.monotonic(), None
                self.watch()
            return
        if self._faults == 0:
            self._first_fault = self.clock.monotonic()
        self._faults += 1
        if self._faults >= OPENS_AFTER:
            self._news.down_since = self._first_fault
            self._turn(is_open=True)
            self.watch()

    def watch(self) -> None:
        """Tell the other processes what is new at once, and from now on learn within a second what they found."""
        self._nap.wake()
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Give back what was leased; who waits is left waiting."""
        tasks = [task for task in (self._watching, *(line.serving for line in self._lines.values())) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for line in self._lines.values():
            self.give_back(line.take_all())
        if self._budget.shared:
            await self.exchange()

    @property
    def holds_up(self) -> bool:
        """Tell whether no call may go out now."""
        return self._open or self.clock.monotonic() < self._paused_until - RESOLUTION

    async def exchange(self, waiting: int = 0, priority: Priority = Priority.ORDERS, *, is_due: bool = False) -> Told:
        """Tell what is new, ask for tokens, and learn how the connection stands."""
        for line in self._lines.values():
            if not line.is_supplied:
                self.give_back(line.take_all())
        ask, self._news = self._news.ask(self.clock.monotonic(), waiting, priority, is_due=is_due), _News()
        told = await self._budget.exchange(self.terms, ask)
        if told.pause > 0:
            self._paused_until = max(self._paused_until, self.clock.monotonic() + told.pause)
        if told.is_open != self._open and self._news.answered_at is None and self._news.down_since is None:  # nothing newer is known here
            self._turn(is_open=told.is_open)
        return told

    def give_back(self, tokens: float) -> None:
        """Note tokens that were leased and not spent."""
        if self.terms.rate is not None:
            self._news.unused += tokens

    def _turn(self, *, is_open: bool) -> None:
        self._open = is_open
        if not is_open:
            self._faults = 0
            for line in self._lines.values():
                line.nap.wake()

    async def _watch(self) -> None:
        while True:
            self._nap.called = False
            await self.exchange()
            if not self._budget.shared and not self._nap.called:
                return
            await self._nap.rest(VIEW_SECONDS)


@dataclass(slots=True)
class _News:
    """What is not told yet: tokens to give back, and moments of the process's own clock."""

    unused: float = 0.0
    paused_until: float = 0.0
    answered_at: float | None = None
    down_since: float | None = None
    probed_at: float | None = None

    def ask(self, now: float, waiting: int, priority: Priority, *, is_due: bool) -> Ask:
        """Return it as it is told now, with what is wanted."""
        moments = (self.answered_at, self.down_since, self.probed_at)
        ago = (None if moment is None else now - moment for moment in moments)
        return Ask(waiting, priority, is_due, self.unused, max(0.0, self.paused_until - now), *ago)


class _Line:
    """The callers of one priority, in the order in which they came."""

    def __init__(self, gate: Gate, priority: Priority) -> None:
        self._gate, self._priority = gate, priority
        self.tokens, self._good_until = 0.0, 0.0
        self.nap = Nap(gate.clock)
        self.serving: asyncio.Task[None] | None = None
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._is_due = False

    @property
    def is_supplied(self) -> bool:
        """Tell whether it has tokens that may still be spent."""
        return self.tokens >= 1 and self._gate.clock.monotonic() <= self._good_until

    def take_all(self) -> float:
        """Return its tokens, which it then has no more."""
        tokens, self.tokens = self.tokens, 0.0
        return tokens

    async def enter(self) -> None:
        """Return when a call may be made now."""
        if not self._waiting and self.is_supplied and not self._gate.holds_up:
            self.tokens -= 1
            return
        let_in: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(let_in)
        if self.serving is None or self.serving.done():
            self.serving = asyncio.create_task(self._serve())
        try:
            if await let_in:
                self._gate.probing = asyncio.current_task()
        except asyncio.CancelledError:
            if let_in in self._waiting:
                self._waiting.remove(let_in)
            elif not let_in.cancelled():  # it was let in at the same moment
                self.tokens += 1
            raise

    async def _serve(self) -> None:
        self._is_due = False
        try:
            while self._waiting:
                await self._supply()
        except Exception as error:  # noqa: BLE001 - a bug must not leave them waiting for ever
            while self._waiting:
                self._let_in(error)

    async def _supply(self) -> None:
        gate, self.nap.called = self._gate, False
        told = await gate.exchange(len(self._waiting), self._priority, is_due=self._is_due)
        self._is_due = not (told.tokens or told.pause or told.is_open)
        if told.probe:
            self._let_in(is_probe=True)
        elif not told.tokens:
            await self.nap.rest(told.wait)
        else:
            await self._spend(told.tokens, told.wait)

    async def _spend(self, tokens: float, wait: float) -> None:
        gate = self._gate
        granted_at = gate.clock.monotonic()
        try:
            if wait > 0:
                await gate.clock.sleep(wait)
        except asyncio.CancelledError:
            gate.give_back(tokens)
            raise
        if gate.holds_up or gate.clock.monotonic() > granted_at + wait + OVERSLEPT:
            gate.give_back(tokens)
            return
        self.tokens, self._good_until = self.tokens + tokens, granted_at + gate.terms.hold
        while self._waiting and self.tokens >= 1:
            self.tokens -= self._let_in()

    def _let_in(self, error: Exception | None = None, *, is_probe: bool = False) -> int:
        """Let the first caller in, or tell it what is wrong; return how many that were: one that was cancelled just now is none."""
        let_in = self._waiting.popleft() if self._waiting else None
        if let_in is None or let_in.done():
            return 0
        if error is None:
            let_in.set_result(is_probe)
        else:
            let_in.set_exception(error)
        return 1
