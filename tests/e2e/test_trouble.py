"""Network trouble: what fails for longer than is waited for parks with its reason, and comes through by itself once the trouble has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import impatient
from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import place, settle
from towpath.index.asking import told_letters
from towpath.testing.played import Played
from towpath.testing.waiting import until

ORDERS = 20


def short_of_breath(content: dict[str, Any]) -> None:
    """Retry a passing failure for two seconds and no longer."""
    impatient(content)
    content["defaults"]["lane_retry_seconds"] = 2


async def test_f01_an_erp_that_drops_most_calls_parks_an_order_with_the_reason_and_gets_each_once_when_it_is_well(start: Callable[..., Any]) -> None:
    async with start(changes=short_of_breath) as stack:
        pair = Played(stack)
        async with pair.faults(ERP, unavailable=0.7, seed=7):
            await place(stack, orders=ORDERS, seed=7)

            reasons: list[str] = []

            async def is_parked() -> bool:
                letters = await asyncio.to_thread(told_letters, stack.config())
                reasons[:] = [letter["reason"] for letter in letters if (letter["state"], letter["hop"]) == ("parked", "sink")]
                return bool(reasons)

            await until(is_parked, what="an order that BNG did not take is parked")
            assert [] == [reason for reason in reasons if "503" not in reason]
        await settle(stack)

        async def none_is_left() -> bool:
            return not await asyncio.to_thread(told_letters, stack.config())

        await until(none_is_left, what="nothing is parked any more")
        orders = [row["ExternalOrderID"] for row in await pair.rows(ERP, "sales_orders")]
        assert sorted(orders) == [f"{SHOP.upper()}-{number}" for number in range(1001, 1001 + ORDERS)]
