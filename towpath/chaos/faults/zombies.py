"""Processes that stand still for so long that others do their work, and then wake and go on."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from towpath.chaos.arena import Arena
from towpath.chaos.fault import TWINS_COUNTED, Fault, Needs
from towpath.chaos.workers import Worker
from towpath.demo.play import figures
from towpath.metrics import TWINS

AN_ORDER: Final = "sink.before_send POST /api/v1/sales-orders"
"""Between the fence check and the writing of an order to the ERP, which refuses no repeat: who wakes there writes it again.

It has its connection by then. One that lay idle for as long as this is not taken any more, so that a call that stood still before that comes too late
to be written: it is dropped with its partition.
"""
STOPS: Final = (None, AN_ORDER, "sink.before_call", "sink.target_committed", "sink.after_response", "sink.before_commit")
"""Where a sink stands still; None is anywhere."""
SHORT_SECONDS, LONG_SECONDS = (15, 30), (30, 90)
LONG_RUN = 5_000
POINT_SECONDS = 90.0
HEALED_SECONDS, LOOK_SECONDS = 15.0, 0.5
"""Somebody looks for what stands twice a moment after a sink was woken, and once its call has settled; until then it is left alive."""
MAY_REPEAT: Final = (None, AN_ORDER, "sink.before_call")
"""Where an order may be written twice."""


async def zombies(arena: Arena) -> int:
    """Have a sink stand still for so long that another takes its partitions, and wake it: at any moment, and at each failpoint.

    The warehouse is closed where an order may be written twice: what it sends of a twin before that is cancelled, nobody can take back.
    """
    stopped = 0
    for point, pause in _plan(arena.run.events):
        worker = arena.dice.choice(arena.workers["sink"])
        await arena.ready()
        await _tally(arena)
        arena.closed = point in MAY_REPEAT
        before, twins = arena.notes.get(TWINS_COUNTED, 0), (await figures(arena.stack)).duplicates
        if point is None:
            worker.signal(signal.SIGSTOP)
        else:
            await _stops_at(arena, worker, point)
        await asyncio.sleep(pause)
        stopped += worker.signal(signal.SIGCONT)
        if arena.closed:
            await _healed(arena, twins)
            arena.closed = False
        if point == AN_ORDER:
            arena.notes[AN_ORDER] = arena.notes.get(AN_ORDER, 0) + arena.notes[TWINS_COUNTED] - before
    return stopped


def _plan(events: int) -> Iterable[tuple[str | None, int]]:
    """Return where a sink stands still, and for how many seconds: everywhere for both times in a long run, for one of them in a short one."""
    return itertools.product(STOPS, LONG_SECONDS) if events >= LONG_RUN else zip(STOPS, itertools.cycle(SHORT_SECONDS), strict=False)


async def _stops_at(arena: Arena, worker: Worker, point: str) -> None:
    armed = arena.point(1, "stop")
    worker.arm = lambda: {point: armed}
    worker.kill()

    async def stands() -> bool:
        return armed.marker.exists() and worker.stands_still()

    await arena.until(stands, POINT_SECONDS, f"a sink stands still at {point}")
    worker.arm = dict


async def _healed(arena: Arena, before: int) -> None:
    """Return once more stands twice than before, all of it cancelled and counted, or when that has had its time."""
    ends = asyncio.get_running_loop().time() + HEALED_SECONDS
    while asyncio.get_running_loop().time() < ends:
        await _tally(arena)
        await asyncio.sleep(LOOK_SECONDS)
        if before < (await figures(arena.stack)).duplicates <= arena.notes[TWINS_COUNTED]:
            return


async def _tally(arena: Arena) -> None:
    """Note how many twins were cancelled and counted so far: a process that ends takes its own count along."""
    counted: dict[int, int] = arena.notes.setdefault("twins of each process", {})
    for worker in arena.workers["sink"]:
        if worker.process is not None:
            counted[worker.process.pid] = max(counted.get(worker.process.pid, 0), await cancelled_twins(worker))
    arena.notes[TWINS_COUNTED] = sum(counted.values())


async def cancelled_twins(worker: Worker) -> int:
    """Return how many twins a sink has counted as cancelled since it started."""
    address = worker.address("/metrics")
    if address is None:
        return 0
    with suppress(aiohttp.ClientError, TimeoutError):
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http, http.get(address) as response:
            told = await response.text()
        samples = [one for family in text_string_to_metric_families(told) if family.name == TWINS.name for one in family.samples]
        return int(sum(one.value for one in samples if one.name.endswith("_total") and one.labels["outcome"] == "cancelled"))
    return 0


async def written_twice(arena: Arena) -> Sequence[str]:
    """Say where the fault never did what it is there for; what was counted since the last stop is noted."""
    await _tally(arena)
    return [] if arena.notes.get(AN_ORDER) else ["no order was written twice by a sink that stood between its check and its call"]


FAULTS = (Fault("F5", "a sink stands still, loses its partitions, and wakes", zombies, Needs({"sink": 2}), judge=written_twice),)
