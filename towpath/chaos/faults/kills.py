"""Processes that are killed with SIGKILL."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from towpath.chaos.arena import Arena
from towpath.chaos.fault import Fault, Needs
from towpath.chaos.workers import Worker
from towpath.failpoints import Armed

SINK_POINTS = {"sink.before_call": 5, "sink.target_committed": 5, "sink.after_response": 5, "sink.before_commit": 2}
"""The points at which a sink dies, and at the latest after how many times that it is passed."""
POINT_SECONDS = 90.0
BETWEEN_SECONDS = (0.5, 4.0)
LONG_RUN = 5_000


def at_points(role: str, points: Mapping[str, int], times: int) -> Callable[[Arena], Awaitable[int]]:
    """Return what has a role's workers die at these points in turn, at least once at each."""

    async def inject(arena: Arena) -> int:
        turns, set_up = itertools.cycle(points.items()), list[Armed]()
        wanted = arena.run.share_of(times, len(points))

        def arm() -> Mapping[str, Armed]:
            if len(set_up) >= wanted:
                return {}
            point, most = next(turns)
            set_up.append(arena.point(arena.dice.randint(1, most)))
            return {point: set_up[-1]}

        for worker in arena.workers[role]:
            worker.arm = arm
            worker.kill()

        async def all_happened() -> bool:
            return len(set_up) >= wanted and all(armed.marker.exists() for armed in set_up)

        await arena.until(all_happened, POINT_SECONDS * wanted, f"{role} died {wanted} times")
        return sum(armed.marker.exists() for armed in set_up)

    return inject


def at_random(role: str, times: int) -> Callable[[Arena], Awaitable[int]]:
    """Return what kills one of a role's workers now and then, once it is ready again."""

    async def inject(arena: Arena) -> int:
        killed = 0
        while killed < arena.run.share_of(times, 3):
            await asyncio.sleep(arena.dice.uniform(*BETWEEN_SECONDS))
            await arena.ready()
            killed += arena.dice.choice(arena.workers[role]).kill()
        return killed

    return inject


async def broker(arena: Arena) -> int:
    """Kill Kafka, let the supervisor start it again, and once more."""
    times = arena.run.share_of(10)
    for _ in range(times):
        await asyncio.sleep(arena.dice.uniform(*BETWEEN_SECONDS))
        arena.stack.kill("broker")
        await asyncio.sleep(1)
        await arena.ready()
    return times


async def join_and_leave(arena: Arena) -> int:
    """Have members of the processor's and the sinks' groups leave in order and join again."""
    moves = 0
    while moves < arena.run.share_of(20, 4):
        worker = arena.dice.choice([one for several in arena.workers.values() for one in several])
        if worker.wanted and _others(arena, worker):
            await worker.leave()
        else:
            worker.wanted = True
        moves += 1
        await asyncio.sleep(arena.dice.uniform(*BETWEEN_SECONDS))
    for worker in (one for several in arena.workers.values() for one in several):
        worker.wanted = True
    return moves


def _others(arena: Arena, worker: Worker) -> bool:
    return any(one.wanted for one in arena.workers[worker.role] if one is not worker)


async def state_deleted(arena: Arena) -> int:
    """Kill the processor, delete what it keeps on its disk, and let it start again."""
    (worker,) = arena.workers["processor"]
    times = arena.run.share_of(5)
    for _ in range(times):
        await asyncio.sleep(arena.dice.uniform(*BETWEEN_SECONDS))
        await arena.ready()
        worker.wanted = False
        worker.kill()
        worker.forget_state()
        worker.wanted = True
    return times


async def zombies(arena: Arena) -> int:
    """Have a sink stand still for so long that another takes its partitions, and wake it: at any moment, and at each failpoint."""
    seconds = (15, 30) if arena.run.events < LONG_RUN else (30, 90)
    stopped = 0
    for point, pause in zip((None, *list(SINK_POINTS)[1:]), itertools.cycle(seconds), strict=False):
        worker = arena.dice.choice(arena.workers["sink"])
        await arena.ready()
        if point is None:
            worker.signal(signal.SIGSTOP)
        else:
            await _stops_at(arena, worker, point)
        await asyncio.sleep(pause)
        stopped += worker.signal(signal.SIGCONT)
    return stopped


async def _stops_at(arena: Arena, worker: Worker, point: str) -> None:
    armed = arena.point(1, "stop")
    worker.arm = lambda: {point: armed}
    worker.kill()

    async def stands() -> bool:
        return armed.marker.exists() and worker.stands_still()

    await arena.until(stands, POINT_SECONDS, f"a sink stands still at {point}")
    worker.arm = dict


def often(content: dict[str, Any]) -> None:
    """Read the lists of both systems twice a second."""
    for connection in content["connections"].values():
        connection["poll_seconds"] = 0.5


FAULTS = (
    Fault("F1", "kill -9 of processor workers, at random, three workers", at_random("processor", 20), Needs({"processor": 3})),
    Fault("F2", "kill -9 of sinks at each failpoint", at_points("sink", SINK_POINTS, 50), Needs({"sink": 2})),
    Fault("F3", "kill -9 of the receiver under load", at_random("receiver", 20), Needs({"receiver": 1})),
    Fault("F4", "kill -9 of the broker", broker),
    Fault("F5", "a sink stands still, loses its partitions, and wakes", zombies, Needs({"sink": 2})),
    Fault("F6", "workers join and leave under load", join_and_leave, Needs({"processor": 2, "sink": 2})),
    Fault("F17", "the processor's local state is deleted", state_deleted, Needs({"processor": 1})),
    Fault(
        "F23",
        "the poller is killed between publishing and moving its cursor; no webhook tells of anything",
        at_points("poller", {"poller.before_cursor": 3}, 20),
        Needs({"poller": 1}, sandbox={"webhook_url": None}, config=often),
    ),
)
