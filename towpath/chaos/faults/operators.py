"""What operators do while everything runs."""

from __future__ import annotations

import asyncio
import sys

from towpath.chaos.arena import Arena
from towpath.chaos.fault import Fault
from towpath.errors import RetryableError


async def replay_twice(arena: Arena) -> int:
    """Replay everything that has arrived so far, twice, while more arrives; return how many records that were."""
    return await _replay(arena) + await _replay(arena)


async def _replay(arena: Arena) -> int:
    command = [sys.executable, "-m", "towpath", "replay", "--all", "--config", str(arena.stack.config_path)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    printed, told = await process.communicate()
    if process.returncode != 0:
        raise RetryableError(f"towpath replay: exit code {process.returncode}: {told.decode(errors='replace')[-500:]}")
    return int(printed.decode().splitlines()[-1].split()[1])


FAULTS = (Fault("F18", "everything is replayed twice under live traffic", replay_twice),)
