"""When and where processes are struck."""

from __future__ import annotations

import random
import signal
from types import SimpleNamespace
from typing import Any, Self

import pytest

from producers.receiver import STORE_SECONDS
from towpath.chaos.fault import Run
from towpath.chaos.faults import kills
from towpath.chaos.webhooks import Answered


async def test_workers_are_killed_at_work_and_not_as_they_become_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    happened = list[str]()

    async def ready() -> None:
        happened.append("ready")

    async def sleep(_seconds: float) -> None:
        happened.append("at work")

    def kill() -> bool:
        happened.append("killed")
        return True

    monkeypatch.setattr("towpath.chaos.faults.kills.asyncio.sleep", sleep)
    arena: Any = SimpleNamespace(run=Run(60, 7), dice=random.Random(7), ready=ready, workers={"sink": [SimpleNamespace(kill=kill)]})
    assert 3 == await kills.at_random("sink", 20)(arena)
    assert ["ready", "at work", "killed"] * 3 == happened


async def test_kafka_is_away_once_for_longer_than_a_receiver_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    happened = list[str | float]()

    class Sender:
        def __init__(self, _arena: object) -> None:
            return None

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None:
            return None

        async def send(self, _body: str) -> Answered:
            return Answered("w", 503, 10.0, told_when=True)

    async def sleep(seconds: float) -> None:
        if seconds in {kills.DOWN_SECONDS, kills.LONG_DOWN_SECONDS}:
            happened.append(seconds)

    async def ready() -> None:
        happened.append("ready")

    monkeypatch.setattr(kills, "Sender", Sender)
    monkeypatch.setattr("towpath.chaos.faults.kills.asyncio.sleep", sleep)
    up = SimpleNamespace(send_signal=lambda number: happened.append(number.name))
    stack = SimpleNamespace(processes={"up": up}, kill=happened.append)
    arena: Any = SimpleNamespace(run=Run(60, 7), dice=random.Random(7), stack=stack, ready=ready, notes={})
    assert 2 == await kills.broker(arena)
    longer = [signal.SIGSTOP.name, "broker", kills.LONG_DOWN_SECONDS, signal.SIGCONT.name, "ready"]
    assert [*longer, "broker", kills.DOWN_SECONDS, "ready"] == happened
    assert STORE_SECONDS < kills.LONG_DOWN_SECONDS
