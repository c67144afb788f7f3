"""A running pair of Brightpearl, with a 3PL that ships for it, and NopCommerce for the tests of its flows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.e2e.conftest import impatient
from towpath.demo.pairs import ERP, SHOP, THREEPL, find_pair
from towpath.demo.stack import Stack
from towpath.sandbox.nopcommerce.bundle import Bundle
from towpath.testing.played import Played
from towpath.testing.waiting import until

Row = dict[str, Any]
PATIENCE = 60
PERIOD = 2.0
"""Seconds of Brightpearl's minute: whoever is throttled waits until the next begins."""


def is_simple(bundle: Bundle) -> bool:
    return len(bundle.items) == 1


class Pair(Played):
    """The pair, with the names of Brightpearl and its 3PL for what stands there."""

    async def threepl(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Return the answer of one of the 3PL's controls, by its path after `/_sandbox/`."""
        return await self._call(THREEPL, method, path, body)

    async def placed(self, number: int, *, seconds: float = PATIENCE, **having: object) -> Row:
        """Return Brightpearl's order of a shop order, once it is there with these values."""

        async def is_so() -> bool:
            return bool(await self.rows(ERP, "orders", reference=f"SHOP-{number}", **having))

        await until(is_so, seconds=seconds, what=f"order {number} at Brightpearl with {having}")
        return await self.row(ERP, "orders", reference=f"SHOP-{number}")

    async def noted(self, number: int, lines: Mapping[str, int] | None = None) -> Row:
        """Return a goods-out note of a shop order, of all that is reserved for it where no quantities by row are given."""
        order = await self.placed(number, allocationStatusCode="AAA")
        note: Row = await self.erp("POST", "warehouse/note", {"order": order["id"], "lines": lines})
        return note

    async def requested(self, note: Row, *, status: str = "accepted") -> Row:
        """Return the 3PL's one request of a note, once it has that status."""
        await self.is_there(THREEPL, "requests", reference=f"BP-{note['_id']}", status=status)
        return await self.row(THREEPL, "requests", reference=f"BP-{note['_id']}")

    async def left(self, note: Row) -> Row:
        """Return a note, once it is shipped."""

        async def has_left() -> bool:
            return any(row["status"]["shipped"] for row in await self.rows(ERP, "notes", _id=note["_id"]))

        await until(has_left, seconds=PATIENCE, what=f"note {note['_id']} is shipped")
        return await self.row(ERP, "notes", _id=note["_id"])

    async def sent(self, number: int, count: int = 1) -> list[Row]:
        """Return the shop's shipments of an order, once so many have left."""

        async def have_left() -> bool:
            return sum(row["shipped_date_utc"] is not None for row in await self.rows(SHOP, "shipments", order_id=number)) >= count

        await until(have_left, seconds=PATIENCE, what=f"{count} shipments of order {number} at the shop")
        return await self.rows(SHOP, "shipments", order_id=number)

    async def is_there(self, name: str, entity: str, /, **having: object) -> None:
        """Return once a system holds such a row."""

        async def is_so() -> bool:
            return bool(await self.rows(name, entity, **having))

        await until(is_so, seconds=PATIENCE, what=f"{entity} at {name} with {having}")

    async def shelved(self, sku: str, quantity: int, *, seconds: float = PATIENCE) -> None:
        """Return once the shop may sell so many of a product."""

        async def is_so() -> bool:
            return any(row["stock_quantity"] == quantity for row in await self.rows(SHOP, "products", sku=sku))

        await until(is_so, seconds=seconds, what=f"{quantity} of {sku} at the shop")

    async def calls(self, name: str, method: str, path: str) -> list[Row]:
        """Return the calls that a system got to paths that end so, oldest first."""
        found = (await self._call(name, "GET", "journal?limit=100000", None))["items"]
        return [row for row in found if row["method"] == method and row["path"].endswith(path)]


@asynccontextmanager
async def running(folder: Path, changes: Callable[[dict[str, Any]], None] = impatient) -> AsyncIterator[Pair]:
    """Run the pair in a folder while entered, with a 3PL that ships when it is told to; it is killed at the end."""
    pair = find_pair("brightpearl-nopcommerce")
    settings = {**(pair.threepl_settings or {}), "ships_after_seconds": None}
    account = {**pair.erp_settings, "calls_per_minute": 2_000, "minute_seconds": PERIOD}
    stack = Stack(folder / "stack", replace(pair, threepl_settings=settings, erp_settings=account), {}, {}, {}, changes)
    stack.write()
    try:
        await stack.start()
        yield Pair(stack)
    finally:
        await asyncio.to_thread(stack.kill_all)
