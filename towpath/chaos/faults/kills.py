"""Processes that are killed with SIGKILL."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from towpath.chaos.arena import Arena
from towpath.chaos.evidence import gather
from towpath.chaos.fault import Fault, Needs
from towpath.chaos.webhooks import BUSY, Answered, Sender, not_put_off, not_stored
from towpath.chaos.workers import Worker
from towpath.clock import SystemClock
from towpath.demo.pairs import ERP, SHOP
from towpath.failpoints import Armed

SINK_POINTS = {"sink.before_call": 5, "sink.target_committed": 5, "sink.after_response": 5, "sink.before_commit": 2}
"""The points at which a sink dies, and at the latest after how many times that it is passed."""
POINT_SECONDS = 90.0
BETWEEN_SECONDS = (0.5, 4.0)
LONGEST_STALL = timedelta(seconds=60)
AT_ONCE = 10
DOWN_SECONDS, LONG_DOWN_SECONDS = 1.0, 12.0
"""The longer is more than the ten seconds for which a receiver waits until Kafka has a webhook."""
UNUSED = json.dumps({"type": "nothing", "data": {}})
"""What no flow uses."""


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
    """Return what kills one of a role's workers now and then, some while after all are ready again."""

    async def inject(arena: Arena) -> int:
        killed = 0
        while killed < arena.run.share_of(times, 3):
            await arena.ready()
            await asyncio.sleep(arena.dice.uniform(*BETWEEN_SECONDS))
            killed += arena.dice.choice(arena.workers[role]).kill()
        return killed

    return inject


async def broker(arena: Arena) -> int:
    """Kill Kafka, send webhooks meanwhile, let the supervisor start it again, and once more.

    The first time the supervisor stands still for longer than a receiver waits for Kafka.
    """
    times, sent = arena.run.share_of(10), list[asyncio.Task[Answered]]()
    async with Sender(arena) as sender:
        for turn in range(times):
            await asyncio.sleep(arena.dice.uniform(*BETWEEN_SECONDS))
            with _standing_still(arena.stack.processes["up"], unless=turn > 0):
                arena.stack.kill("broker")
                sent += [asyncio.create_task(sender.send(UNUSED)) for _ in range(AT_ONCE)]
                await asyncio.sleep(DOWN_SECONDS if turn > 0 else LONG_DOWN_SECONDS)
            await arena.ready()
        arena.notes["answers"] = await asyncio.gather(*sent)
    return times


@contextmanager
def _standing_still(process: subprocess.Popen[bytes], *, unless: bool) -> Iterator[None]:
    """Stop a process meanwhile; it is woken in any case."""
    if unless:
        yield
        return
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


async def honest(arena: Arena) -> Sequence[str]:
    """Say which webhook was taken and is not there, which was refused in another way than for a while, and where none was refused at all."""
    answers: list[Answered] = arena.notes["answers"]
    refused = any(one.status == BUSY and one.told_when for one in answers)
    untried = [] if refused else ["no webhook was answered 503 with Retry-After: Kafka was not away for long enough to try it"]
    return [*await not_stored(arena, answers), *not_put_off(answers), *untried]


async def sent_again(arena: Arena) -> Sequence[str]:
    """Say where no webhook was refused and sent again: then the receiver died where nobody needed it."""
    rows = [row for name in (SHOP, ERP) for row in await arena.rows(name, "webhooks")]
    tried = any(row["attempts"] > row["accepted"] > 0 for row in rows)
    return [] if tried else [f"none of {len(rows)} webhooks was refused and sent again"]


async def join_and_leave(arena: Arena) -> int:
    """Have members of the processor's and the sinks' groups leave in order and join again."""
    moves, began = 0, SystemClock().now()
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
    arena.notes["moves"] = began, SystemClock().now()
    return moves


async def no_stall(arena: Arena) -> Sequence[str]:
    """Say where nothing was delivered to a system for more than a minute while workers joined and left."""
    began, ended = arena.notes["moves"]
    receipts = [one for one in (await gather(arena)).receipts if one["hop"] == "sink" and began <= one["at"]]
    found = list[str]()
    for name in (SHOP, ERP):
        done = sorted(one["at"] for one in receipts if one["connection"] == name)
        until = [] if done and done[-1] > ended else [ended]
        gaps = [other - one for one, other in itertools.pairwise([began, *done, *until]) if one <= ended]  # one that goes on after it is of it
        found += [f"nothing was delivered to the {name} for {gap.total_seconds():.0f} s" for gap in gaps if gap > LONGEST_STALL]
    return found


def _others(arena: Arena, worker: Worker) -> bool:
    return any(one.wanted for one in arena.workers[worker.role] if one is not worker)


async def state_deleted(arena: Arena) -> int:
    """Kill the processor, delete what it keeps on its disk, and let it start again."""
    (worker,) = arena.workers["processor"]
    times = arena.run.share_of(5)
    for _ in range(times):
        await arena.ready()
        await asyncio.sleep(arena.dice.uniform(*BETWEEN_SECONDS))
        worker.wanted = False
        worker.kill()
        worker.forget_state()
        worker.wanted = True
    return times


def often(content: dict[str, Any]) -> None:
    """Read the lists of both systems twice a second."""
    for connection in content["connections"].values():
        connection["poll_seconds"] = 0.5


FAULTS = (
    Fault("F1", "kill -9 of processor workers, at random, three workers", at_random("processor", 20), Needs({"processor": 3})),
    Fault("F2", "kill -9 of sinks at each failpoint", at_points("sink", SINK_POINTS, 50), Needs({"sink": 2})),
    Fault("F3", "kill -9 of the receiver under load", at_random("receiver", 20), Needs({"receiver": 1}), sent_again),
    Fault("F4", "kill -9 of the broker", broker, judge=honest),
    Fault("F6", "workers join and leave under load", join_and_leave, Needs({"processor": 2, "sink": 2}), no_stall),
    Fault("F17", "the processor's local state is deleted", state_deleted, Needs({"processor": 1})),
    Fault(
        "F23",
        "the poller is killed between publishing and moving its cursor; no webhook tells of anything",
        at_points("poller", {"poller.before_cursor": 3}, 20),
        Needs({"poller": 1}, sandbox={"webhook_url": None}, config=often),
    ),
)
