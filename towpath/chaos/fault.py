"""What a fault is, what a run asks for, and what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from towpath.chaos.arena import Arena

INVARIANTS = ("I1", "I2", "I3", "I4", "I5", "I6")
BOUNDS = "bounds"
RECOVERY_SECONDS = 60.0
TWINS_COUNTED = "twins counted"
"""The note of how many orders that a fault may have written twice were cancelled and counted again."""
EVENTS_AN_ORDER = 6
"""What an order leads to, roughly: it is placed, paid, shipped once or twice, its status changes, and the stock of its products."""

Inject = Callable[["Arena"], Awaitable[int]]
Judge = Callable[["Arena"], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Run:
    """What is asked for: so many events at least, of traffic that the seed decides, and as many injections as belong to them."""

    events: int
    seed: int

    @property
    def orders(self) -> int:
        """Return how many orders lead to so many events."""
        return max(10, self.events // EVENTS_AN_ORDER)

    def share_of(self, times: int, least: int = 2) -> int:
        """Return how often to inject what is injected `times` times in a run of 5,000 events."""
        return min(times, max(least, times * self.events // 5_000))


@dataclass(frozen=True, slots=True)
class Needs:
    """How a stack must be set up for a fault.

    `workers` are roles that run as processes which the harness starts and kills itself, and how many of each; `hops` those that lead through
    a proxy; `config` changes the configuration.
    """

    workers: Mapping[str, int] = field(default_factory=dict)
    hops: Sequence[str] = ()
    config: Callable[[dict[str, Any]], None] | None = None
    sandbox: Mapping[str, Any] = field(default_factory=dict)
    """Settings of both sandbox systems, over those of the pair; None takes one away."""
    erp: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the ERP's alone, over these."""
    disks: Mapping[str, int] = field(default_factory=dict)
    """Folders of the stack that are disks of their own, of so many megabytes; those above others first."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `inject` does it while traffic flows, and returns how often; `judge` says, when all has settled, what broke its own bounds."""

    name: str
    what: str
    inject: Inject
    needs: Needs = field(default_factory=Needs)
    judge: Judge | None = None
    letters: bool = False
    """Whether it may leave dead letters."""
    drained: Callable[[Arena, float], Awaitable[bool]] | None = None
    """Tells whether the target had as much to do as it can for so many seconds after the fault: then it decides when all that waited is done."""
    settles: bool = True
    """Whether it is judged when nothing moves any more; else at once, as what it leaves need not come to rest."""
    breaks: str = ""
    """The invariant that must be found broken, of a negative control; empty for a fault, which must break none."""
    impossible: Callable[[], str] | None = None
    """Says why it cannot be injected on this machine, empty where it can."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a fault did: how often it was injected, what it broke by invariant, and how long recovery took (seconds; None: it never did)."""

    fault: Fault
    seed: int
    injected: int
    violations: Mapping[str, Sequence[str]]
    recovery_s: float | None
    skipped: str = ""
    """Why it could not be injected on this machine, which breaks nothing and shows nothing."""

    @classmethod
    def none(cls, fault: Fault, seed: int, why: str) -> Outcome:
        """Return that of a fault that cannot be injected here."""
        return cls(fault, seed, 0, {name: [] for name in (*INVARIANTS, BOUNDS)}, None, why)

    @property
    def holds(self) -> bool:
        """Tell whether it was injected and broke nothing; of a control, whether what it had to break was found broken."""
        if self.skipped:
            return True
        if self.fault.breaks:
            return self.injected > 0 and bool(self.violations[self.fault.breaks])
        return self.injected > 0 and not any(self.violations.values())

    def told(self) -> dict[str, Any]:
        """Return it as one JSON object; `why` names what was found, the first ten of each."""
        kind = {"control": self.fault.name, "caught": self.holds, "breaks": self.fault.breaks} if self.fault.breaks else {"fault": self.fault.name}
        return {
            **kind,
            **({"skipped": self.skipped} if self.skipped else {}),
            "seed": self.seed,
            "injected": self.injected,
            "violations": {name: len(found) for name, found in self.violations.items()},
            "recovery_s": self.recovery_s,
            "why": [f"{name}: {one}" for name, found in self.violations.items() for one in list(found)[:10]],
        }
