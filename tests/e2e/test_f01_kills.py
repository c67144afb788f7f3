"""Whatever is killed in mid-run, and started again: each order is at BNG once, and stock and status agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import Plan, fault_settings, figures, place, report, settle, verdict
from towpath.demo.stack import Stack
from towpath.testing.waiting import until

PLAN = Plan("bng-nopcommerce", 40, 7, "mild")


EITHER = [("processor", "faust"), ("processor", "native"), ("broker", "faust"), ("broker", "native")]
"""What the engine itself is tried by; what else dies is dealt out over the two."""
FAUST = [(victim, "faust") for victim in ("receiver", "adapter", "indexer", SHOP, "up")]
NATIVE = [(victim, "native") for victim in ("poller", "sink", "registry", ERP)]


@pytest.mark.parametrize(("victim", "engine"), [*EITHER, *FAUST, *NATIVE])
async def test_f01_survives_kill_9_of(victim: str, engine: str, start: Callable[..., Any]) -> None:
    async with start(faults=fault_settings(PLAN), changes=lambda content: content.update(engine=engine)) as stack:
        await place(stack, orders=PLAN.orders, seed=PLAN.seed, per_second=20)
        await until(lambda: _has_orders(stack, 8), what="the first orders at BNG")
        stack.kill(victim)
        await stack.start()
        if victim == SHOP:  # its shopper died with it: whoever had not paid yet orders again
            await place(stack, orders=PLAN.orders, seed=PLAN.seed)
        await settle(stack)
        result = await report(stack, PLAN)
        assert verdict(result, "mild") == []
        assert (result["orders_placed"], result["orders_in_target"], result["dead_letters"], result["parked"]) == (PLAN.orders, PLAN.orders, 0, 0)


async def _has_orders(stack: Stack, count: int) -> bool:
    return (await figures(stack)).orders_in_target >= count
