"""Machines whose clocks are wrong by minutes, each by its own, and webhooks whose time is."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence
from datetime import timedelta

from towpath.chaos.arena import Arena
from towpath.chaos.fault import Fault, Needs
from towpath.chaos.webhooks import Sender

WRONG_SECONDS = 600.0
ROLES = {"adapter": 1, "poller": 1, "processor": 2, "sink": 2}
BETWEEN_SECONDS = (2.0, 5.0)
ACCEPTED, REFUSED = 204, 401
UNUSED = json.dumps({"type": "nothing", "data": {}})
"""What no flow uses."""
WEBHOOKS = {timedelta(minutes=minutes): REFUSED if abs(minutes) > 5 else ACCEPTED for minutes in (-10, -6, -4, 4, 6, 10)}  # noqa: PLR2004 - minutes


async def wrong_clocks(arena: Arena) -> int:
    """Kill workers, one of each role at a time; each starts again ten minutes fast or slow, unlike its neighbour and unlike before.

    They stay wrong until the end. Meanwhile webhooks come whose time is wrong. Returns how many clocks went wrong.
    """
    turns, wrong = arena.run.share_of(20, 2), 0
    for turn, number in itertools.product(range(turns), range(max(ROLES.values()))):
        for worker in (one for several in arena.workers.values() for one in several if one.number == number):
            worker.clock_offset = WRONG_SECONDS * (-1) ** (turn + number)
            wrong += worker.kill()
        await asyncio.sleep(arena.dice.uniform(*BETWEEN_SECONDS))
        await arena.ready()
    async with Sender(arena) as sender:
        arena.notes["answers"] = {off: (await sender.send(UNUSED, off)).status for off in WEBHOOKS}
    return wrong


async def only_timely_webhooks(arena: Arena) -> Sequence[str]:
    """Say which webhook was taken, or refused, that should not have been."""
    answers: dict[timedelta, int] = arena.notes["answers"]
    return [f"a webhook from {off} away was answered {answers[off]}, not {wanted}" for off, wanted in WEBHOOKS.items() if answers[off] != wanted]


FAULTS = (Fault("F15", "clocks ten minutes fast and slow, and webhooks out of their time", wrong_clocks, Needs(ROLES), only_timely_webhooks),)
