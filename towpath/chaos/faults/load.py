"""More webhooks than can be dealt with."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from typing import Final

import psutil

from towpath.chaos.arena import Arena
from towpath.chaos.fault import Fault
from towpath.chaos.strike import recovered
from towpath.chaos.webhooks import Answered, Sender, not_stored
from towpath.demo.pairs import ERP
from towpath.runtime.runfile import read_run_file

BODIES_SECONDS, WARM_SECONDS = 60.0, 5.0
LOWEST, HIGHEST = 0.3, 3.0
SHORT_SECONDS, LONG_SECONDS = 20, 60
AT_ONCE: Final = 64
MOST_SECONDS, MOST_GROWTH = 1.0, 1.20
BUSY: Final = 503
MEASURED: Final = ("receiver", "adapter", "processor", "sink", "indexer")


async def overload(arena: Arena) -> int:
    """Measure how many webhooks a second go all the way, send from 30 % to 300 % of that, and return how many that were.

    They are those of the ERP's stock, under new ids: what a system does that tells everything again and again.
    """
    bodies = itertools.cycle(await _bodies(arena))
    async with Sender(arena) as sender:
        loop = asyncio.get_running_loop()
        began = loop.time()
        first = await _as_fast_as_possible(sender, bodies, WARM_SECONDS)
        await recovered(arena)
        capacity = len(first) / (loop.time() - began)
        memory = Memory(arena)
        watching = asyncio.create_task(memory.watch())
        answers = await _rising(sender, bodies, capacity, arena.run.share_of(LONG_SECONDS, SHORT_SECONDS))
        arena.notes |= {"answers": [*first, *answers], "rising": answers, "capacity": capacity, "memory": memory, "watching": watching}
    return len(answers)


async def _bodies(arena: Arena) -> list[str]:
    found: list[str] = []

    async def there() -> bool:
        found[:] = [row["body"] for row in await arena.rows(ERP, "webhooks") if row["type"] == "inventory_updated" and row["accepted"]]
        return bool(found)

    await arena.until(there, BODIES_SECONDS, "the ERP told of its stock")
    return found


async def _as_fast_as_possible(sender: Sender, bodies: Iterator[str], seconds: float) -> list[Answered]:
    ends, answers = asyncio.get_running_loop().time() + seconds, list[Answered]()

    async def one_after_the_other() -> None:
        while asyncio.get_running_loop().time() < ends:
            answers.append(await sender.send(next(bodies)))

    await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))
    return answers


async def _rising(sender: Sender, bodies: Iterator[str], capacity: float, seconds: int) -> list[Answered]:
    """Send at a rate that rises from second to second, ever faster, whatever the answers.

    What is left over in the end is a third of what can be done in that time; at a rate that rose evenly it would be three quarters, and to do it
    takes longer than a recovery may.
    """
    loop, sent = asyncio.get_running_loop(), list[asyncio.Task[Answered]]()
    began = loop.time()
    for second in range(seconds):
        rate = capacity * (LOWEST + (HIGHEST - LOWEST) * (second / max(1, seconds - 1)) ** 3)
        for number in range(int(rate)):
            await asyncio.sleep(max(0.0, began + second + number / rate - loop.time()))
            sent.append(asyncio.create_task(sender.send(next(bodies))))
    return await asyncio.gather(*sent)


class Memory:
    """What the roles hold in memory, by role (bytes), and the most that each ever held."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self.before = self._now()
        self.most = dict(self.before)

    def _now(self) -> dict[str, int]:
        run = self._arena.stack.directory / "data" / "run"
        found = {role: read_run_file(run, role) for role in MEASURED}
        return {role: _held(told.pid) for role, told in found.items() if told is not None}

    async def watch(self) -> None:
        """Look every second, until cancelled."""
        while True:
            self.most = {role: max(now, self.most.get(role, 0)) for role, now in self._now().items()}
            await asyncio.sleep(1)

    def grown(self) -> dict[str, float]:
        """Return by what each role grew, 1.0 where it did not."""
        return {role: self.most[role] / held for role, held in self.before.items()}


def _held(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_full_info().uss)
    except psutil.Error:
        return 0


async def bounded(arena: Arena) -> Sequence[str]:
    """Say where the receiver kept its senders waiting, refused them in another way than for a while, lost what it took, or memory grew."""
    arena.notes["watching"].cancel()
    rising: list[Answered] = arena.notes["rising"]
    slowest = sorted(one.seconds for one in rising)[int(0.99 * len(rising))]
    asked_to_wait = sum(one.status == BUSY for one in rising)
    late = [f"99 % were answered within {slowest:.2f} s, {asked_to_wait} of {len(rising)} with 503"] if slowest >= MOST_SECONDS else []
    other = sorted({one.status for one in rising if not one.accepted and one.status != BUSY})
    memory: Memory = arena.notes["memory"]
    total = sum(memory.most.values()) / sum(memory.before.values())
    grown = [f"memory grew to {total:.0%}: {told(memory)}"] if total > MOST_GROWTH else []
    return [*late, *(f"answered {status or 'nothing'}" for status in other), *grown, *await not_stored(arena, arena.notes["answers"])]


def told(memory: Memory) -> str:
    """Return what each role grew by, for people."""
    return ", ".join(f"{role} {by:.0%}" for role, by in memory.grown().items())


FAULTS = (Fault("F11", "load from 30 % to 300 % of the capacity that is measured first", overload, judge=bounded),)
