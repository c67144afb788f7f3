"""More webhooks than can be dealt with."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import psutil

from towpath.chaos.arena import Arena
from towpath.chaos.fault import Fault
from towpath.chaos.strike import recovered
from towpath.chaos.traffic import sell
from towpath.chaos.webhooks import BUSY, Answered, Sender, not_put_off, not_stored
from towpath.demo.pairs import ERP
from towpath.runtime.runfile import read_run_file

BODIES_SECONDS, WARM_SECONDS, WARM_ORDERS = 60.0, 3.0, 200
"""Of what is sent to measure the capacity, the orders take about as much work as the webhooks."""
LOWEST, HIGHEST = 0.3, 3.0
SHORT_SECONDS, LONG_SECONDS = 20, 60
AT_ONCE: Final = 64
MOST_SECONDS, MOST_GROWTH, FLOOR_BYTES = 1.0, 1.20, 8 * 2**20
"""A role of 20 MiB may grow by more than a fifth: a receiver keeps up to 400 webhooks of some 10 KiB until Kafka has them, and librdkafka as much."""
MEASURED: Final = ("receiver", "adapter", "processor", "sink", "indexer")


async def overload(arena: Arena) -> int:
    """Measure how many webhooks and orders a second go all the way together, send from 30 % to 300 % of that, and return how many that were.

    What is sold anyway, ten orders a second at first, counts on both sides, so that it never comes to less than that.
    The webhooks are those of the ERP's stock, under new ids: what a system does that tells everything again and again, and what ends before the
    sinks. The orders are new ones of the shop's, and go through all of them.
    """
    bodies = itertools.cycle(await _bodies(arena))
    async with Sender(arena) as sender:
        loop = asyncio.get_running_loop()
        began, before = loop.time(), await arena.orders_at_erp()
        _, first = await asyncio.gather(sell(arena, WARM_ORDERS), _as_fast_as_possible(sender, bodies, WARM_SECONDS))
        if await recovered(arena) is None:
            raise TimeoutError("the load that measures the capacity is not done after three minutes")
        took, done = loop.time() - began, await arena.orders_at_erp() - before
        memory = Memory(arena)
        watching = asyncio.create_task(memory.watch())
        seconds = arena.run.share_of(LONG_SECONDS, SHORT_SECONDS)
        selling = asyncio.create_task(_selling(arena, done / took, seconds))
        answers = await _rising(sender, bodies, len(first) / took, seconds)
        arena.notes |= {"answers": [*first, *answers], "rising": answers, "capacity": len(first) / took, "memory": memory, "watching": watching}
        sold = await selling
    return len(answers) + sold


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
        rate = capacity * _load(second, seconds)
        for number in range(int(rate)):
            await asyncio.sleep(max(0.0, began + second + number / rate - loop.time()))
            sent.append(asyncio.create_task(sender.send(next(bodies))))
    return await asyncio.gather(*sent)


async def _selling(arena: Arena, capacity: float, seconds: int) -> int:
    """Sell what lacks of a rate that rises like that of the webhooks, beside what is sold anyway; return how many orders were sold in all."""
    loop = asyncio.get_running_loop()
    began, first = loop.time(), arena.next_order
    for second in range(seconds):
        due = int(capacity * sum(_load(past, seconds) for past in range(second + 1)))
        if (lacking := first + due - arena.next_order) > 0:
            await sell(arena, lacking)
        await asyncio.sleep(max(0.0, began + second + 1 - loop.time()))
    return arena.next_order - first


def _load(second: int, seconds: int) -> float:
    """Return the share of the capacity that is sent in this second."""
    return LOWEST + (HIGHEST - LOWEST) * float(second / max(1, seconds - 1)) ** 3


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
            self.most |= {role: max(now, self.most.get(role, 0)) for role, now in self._now().items()}
            await asyncio.sleep(1)


def overgrown(before: Mapping[str, int], most: Mapping[str, int]) -> list[str]:
    """Say which roles held more than they may, given what each held before and at most (bytes)."""
    return [
        f"the {role} grew from {_megabytes(held)} to {_megabytes(most[role])}"
        for role, held in before.items()
        if most[role] > max(MOST_GROWTH * held, held + FLOOR_BYTES)
    ]


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
    memory: Memory = arena.notes["memory"]
    return [*late, *not_put_off(rising), *overgrown(memory.before, memory.most), *await not_stored(arena, arena.notes["answers"])]


def _megabytes(count: int) -> str:
    return f"{count / 2**20:.0f} MiB"


FAULTS = (Fault("F11", "load from 30 % to 300 % of the capacity that is measured first", overload, judge=bounded),)
