"""Webhooks that come again, late, in another order, or tell old news."""

from __future__ import annotations

import asyncio
import bisect
import json
from collections.abc import Sequence

from towpath.chaos.arena import Arena
from towpath.chaos.checker import outdated
from towpath.chaos.evidence import gather
from towpath.chaos.fault import Fault
from towpath.chaos.faults.systems import dialled
from towpath.demo.pairs import ERP, SHOP

SHUFFLED_SECONDS = 15.0
MOST = 5
MANY = {"webhook_duplicate": 0.8, "most_copies": MOST, "webhook_shuffle": 1.0, "shuffle_seconds": 10.0}
"""Each is sent once to five times, and held back so long that hundreds overtake it."""
OVERTAKEN = 100
"""By so many others one is overtaken at least, in a run of 5,000 events."""
OLD = 20


async def old_news(arena: Arena) -> int:
    """Have the ERP send the first webhooks of its stock once more, under new ids, when newer ones have long been told."""
    newest: dict[str, str] = {}

    async def outdated() -> list[str]:
        rows = [row for row in await arena.rows(ERP, "webhooks") if row["type"] == "inventory_updated" and row["accepted"]]
        for row in rows:
            newest[_what(row["body"])] = row["body"]
        return [row["body"] for row in rows if newest[_what(row["body"])] != row["body"]]

    async def enough() -> bool:
        return len(await outdated()) >= OLD

    await arena.until(enough, 120, "stock of the same products changed more than once")
    await asyncio.sleep(2)  # the newer ones go first
    bodies = (await outdated())[:OLD]
    for body in bodies:
        await arena.call(ERP, "POST", "emit", {"body": body})
    arena.notes["old"] = len(bodies)
    return len(bodies)


def _what(body: str) -> str:
    data = json.loads(body)["data"]
    return f"{data['SKU']}/{data['Warehouse']}"


async def superseded(arena: Arena) -> Sequence[str]:
    """Say what old news became public behind newer, and where what was told again did not arrive: then nothing was put to the test."""
    evidence = await gather(arena)
    came, taken = ([fact for fact in outdated(facts) if fact.type == "StockChanged"] for facts in (evidence.received, evidence.public))
    found = [f"{fact.type} of {fact.key} at {fact.place} was taken for news" for fact in taken]
    return found if len(came) >= arena.notes["old"] else [*found, f"{len(came)} old events came again, of {arena.notes['old']} that were sent"]


async def many_and_shuffled(arena: Arena) -> Sequence[str]:
    """Say where webhooks did not come as often, or overtook each other as far, as they are to."""
    rows = [row for row in await arena.rows(SHOP, "webhooks") if row["delivered_at"]]
    lacking = {1, MOST} - {row["accepted"] for row in rows}
    found = [f"no webhook came {times} times" for times in sorted(lacking)]
    most, wanted = most_overtaken([row["delivered_at"] for row in rows]), arena.run.share_of(OVERTAKEN)
    return found if most >= wanted else [*found, f"no webhook was overtaken by more than {most} others, where {wanted} are wanted"]


def most_overtaken(delivered: Sequence[str]) -> int:
    """Return by how many that were told after it one webhook was overtaken at most; `delivered` is when each came, in the order of telling."""
    later, most = list[str](), 0
    for moment in reversed(delivered):
        place = bisect.bisect_left(later, moment)
        later.insert(place, moment)
        most = max(most, place)
    return most


FAULTS = (
    Fault(
        "F13",
        "webhooks come several times and shuffled",
        dialled(SHUFFLED_SECONDS, SHOP, ERP, **MANY),
        judge=many_and_shuffled,
    ),
    Fault("F14", "stock events come again when newer ones stand", old_news, judge=superseded),
)
