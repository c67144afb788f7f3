"""Whatever is killed in mid-run, and started again: each order is at BNG once, stock and status agree, and so does what an analyst reads."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import Plan, fault_settings, figures, place, settle
from towpath.demo.report import report, verdict
from towpath.demo.stack import Stack
from towpath.testing.played import Played
from towpath.testing.waiting import until

ANALYST = Path(__file__).parents[2] / "examples" / "analytics" / "revenue.py"
PLAN = Plan("bng-nopcommerce", 12, 7, "mild")
VICTIMS = {
    "faust": [["processor", "receiver", "adapter"], ["broker", SHOP, "up"]],
    "native": [["processor", "poller", "sink"], ["broker", ERP, "indexer", "registry"]],
}
"""Those that die together, in turn. Processor and broker try the engine itself; what else dies is dealt out over the two."""


@pytest.mark.parametrize("engine", VICTIMS)
async def test_f01_survives_kill_9_of_each_in_turn(engine: str, start: Callable[..., Any]) -> None:
    async with start(faults=fault_settings(PLAN), changes=lambda content: content.update(engine=engine)) as stack:
        for number, victims in enumerate(VICTIMS[engine]):
            await lose(stack, victims, first_id=1001 + number * PLAN.orders)
            plan = replace(PLAN, orders=(number + 1) * PLAN.orders)
            result = await report(stack, plan)
            assert verdict(result, "mild") == [], victims
            counts = [result[name] for name in ("orders_placed", "orders_in_target", "dead_letters", "parked")]
            assert counts == [plan.orders, plan.orders, 0, 0], victims
        assert await sold(stack) == await read_by_an_analyst(stack)


async def sold(stack: Stack) -> dict[tuple[str, str], Decimal]:
    """Return what the shop took, by hour and currency."""
    sums: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for order in await Played(stack).rows(SHOP, "orders"):
        hour = f"{order['created_on_utc'][:13].replace('T', ' ')}:00"
        sums[hour, order["customer_currency_code"]] += Decimal(str(order["order_total"]))
    return dict(sums)


async def read_by_an_analyst(stack: Stack) -> dict[tuple[str, str], Decimal]:
    """Return what the example prints, which is given two addresses and imports nothing of Towpath."""
    assert "import towpath" not in ANALYST.read_text()
    assert "from towpath" not in ANALYST.read_text()
    addresses = (stack.config().kafka.bootstrap_servers, f"http://127.0.0.1:{stack.ports['registry']}")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ANALYST), *addresses, cwd=stack.directory, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, told = await process.communicate()
    assert process.returncode == 0, told.decode()
    rows = [line.split("  ") for line in printed.decode().splitlines()]
    return {(hour, currency): Decimal(total) for hour, currency, total in rows}


async def lose(stack: Stack, victims: Sequence[str], first_id: int) -> None:
    """Kill processes while orders come in, start them again, and wait until all is through."""
    before = (await figures(stack)).orders_in_target
    orders = {"orders": PLAN.orders, "seed": PLAN.seed, "first_id": first_id}
    await place(stack, **orders, per_second=20)
    await until(lambda: _has_orders(stack, before + 5), what=f"the first orders at BNG before the end of {victims}")
    for victim in victims:
        stack.kill(victim)
    await stack.start()
    if SHOP in victims:  # its shopper died with it: whoever had not paid yet orders again
        await place(stack, **orders)
    await settle(stack)


async def _has_orders(stack: Stack, count: int) -> bool:
    return (await figures(stack)).orders_in_target >= count
