"""Disks that are full, under Kafka, and under all that the roles keep."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Final

from towpath.chaos.arena import Arena
from towpath.chaos.disks import why_no_disks
from towpath.chaos.fault import Fault, Needs
from towpath.chaos.webhooks import Answered, Sender, not_stored

KAFKA, ROLES = "data/kafka", "data"
DISKS: Final[Mapping[str, int]] = {ROLES: 512, KAFKA: 512}
"""Megabytes; the roles' folder holds the ledger, the index, and the processor's state."""
FULL_SECONDS, LONG_SECONDS, BETWEEN_SECONDS = 15, 60, 0.5
BODY = json.dumps({"type": "nothing", "data": {}})


async def full(arena: Arena) -> int:
    """Leave no room on each disk in turn, send webhooks meanwhile, make room again; return on how many disks there was none."""
    answers: dict[str, list[Answered]] = {}
    times = 0
    seconds = arena.run.share_of(LONG_SECONDS, FULL_SECONDS)
    async with Sender(arena) as sender:
        for name in (KAFKA, ROLES):
            disk, filled, sent = arena.disks[name], False, list[asyncio.Task[Answered]]()
            for _ in range(int(seconds / BETWEEN_SECONDS)):
                disk.fill()
                filled |= disk.is_full
                sent.append(asyncio.create_task(sender.send(BODY)))
                await asyncio.sleep(BETWEEN_SECONDS)
            times += filled
            disk.make_room()
            answers[name] = await asyncio.gather(*sent)
            await arena.ready()
    arena.notes["answers"] = answers
    return times if times == len(DISKS) else 0


async def honest(arena: Arena) -> Sequence[str]:
    """Say which webhook was taken and is not there, and where Kafka went on although its disk was full: then nothing was put to the test."""
    answers: dict[str, list[Answered]] = arena.notes["answers"]
    found = [one for name in answers for one in await not_stored(arena, answers[name])]
    return found if not all(one.accepted for one in answers[KAFKA]) else [*found, "no webhook was refused while Kafka's disk was full"]


FAULTS = (Fault("F16", "disks full under Kafka, the ledger and the state", full, Needs(disks=DISKS), honest, impossible=why_no_disks),)
