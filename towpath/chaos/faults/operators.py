"""What operators do while everything runs."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from towpath.chaos.arena import Arena
from towpath.chaos.checker import told
from towpath.chaos.fault import Fault, Needs
from towpath.delivery.deadletters import DEAD, PARKED
from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import place
from towpath.errors import RetryableError
from towpath.events import AGGREGATES
from towpath.index.asking import told_letters
from towpath.kafka import KafkaSettings
from towpath.startup import in_daemon
from towpath.topic_reader import TopicReader

REPLAYED_SHARE, ARRIVED_SECONDS = 10, 240.0
"""Of 100,000 events 10,000 are replayed, and of fewer as many fewer."""
PARKED_KEYS, LEAST_KEYS = 500, 20
FIRST_ID = 2_000_001
PARKED_SECONDS = 240.0
PAID = 30
ALL_AGAIN = ("dlq", "replay", "--all", "--again")


async def replay_twice(arena: Arena) -> int:
    """Replay everything that has arrived so far, twice, while more arrives; return how many records that were: a tenth of the run at least, twice."""
    kafka, topics = arena.stack.config().kafka, [f"received.{name}" for name in sorted(set(AGGREGATES.values()))]

    async def enough() -> bool:
        return await in_daemon(lambda: _count(kafka, topics)) >= arena.run.events // REPLAYED_SHARE

    await arena.until(enough, ARRIVED_SECONDS, "a tenth of the events have arrived")
    return await _replay(arena, "replay", "--all") + await _replay(arena, "replay", "--all")


def _count(kafka: KafkaSettings, topics: Sequence[str]) -> int:
    with closing(TopicReader(kafka)) as reader:
        return sum(extent.high - extent.low for extent in reader.extents(topics).values())


async def redrive(arena: Arena) -> int:
    """Have orders fail for products that the ERP lacks, and their payments park behind them; replay all in vain, and again as the products come.

    What parked is tried again by itself at the same moment. Returns how many records the operator replayed, 0 where not all keys were among them.
    """
    count = arena.run.share_of(PARKED_KEYS, LEAST_KEYS)
    numbers = range(FIRST_ID, FIRST_ID + count)
    await place(arena.stack, orders=count, seed=arena.run.seed, first_id=FIRST_ID, bad=["unknown_sku"] * count)
    placed = {int(order["id"]) for order in await arena.rows(SHOP, "orders")} & {*numbers}
    await arena.until(lambda: _told(arena, DEAD, len(placed)), PARKED_SECONDS, f"{len(placed)} orders are dead")
    unpaid = [order["id"] for order in await arena.rows(SHOP, "orders") if order["id"] in placed and order["payment_status_id"] != PAID]
    for number in unpaid:
        await arena.call(SHOP, "POST", f"orders/{number}/pay", {})
    await arena.until(lambda: _told(arena, PARKED, len(unpaid)), PARKED_SECONDS, f"{len(unpaid)} payments are parked")
    in_vain = await _replay(arena, *ALL_AGAIN)
    replayed, _ = await asyncio.gather(_replay(arena, *ALL_AGAIN), _bring(arena, sorted(placed)))
    return in_vain + replayed if in_vain >= len(placed) else 0


async def _told(arena: Arena, state: str, count: int) -> bool:
    """Tell whether so many of the keys have an open letter in this state."""
    letters = await in_daemon(lambda: told_letters(arena.stack.config()))
    return Counter(letter["state"] for letter in letters)[state] >= count


async def _bring(arena: Arena, numbers: list[int]) -> None:
    for number in numbers:
        await arena.call(ERP, "PUT", f"products/GHOST-{number}", {"on_hand": 1_000})


async def _replay(arena: Arena, *command: str) -> int:
    """Run an operator's command that replays, and return how many records it says that it has."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "towpath", *command, "--config", str(arena.stack.config_path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, told = await process.communicate()
    if process.returncode != 0:
        raise RetryableError(f"towpath {' '.join(command)}: exit code {process.returncode}: {told.decode(errors='replace')[-500:]}")
    return int(printed.decode().splitlines()[-1].split()[1])


async def all_mended(arena: Arena) -> Sequence[str]:
    """Say which keys are dead or parked in the end."""
    return list(map(told, await in_daemon(lambda: told_letters(arena.stack.config()))))


def impatient(content: dict[str, Any]) -> None:
    """Park soon what waits for something else, and try it again soon."""
    content["defaults"] = {**content.get("defaults", {}), "dependency_wait_seconds": 1, "park_retry_seconds": 5}


FAULTS = (
    Fault("F18", "everything is replayed twice under live traffic", replay_twice),
    Fault(
        "F19",
        "parked keys are replayed under live traffic, while they come back by themselves",
        redrive,
        Needs(config=impatient),
        judge=all_mended,
        letters=True,
    ),
)
