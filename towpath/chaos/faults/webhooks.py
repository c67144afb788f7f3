"""Webhooks that come again, late, in another order, or tell old news."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from towpath.chaos.arena import Arena
from towpath.chaos.evidence import gather
from towpath.chaos.fault import Fault
from towpath.chaos.faults.systems import dialled
from towpath.demo.pairs import ERP, SHOP

SHUFFLED_SECONDS = 15.0
MOST_SHUFFLED = 10.0
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
    """Say where what was told again did not arrive at all: then nothing was put to the test."""
    evidence = await gather(arena)
    again = len(evidence.received) - len({(fact.type, fact.identity, fact.version) for fact in evidence.received})
    return [] if again >= arena.notes["old"] else [f"{again} old events came again, of {arena.notes['old']} that were sent"]


FAULTS = (
    Fault(
        "F13",
        "webhooks come several times and shuffled",
        dialled(SHUFFLED_SECONDS, SHOP, ERP, webhook_duplicate=0.8, webhook_shuffle=1.0),
    ),
    Fault("F14", "stock events come again when newer ones stand", old_news, judge=superseded),
)
