from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.engine import URL

from towpath.delivery.cursors import Cursor, Cursors
from towpath.delivery.database import open_engine
from towpath.testing.clock import VirtualClock

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
LATER = NOON + timedelta(microseconds=1)


@pytest.fixture
async def opened(database: URL) -> AsyncIterator[list[Cursors]]:
    both = [Cursors(open_engine(database), VirtualClock()) for _ in range(2)]
    yield both
    for one in both:
        await one.close()


async def test_a_cursor_is_kept_to_the_microsecond_with_what_is_unfinished(opened: list[Cursors]) -> None:
    one, other = opened
    assert await one.find("shop", "order") is None
    await one.begin("shop", "order", NOON)
    await one.move("shop", "order", LATER)
    await one.keep("shop", "order", {"1001": "d1"})
    assert Cursor(NOON, LATER, {"1001": "d1"}) == await other.find("shop", "order")


async def test_connections_and_entities_have_cursors_of_their_own(opened: list[Cursors]) -> None:
    one, _ = opened
    for connection, entity in (("shop", "order"), ("shop", "customer"), ("shop-2", "order")):
        await one.begin(connection, entity, NOON)
    await one.move("shop", "order", LATER)
    assert [await one.find("shop", "customer"), await one.find("shop-2", "order")] == [Cursor(NOON, NOON)] * 2


async def test_a_list_begins_once(opened: list[Cursors]) -> None:
    one, other = opened
    assert Cursor(NOON, NOON) == await one.begin("shop", "order", NOON)
    await one.move("shop", "order", LATER)
    assert Cursor(NOON, LATER) == await other.begin("shop", "order", NOON + timedelta(days=1))


async def test_of_two_pollers_neither_moves_a_cursor_back(opened: list[Cursors]) -> None:
    one, other = opened
    await one.begin("shop", "order", NOON)
    await one.move("shop", "order", NOON + timedelta(hours=1))
    await other.move("shop", "order", LATER)
    assert Cursor(NOON, NOON + timedelta(hours=1)) == await one.find("shop", "order")


async def test_pollers_that_start_at_the_same_moment_make_one_table_and_agree(database: URL) -> None:
    clock = VirtualClock()
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: Cursors(open_engine(database), clock), range(8)))
    began = await asyncio.gather(*(one.begin("shop", "order", NOON + timedelta(seconds=turn)) for turn, one in enumerate(opened)))
    assert len(set(map(repr, began))) == 1
    for one in opened:
        await one.close()
