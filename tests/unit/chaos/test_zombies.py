"""A sink stands still where it does harm, and what it has told of its twins is heard."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from towpath.chaos import traffic
from towpath.chaos.fault import TWINS_COUNTED, Run
from towpath.chaos.faults import kills, zombies
from towpath.metrics import TWINS, Metrics
from towpath.runtime.health import Health, HealthServer
from towpath.systems import bng


def test_a_sink_stands_still_at_each_of_its_points_and_between_the_check_and_the_call_of_an_order() -> None:
    assert {None, zombies.AN_ORDER, *kills.SINK_POINTS} == set(zombies.STOPS)
    assert f"sink.before_send POST {bng.BASE}/sales-orders" == zombies.AN_ORDER


async def test_twins_that_a_sink_has_cancelled_are_counted_and_those_that_it_left_are_not() -> None:
    metrics = Metrics()
    told = {"connection": "erp", "operation": "create_order"}
    async with HealthServer("sink", Health(), metrics, host="127.0.0.1", port=0) as server:
        worker: Any = SimpleNamespace(address=lambda path: f"http://127.0.0.1:{server.port}{path}")
        assert 0 == await zombies.cancelled_twins(worker)
        for outcome in ("cancelled", "cancelled", "left", "unknown"):
            metrics.add(TWINS, 1, **told, outcome=outcome)
        assert 2 == await zombies.cancelled_twins(worker)


@pytest.mark.parametrize("address", [None, "http://127.0.0.1:1/metrics"])
async def test_a_sink_that_does_not_answer_has_told_of_none(address: str | None) -> None:
    worker: Any = SimpleNamespace(address=lambda _path: address)
    assert 0 == await zombies.cancelled_twins(worker)


@pytest.mark.parametrize(("events", "pauses"), [(600, {15: 3, 30: 3}), (5_000, {30: 6, 90: 6})])
async def test_the_warehouse_is_closed_where_an_order_may_be_written_twice_and_open_elsewhere(
    monkeypatch: pytest.MonkeyPatch, events: int, pauses: dict[int, int]
) -> None:
    paused, closed, open_at = Counter[float](), set[str | None](), set[str | None]()
    stands: list[str | None] = [None]

    async def done(*_: object) -> None:
        stands[0] = None
        arena.notes[TWINS_COUNTED] = arena.notes.get(TWINS_COUNTED, 0) + 1

    async def stops_at(_arena: object, _worker: object, point: str) -> None:
        stands[0] = point

    async def ready(*_: object) -> None:
        stands[0] = None

    async def sleep(seconds: float) -> None:
        paused[seconds] += 1
        (closed if arena.closed else open_at).add(stands[0])

    async def figures(_stack: object) -> SimpleNamespace:
        return SimpleNamespace(duplicates=0)

    monkeypatch.setattr(zombies, "figures", figures)
    monkeypatch.setattr(zombies, "_stops_at", stops_at)
    monkeypatch.setattr(zombies, "_healed", done)
    monkeypatch.setattr(zombies, "_tally", ready)
    monkeypatch.setattr("towpath.chaos.faults.zombies.asyncio.sleep", sleep)
    sink = SimpleNamespace(signal=lambda _number: True)
    stack: dict[str, Any] = {"stack": None, "closed": False, "notes": {}}
    arena: Any = SimpleNamespace(run=Run(events, 7), dice=random.Random(7), workers={"sink": [sink]}, ready=ready, **stack)
    assert sum(pauses.values()) == await zombies.zombies(arena)
    assert (pauses, set(zombies.MAY_REPEAT), set(zombies.STOPS) - closed) == (dict(paused), closed, open_at)
    assert (False, []) == (arena.closed, await zombies.written_twice(arena))


async def test_a_run_in_which_no_order_was_written_twice_shows_nothing() -> None:
    arena: Any = SimpleNamespace(notes={}, workers={"sink": []})
    assert ["no order was written twice by a sink that stood between its check and its call"] == await zombies.written_twice(arena)


async def test_what_a_process_counted_stays_counted_when_it_has_ended_and_the_next_twin_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = list[int]()
    told = {1: 2, 2: 0, 3: 1}

    async def cancelled(worker: Any) -> int:  # noqa: ANN401 - a stand-in
        return told[worker.process.pid]

    async def figures(_stack: object) -> SimpleNamespace:
        looks.append(len(looks))
        return SimpleNamespace(duplicates=2 if sinks[0].process.pid == 1 or len(looks) < 5 else 3)

    monkeypatch.setattr(zombies, "cancelled_twins", cancelled)
    monkeypatch.setattr(zombies, "figures", figures)
    monkeypatch.setattr(zombies, "LOOK_SECONDS", 0)
    sinks = [SimpleNamespace(process=SimpleNamespace(pid=pid)) for pid in (1, 2)]
    arena: Any = SimpleNamespace(workers={"sink": sinks}, notes={}, stack=None)
    await zombies._healed(arena, 1)
    assert 2 == arena.notes[TWINS_COUNTED]
    sinks[0].process.pid = 3
    await zombies._healed(arena, 2)
    assert (3, 5) == (arena.notes[TWINS_COUNTED], len(looks))


@pytest.mark.parametrize(("closed", "shifts"), [(False, 2), (True, 0)])
async def test_a_closed_warehouse_sends_nothing_while_the_shop_sells_on(monkeypatch: pytest.MonkeyPatch, *, closed: bool, shifts: int) -> None:
    sold, sent, enough = list[int](), list[object](), asyncio.Event()

    async def sell(_arena: object, orders: int) -> None:
        sold.append(orders)
        if len(sold) == 2 * traffic.WAREHOUSE_EVERY:
            enough.set()

    async def work(_arena: object, **_how: object) -> None:
        sent.append(1)

    async def sleep(_seconds: float) -> None:
        return None

    monkeypatch.setattr(traffic, "sell", sell)
    monkeypatch.setattr(traffic, "work", work)
    monkeypatch.setattr("towpath.chaos.traffic.asyncio.sleep", sleep)
    arena: Any = SimpleNamespace(run=Run(60, 7), closed=closed)
    await traffic.keep_up(arena, enough)
    assert ([10, *[1] * (2 * traffic.WAREHOUSE_EVERY - 1)], shifts) == (sold, len(sent))
