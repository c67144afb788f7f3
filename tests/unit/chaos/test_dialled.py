"""What is dialled at the systems: the rates, and how the faults are."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from towpath.chaos.faults.webhooks import FAULTS
from towpath.sandbox.kit.faults import KINDS, Faults, FaultSettings


async def test_webhooks_come_up_to_five_times_and_ten_seconds_late(monkeypatch: pytest.MonkeyPatch) -> None:
    dialled, happened = list[dict[str, Any]](), Counter[str](dict.fromkeys(KINDS, 0))

    async def dial(_name: str, **rates: Any) -> None:  # noqa: ANN401 - as the sandbox takes them
        dialled.append(rates)
        happened.update(kind for kind in KINDS if kind in rates)

    async def call(_name: str, _method: str, _path: str) -> dict[str, Any]:
        return {"injected": dict(happened)}

    async def until(holds: Any, _seconds: float, _what: str) -> None:  # noqa: ANN401
        assert await holds()

    async def sleep(_seconds: float) -> None:
        return None

    monkeypatch.setattr("towpath.chaos.faults.systems.asyncio.sleep", sleep)
    (shuffled,) = [fault for fault in FAULTS if fault.name == "F13"]
    arena: Any = SimpleNamespace(dial=dial, call=call, until=until)
    assert 2 * 2 * 2 == await shuffled.inject(arena), "two kinds at two systems, each of which tells of both"
    faults = Faults(FaultSettings(**dialled[0]))
    assert {1, 2, 3, 4, 5} == {faults.copies() for _ in range(200)}
    assert 9.0 < max(faults.holdback() for _ in range(200)) <= 10.0
    assert [{}, {}] == dialled[2:]
