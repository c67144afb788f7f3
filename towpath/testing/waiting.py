"""Waiting for a condition in tests, bounded, instead of sleeping for a guess."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


async def until(holds: Callable[[], Awaitable[bool]], *, seconds: float = 60, what: str = "the condition") -> None:
    """Return once `holds()` is true; raises AssertionError that names `what` after so many seconds."""
    deadline, pause = asyncio.get_running_loop().time() + seconds, 0.05
    while not await holds():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"{what} did not hold within {seconds:g} s")
        await asyncio.sleep(pause)
        pause = min(pause * 1.2, 0.3)
