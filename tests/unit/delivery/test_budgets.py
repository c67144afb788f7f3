from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL

from towpath.delivery.budget import Ask, Priority, Terms
from towpath.delivery.budgets import ASKED_AGAIN_AFTER, Budgets
from towpath.delivery.database import open_engine
from towpath.delivery.gate import OPENS_AFTER, Gate
from towpath.delivery.ledger import Ledger
from towpath.testing.clock import VirtualClock

TERMS = Terms(rate=10, burst=50)
Open = Callable[[], Budgets]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def opened(database: URL, clock: VirtualClock) -> AsyncIterator[Open]:
    """What opens the budgets as one more process has them."""
    all_of_them: list[Budgets] = []

    def opened() -> Budgets:
        all_of_them.append(Budgets(database, clock))
        return all_of_them[-1]

    yield opened
    await asyncio.gather(*(one.close() for one in all_of_them))


async def test_what_one_process_takes_the_others_lack_and_what_it_gives_back_they_have(opened: Open, clock: VirtualClock) -> None:
    one, other = opened().of("erp"), opened().of("erp")
    taken = await one.exchange(TERMS, Ask(waiting=47))
    assert (47, 0) == (taken.tokens, taken.wait)
    booked = await other.exchange(TERMS, Ask(waiting=1))
    assert (1, 50) == (booked.tokens, round(booked.wait * 1000))
    await clock.advance(0.05)
    await one.exchange(TERMS, Ask(unused=10.5))
    assert 10 == (await other.exchange(TERMS, Ask(waiting=10))).tokens


async def test_each_connection_has_a_budget_of_its_own(opened: Open) -> None:
    budgets = opened()
    await budgets.of("erp").exchange(TERMS, Ask(waiting=47, pause=60))
    told = await budgets.of("shop").exchange(TERMS, Ask(waiting=47))
    assert (47, 0, 0) == (told.tokens, told.wait, told.pause)


async def test_a_look_changes_nothing_and_shows_what_others_found(opened: Open, database: URL) -> None:
    one, other = opened().of("erp"), opened().of("erp")
    assert not (await other.exchange(TERMS, Ask())).is_open
    engine = open_engine(database, reading=True)
    with engine.connect() as connection:
        assert 0 == connection.execute(sa.text("select count(*) from budgets")).scalar()
    engine.dispose()
    await one.exchange(TERMS, Ask(down=2.0))
    assert (await other.exchange(TERMS, Ask())).is_open


async def test_a_process_that_dies_takes_no_more_along_than_it_had_leased(opened: Open, clock: VirtualClock) -> None:
    dead, other = opened().of("erp"), opened().of("erp")
    leased = await dead.exchange(TERMS, Ask(waiting=1))
    assert leased.tokens <= TERMS.batch
    assert TERMS.capacity - leased.tokens == pytest.approx((await other.exchange(TERMS, Ask(waiting=45))).tokens, abs=1)
    await clock.advance(60)
    assert int(TERMS.capacity) == (await other.exchange(TERMS, Ask(waiting=50))).tokens


async def test_a_clock_that_is_set_back_neither_stops_the_refill_nor_prolongs_a_pause(database: URL) -> None:
    late, early = VirtualClock(), VirtualClock()
    await late.advance(86_400)
    one, other = Budgets(database, late), Budgets(database, early)
    await one.of("erp").exchange(TERMS, Ask(waiting=47))
    await one.of("erp").exchange(TERMS, Ask(pause=30))
    assert 30 == pytest.approx((await other.of("erp").exchange(TERMS, Ask())).pause)
    assert 30 == pytest.approx((await other.of("erp").exchange(TERMS, Ask(waiting=1))).wait)
    await early.advance(30.1)
    assert (47, 0) == (await other.of("erp").exchange(TERMS, Ask(waiting=47)))[:2]
    await one.close()
    await other.close()


async def test_tables_of_the_ledger_and_of_the_budgets_may_be_made_at_the_same_moment(opened: Open, database: URL, clock: VirtualClock) -> None:
    budgets = [opened() for _ in range(4)]
    ledgers = await asyncio.gather(*(asyncio.to_thread(Ledger, open_engine(database), clock, str(number)) for number in range(2)))
    told = await asyncio.gather(*(one.of("erp").exchange(TERMS, Ask(waiting=10)) for one in budgets))
    assert [10, 10, 10, 10] == [one.tokens for one in told]
    assert {""} == {one._trouble for one in budgets}
    for ledger in ledgers:
        await ledger.close()


async def test_gates_over_one_database_share_pause_and_circuit(opened: Open, clock: VirtualClock) -> None:
    one, other = (Gate(clock, budget=opened().of("erp")) for _ in range(2))
    await clock.run(one.enter())
    await clock.run(other.enter())
    for _ in range(OPENS_AFTER):
        one.failed()
    await one.exchange()
    began = clock.monotonic()
    await clock.run(other.enter(Priority.POLLING))
    assert other.is_open
    assert clock.monotonic() - began > 9.9
    other.answered()
    await other.exchange()
    await one.exchange()
    assert (False, False) == (one.is_open, other.is_open)
    await one.close()
    await other.close()


async def test_without_the_database_calls_go_on_and_the_health_says_so_until_it_is_back(tmp_path: Path, clock: VirtualClock) -> None:
    folder, told = tmp_path / "database", list[str]()
    budgets = Budgets(URL.create("sqlite", database=str(folder / "towpath.db")), clock, told.append)
    folder.rmdir()
    gate = Gate(clock, rate=10, burst=50, budget=budgets.of("erp"))
    for _ in range(100):
        await clock.run(gate.enter())
    assert 1 == len(told)
    assert told[0].startswith("spent as if no other process did: database: OperationalError")
    assert clock.monotonic() == pytest.approx((100 - TERMS.capacity) / 10, abs=0.5)
    folder.mkdir()
    await clock.advance(ASKED_AGAIN_AFTER)
    await clock.run(gate.enter())
    assert "" == told[-1]
    await gate.close()
    await budgets.close()
