"""What a benchmark brings home: figures by contestant and round, their medians and spans, ratios round by round, and what was wrong."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

Figures = Mapping[str, float]
"""By name; the unit ends the name: `_s`, `_ms`, `_mb`, `_per_s`."""


@dataclass(frozen=True, slots=True)
class Taken:
    """One contestant's one run: its figures, and every way in which its outputs were not what they must be."""

    figures: Figures
    problems: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure of a contestant held against the same figure of its control in the same round; `least` (or `most`) is what it should reach."""

    name: str
    contestant: str
    control: str
    figure: str
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on one figure itself."""

    name: str
    contestant: str
    figure: str
    most: float


@dataclass(slots=True)
class Benchmark:
    """All that one benchmark measured."""

    name: str
    title: str
    method: str
    rounds: dict[str, list[Figures]] = field(default_factory=dict)
    goals: Sequence[Goal] = ()
    limits: Sequence[Limit] = ()
    problems: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Return it as it is written to a result file."""
        return asdict(self)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Benchmark:
        """Return what `plain` wrote."""
        goals, limits = [Goal(**goal) for goal in plain["goals"]], [Limit(**limit) for limit in plain["limits"]]
        return cls(**{**plain, "goals": goals, "limits": limits})

    def add(self, contestant: str, taken: Taken) -> None:
        """Take in one run."""
        self.rounds.setdefault(contestant, []).append(taken.figures)
        self.problems += [f"{contestant}: {problem}" for problem in taken.problems]

    def alternate(self, contestants: Mapping[str, Callable[[], Taken]], rounds: int) -> None:
        """Run the contestants in turn, A B A B, so that a slow spell of the machine meets all of them."""
        for _ in range(rounds):
            for name, run in contestants.items():
                self.add(name, run())

    def series(self, contestant: str, figure: str) -> list[float]:
        """Return a figure of a contestant, round by round."""
        return [figures[figure] for figures in self.rounds.get(contestant, ()) if figure in figures]

    def ratios(self, goal: Goal) -> list[float]:
        """Return contestant / control, round by round."""
        pairs = zip(self.series(goal.contestant, goal.figure), self.series(goal.control, goal.figure), strict=False)
        return [ours / bare for ours, bare in pairs if bare]


@dataclass(frozen=True, slots=True)
class Span:
    """The median of some figures, and the smallest and largest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Span | None:
        """Return the span of these values, None where there is none."""
        return cls(statistics.median(values), min(values), max(values)) if values else None

    def text(self) -> str:
        """Return `median (lowest to highest)`, or the figure alone where there is one."""
        return plain_number(self.median) + ("" if self.low == self.high else f" ({plain_number(self.low)} to {plain_number(self.high)})")


def plain_number(value: float) -> str:
    """Return a figure with about three digits that say something."""
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"  # noqa: PLR2004 - three digits


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which this share of the values lies; 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
