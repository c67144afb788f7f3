"""Two real processes over one database: this one, and `spender.py`."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import URL

from towpath.clock import SystemClock
from towpath.delivery.budget import Ask, Terms
from towpath.delivery.budgets import Budgets
from towpath.testing.waiting import until

SPENDER = Path(__file__).with_name("spender.py")
Other = Callable[[str], Awaitable[Process]]


def load_spender() -> Any:  # noqa: ANN401 - a module
    spec = importlib.util.spec_from_file_location("spender", SPENDER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


spender = load_spender()


@pytest.fixture
def address(database: URL) -> str:
    return database.render_as_string(hide_password=False)


@pytest.fixture
async def other(address: str) -> AsyncIterator[Other]:
    """What starts the other process, and returns when it is ready to begin."""
    started: list[Process] = []

    async def other(task: str) -> Process:
        started.append(process := await asyncio.create_subprocess_exec(sys.executable, SPENDER, address, task, stdin=PIPE, stdout=PIPE))
        assert "ready" == await line_of(process)
        return process

    yield other
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def line_of(process: Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()


def begin(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"begin\n")


async def test_together_they_make_no_more_calls_than_one_budget_allows(other: Other, address: str) -> None:
    process = await other("spend")
    gate, budgets = spender.gate_over(address)
    begin(process)
    mine = await spender.calls(gate, fail=False)
    theirs = json.loads(await line_of(process))
    await gate.close()
    await budgets.close()
    seconds = max(mine[2], theirs[2]) - min(mine[1], theirs[1])
    assert mine[0] > 0 < theirs[0]
    assert mine[0] + theirs[0] <= spender.BURST + spender.RATE * seconds


async def test_one_that_is_killed_takes_at_most_what_it_had_leased(other: Other, address: str) -> None:
    process = await other("lease")
    begin(process)
    assert "leased" == await line_of(process)
    process.kill()
    await process.wait()
    budgets, terms = Budgets(spender.make_url(address), SystemClock()), Terms(spender.RATE, spender.BURST)
    told = await budgets.of("erp").exchange(terms, Ask(waiting=spender.BURST))
    assert int(terms.capacity) - terms.batch <= told.tokens <= terms.capacity
    assert 0 == told.wait
    await budgets.close()


async def test_what_one_finds_down_the_other_leaves_alone_and_both_together_probe_in_their_time(other: Other, address: str) -> None:
    process = await other("open")
    gate, budgets = spender.gate_over(address)
    gate.watch()
    begin(process)

    async def knows() -> bool:
        return bool(gate.is_open)

    await until(knows, what="this process knows of the circuit")
    mine = await spender.calls(gate, fail=True)
    theirs = json.loads(await line_of(process))
    seconds = max(mine[2], theirs[2]) - min(mine[1], theirs[1])
    assert 1 <= mine[0] + theirs[0] <= seconds / spender.PROBE_SECONDS + 1
    assert gate.is_open
    gate.answered()
    assert "closed" == await line_of(process)
    await gate.close()
    await budgets.close()
