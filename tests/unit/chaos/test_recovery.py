"""Recovery is measured to the end of what waited, and of all that it led to, and not of what is told later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from towpath.chaos import strike
from towpath.topic_reader import Extent, Place

GROUPS = {"adapter.shop": ["inbox.shop"], "processor": ["received.orders", "holds"], "sink.erp": ["deliver.erp"]}
LEADS = [("adapter.shop", "inbox.shop"), ("adapter.shop", "received.orders"), ("processor", "holds"), ("processor", "deliver.erp"), ("sink.erp", "")]
"""What becomes of one record: who reads it, and where it writes what comes of it."""


class Roles:
    """Roles that work off one record a look, while more is told all the time, in another partition, of which the newest is never done yet."""

    def __init__(self, *_: object) -> None:
        self.ends, self.done, self.left, self.told = Counter({"inbox.shop": 1}), Counter[tuple[str, str]](), list(LEADS), 0

    def extents(self, topics: Iterable[str]) -> dict[Place, Extent]:
        self.told += 7
        return {Place(topic, part): Extent("", 0, end) for topic in topics for part, end in enumerate((self.ends[topic], self.told))}

    def committed(self, group: str, places: Sequence[Place]) -> dict[Place, int]:
        found = {place: self.told if place.partition else self.done[group, place.topic] for place in places}
        self._work()
        self.told += 7
        return found

    def _work(self) -> None:
        if not self.left:
            return
        group, target = self.left.pop(0)
        for topic in GROUPS[group]:
            self.done[group, topic] = self.ends[topic]
        self.ends[target] += 1

    def close(self) -> None:
        return None


async def recovered(monkeypatch: pytest.MonkeyPatch, roles: Roles, seconds: float) -> float | None:
    """Return what is told of these roles, which have so long to catch up."""
    monkeypatch.setattr(strike, "TopicReader", lambda _kafka: roles)
    monkeypatch.setattr(strike, "pipeline", lambda _config: GROUPS)
    monkeypatch.setattr(strike, "LOOK_SECONDS", 0)
    monkeypatch.setattr(strike, "CATCH_UP_SECONDS", seconds)

    async def ready() -> None:
        return None

    arena: Any = SimpleNamespace(ready=ready, stack=SimpleNamespace(config=lambda: SimpleNamespace(kafka=None)))
    return await strike.recovered(arena)


async def test_recovery_ends_when_all_that_waited_is_delivered_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    roles = Roles()
    assert None is not await recovered(monkeypatch, roles, 1)
    assert ([], 1) == (roles.left, roles.done["sink.erp", "deliver.erp"])


async def test_what_never_gets_through_is_no_recovery(monkeypatch: pytest.MonkeyPatch) -> None:
    roles = Roles()
    roles.left.pop()
    assert None is await recovered(monkeypatch, roles, 0.1)


NOTHING: dict[str, int] = {"adapter.shop": 0}


@pytest.mark.parametrize(
    ("moments", "lags", "letters", "taken"),
    [
        ([(5, 0), (5, 0)], [NOTHING], [[]], 1),
        ([(5, 0), (9, 0), (9, 0), (9, 0)], [NOTHING, NOTHING], [[], []], 2),
        ([(5, 4), (5, 0), (5, 0), (5, 0)], [NOTHING, NOTHING], [[], []], 2),
        ([(5, 0)] * 4, [{"sink.erp": 1}, NOTHING], [[], []], 2),
        ([(5, 0)] * 4, [NOTHING, NOTHING], [["parked"], ["dead"]], 2),
    ],
    ids=["rest", "more came in", "some was left", "a group is behind", "parked"],
)
async def test_the_verdict_is_of_a_moment_at_which_nothing_moved(
    monkeypatch: pytest.MonkeyPatch, moments: list[tuple[int, int]], lags: list[dict[str, int]], letters: list[list[str]], taken: int
) -> None:
    looks, rests = iter(moments), list[Any]()

    def come_in(_arena: object) -> tuple[dict[str, int], int]:
        end, left = next(looks)
        return {"inbox.shop": end}, left

    async def gather(_arena: object) -> Any:  # noqa: ANN401 - as much of the evidence as is asked for
        rests.append(SimpleNamespace(lag=lags[len(rests)], open_letters=[{"state": state} for state in letters[len(rests)]]))
        return rests[-1]

    monkeypatch.setattr(strike, "_come_in", come_in)
    monkeypatch.setattr(strike, "gather", gather)
    monkeypatch.setattr(strike, "LOOK_SECONDS", 0)
    arena: Any = SimpleNamespace()
    found = await strike._at_rest(arena)
    assert (taken, True) == (len(rests), found is rests[-1])
