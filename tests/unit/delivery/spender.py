"""A second process that spends the budget of "erp". Arguments: the database, and what it does; it tells of that in lines."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from sqlalchemy.engine import make_url

from towpath.clock import SystemClock
from towpath.delivery.budgets import Budgets
from towpath.delivery.gate import OPENS_AFTER, Gate

RATE, BURST, PROBE_SECONDS, SECONDS = 200.0, 200, 0.5, 3.0


def gate_over(database: str) -> tuple[Gate, Budgets]:
    """Return a gate, and what to close after it."""
    budgets = Budgets(make_url(database), SystemClock())
    return Gate(SystemClock(), rate=RATE, burst=BURST, probe_seconds=PROBE_SECONDS, budget=budgets.of("erp")), budgets


async def calls(gate: Gate, *, fail: bool) -> tuple[int, float, float]:
    """Return how many calls went out in a while, and when the first was asked for and the last had ended (monotonic seconds)."""
    began, count = time.monotonic(), 0

    async def call() -> None:
        nonlocal count
        while time.monotonic() < began + SECONDS:
            await gate.enter()
            count += 1
            (gate.failed if fail else gate.answered)()

    await asyncio.gather(*(call() for _ in range(2 if fail else 16)))
    return count, began, time.monotonic()


async def closed(gate: Gate) -> None:
    """Return once the circuit is closed, which `watch` learns."""
    while gate.is_open:  # noqa: ASYNC110 - another process sets it
        await asyncio.sleep(0.01)


async def main(database: str, task: str) -> None:
    gate, budgets = gate_over(database)
    tell("ready")
    sys.stdin.readline()
    if task == "spend":
        tell(json.dumps(await calls(gate, fail=False)))
    elif task == "lease":
        await gate.enter()
        tell("leased")
        sys.stdin.readline()
    elif task == "open":
        for _ in range(OPENS_AFTER):
            gate.failed()
        tell(json.dumps(await calls(gate, fail=True)))
        await closed(gate)
        tell("closed")
    await gate.close()
    await budgets.close()


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
