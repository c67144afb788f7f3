"""What operators do is done to as much as is promised."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from towpath.chaos.fault import Run
from towpath.chaos.faults import operators, systems


async def test_a_tenth_of_the_events_is_replayed_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    arrived, waited = iter((7, 499, 500)), list[bool]()

    async def until(holds: Any, _seconds: float, _what: str) -> None:  # noqa: ANN401 - a coroutine function
        while not waited or not waited[-1]:
            waited.append(await holds())

    async def replay(_arena: object, *_command: str) -> int:
        return 500

    monkeypatch.setattr(operators, "_count", lambda _kafka, _topics: next(arrived))
    monkeypatch.setattr(operators, "_replay", replay)
    stack = SimpleNamespace(config=lambda: SimpleNamespace(kafka=None))
    arena: Any = SimpleNamespace(run=Run(5_000, 7), stack=stack, until=until)
    assert 1_000 == await operators.replay_twice(arena)
    assert [False, False, True] == waited


@pytest.mark.parametrize(("there", "injected"), [(3, 12), (0, 0)])
async def test_tokens_that_nobody_has_are_not_counted_as_expired(monkeypatch: pytest.MonkeyPatch, there: int, injected: int) -> None:
    async def call(*_request: object) -> dict[str, int]:
        return {"expired": there}

    async def sleep(_seconds: float) -> None:
        return None

    monkeypatch.setattr("towpath.chaos.faults.systems.asyncio.sleep", sleep)
    arena: Any = SimpleNamespace(run=Run(60, 7), call=call, dice=SimpleNamespace(uniform=lambda *_: 0.0))
    assert injected == await systems.expire(arena)
