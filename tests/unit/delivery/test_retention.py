"""What is finished is forgotten after its time, and what is unfinished never."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy.engine import URL

from towpath.delivery import retention
from towpath.delivery.database import open_engine
from towpath.delivery.ledger import Effect, Ledger
from towpath.delivery.retention import Sweeper
from towpath.testing.clock import VirtualClock

LEASE, SETTLE, KEPT = timedelta(seconds=20), timedelta(seconds=5), timedelta(days=730)
DAY = 86_400


class Bench:
    """A ledger, and what forgets in it."""

    def __init__(self, database: URL) -> None:
        self.clock = VirtualClock()
        self.ledger = Ledger(open_engine(database), self.clock, "one")
        self.sweeper = Sweeper(open_engine(database), self.clock, KEPT)

    async def begin(self, key: str) -> Effect:
        effect = Effect("erp", "create_order", key)
        await self.ledger.begin(effect, digest="d", lease=LEASE, settle=SETTLE)
        return effect

    async def done(self, key: str) -> None:
        await self.ledger.complete(await self.begin(key), f"SO-{key}")

    async def sweep(self) -> int:
        return await self.clock.run(self.sweeper.sweep())

    async def known(self, *keys: str) -> list[str]:
        return [key for key in keys if await self.ledger.peek(Effect("erp", "create_order", key)) is not None]

    async def close(self) -> None:
        await self.ledger.close()
        await self.sweeper.close()


@pytest.fixture
async def bench(database: URL) -> AsyncIterator[Bench]:
    bench = Bench(database)
    yield bench
    await bench.close()


async def test_what_is_done_or_refused_is_forgotten_after_its_time_and_what_is_unfinished_never(bench: Bench) -> None:
    await bench.done("done")
    await bench.ledger.refused(await bench.begin("refused"))
    await bench.begin("unfinished")
    await bench.clock.advance(730 * DAY - 100)
    await bench.done("young")
    assert 0 == await bench.sweep()
    await bench.clock.advance(200)
    assert 2 == await bench.sweep()
    assert ["unfinished", "young"] == await bench.known("done", "refused", "unfinished", "young")
    await bench.clock.advance(10_000 * DAY)
    assert 1 == await bench.sweep()
    assert ["unfinished"] == await bench.known("young", "unfinished")


async def test_every_page_is_looked_through_and_two_who_sweep_remove_each_row_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PAGE", 7)
    for number in range(40):
        await (bench.begin(f"{number}") if number % 4 == 0 else bench.done(f"{number}"))
    await bench.clock.advance(731 * DAY)
    other = Sweeper(open_engine(bench.sweeper._database._engine.url), bench.clock, KEPT)
    removed = await bench.clock.run(asyncio.gather(bench.sweeper.sweep(), other.sweep()))
    assert 30 == sum(removed)
    assert [f"{number}" for number in range(0, 40, 4)] == await bench.known(*(f"{number}" for number in range(40)))
    await other.close()


async def test_it_ends_when_it_is_told_to(bench: Bench) -> None:
    await bench.done("done")
    await bench.clock.advance(731 * DAY)
    assert 0 == await bench.sweeper.sweep(lambda: True)
    stop = asyncio.Event()
    stop.set()
    await bench.sweeper.run(stop)
    assert ["done"] == await bench.known("done")
