"""Faults that can be dialled: seeded dice for each kind, with a floor that makes sure every kind shows up."""

from __future__ import annotations

import random
from collections import Counter
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Kind = Literal["unavailable", "throttle", "response_lost", "late_commit", "webhook_duplicate", "webhook_shuffle"]
LATE_COMMIT: Final[Kind] = "late_commit"
KINDS: Final[tuple[Kind, ...]] = ("unavailable", "throttle", "response_lost", "late_commit", "webhook_duplicate", "webhook_shuffle")

PRESETS: Final[dict[str, dict[str, float]]] = {
    "none": {},
    "mild": {"unavailable": 0.05, "response_lost": 0.02, "late_commit": 0.01, "webhook_duplicate": 0.10, "webhook_shuffle": 0.10},
}


class FaultSettings(BaseModel):
    """Rates from 0 to 1 by kind. A preset gives its rates, and each of its kinds at least once, unless they are named beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Literal["none", "mild"] = "none"
    seed: int = 0
    unavailable: float = Field(default=0, ge=0, le=1, description="503 before anything is done")
    throttle: float = Field(default=0, ge=0, le=1, description="429 although the limit is not reached")
    response_lost: float = Field(default=0, ge=0, le=1, description="writes: commit, then reset the connection")
    late_commit: float = Field(default=0, ge=0, le=1, description="writes: no answer, and commit after the client gave up")
    webhook_duplicate: float = Field(default=0, ge=0, le=1, description="sent twice or more often")
    most_copies: int = Field(default=3, ge=2, description="a repeated webhook is sent up to so often")
    webhook_shuffle: float = Field(default=0, ge=0, le=1, description="held back, so that later ones overtake it")
    latency_ms: float = Field(default=0, ge=0, description="before every API call")
    write_latency_ms: float = Field(default=0, ge=0, description="before every API call that writes, besides")
    late_commit_seconds: float = Field(default=2.0, ge=0, description="from the client's leaving to the commit")
    hold_seconds: float = Field(default=30.0, ge=0, description="how long a late commit holds a client that does not leave")
    shuffle_seconds: float = Field(default=1.0, ge=0, description="a shuffled webhook waits up to this long")
    at_least: dict[Kind, int] = Field(default_factory=dict, description="how often a kind happens for sure")
    within: int = Field(default=20, ge=1, description="the n-th of `at_least` is forced after n times so many opportunities")

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        rates = PRESETS.get(str(given.get("preset", "none")), {})
        return {"at_least": dict.fromkeys(rates, 1), **rates, **given}


class Faults:
    """Decides, for each opportunity, whether a fault happens; the same settings and opportunities give the same decisions."""

    def __init__(self, settings: FaultSettings) -> None:
        self.dial(settings)

    def dial(self, settings: FaultSettings) -> None:
        """Take new settings and start the dice and the floors again."""
        self.settings = settings
        self._dice = {kind: random.Random(f"{settings.seed}/{kind}") for kind in KINDS}
        self._chances: Counter[Kind] = Counter()
        self._happened: Counter[Kind] = Counter()

    def strikes(self, kind: Kind) -> bool:
        """Return whether this opportunity meets the fault."""
        self._chances[kind] += 1
        rate = float(getattr(self.settings, kind))
        wanted = min(self.settings.at_least.get(kind, 0), self._chances[kind] // self.settings.within)
        strikes = self._dice[kind].random() < rate or self._happened[kind] < wanted
        self._happened[kind] += strikes
        return strikes

    def copies(self) -> int:
        """Return how often the next webhook is sent."""
        return self._dice["webhook_duplicate"].randint(2, self.settings.most_copies) if self.strikes("webhook_duplicate") else 1

    def holdback(self) -> float:
        """Return for how many seconds the next webhook is held back."""
        return self._dice["webhook_shuffle"].uniform(0.1, 1.0) * self.settings.shuffle_seconds if self.strikes("webhook_shuffle") else 0.0
