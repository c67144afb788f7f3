"""Parked records come back by themselves: in time, when what they await is there, and to one process only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from threading import Thread

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL

from towpath.clock import OFFSET_VARIABLE, SystemClock
from towpath.delivery.database import open_engine
from towpath.delivery.deadletters import Failure
from towpath.delivery.parking import HAND_OVER, LONGEST, Parked, Parking
from towpath.testing.clock import VirtualClock

ONE = Parked("letter-1", "parked.erp", 2, 7)


class Bench:
    """Two processes over one database, on a clock that a test moves."""

    def __init__(self, database: URL) -> None:
        self.clock = VirtualClock()
        self.engines = [open_engine(database) for _ in range(2)]
        self.one, self.other = (Parking(engine, self.clock, timedelta(seconds=60)) for engine in self.engines)

    async def pass_by(self, seconds: float) -> None:
        await self.clock.run(self.clock.sleep(seconds))

    async def close(self) -> None:
        await self.one.close()
        await self.other.close()


@pytest.fixture
async def bench(database: URL) -> AsyncIterator[Bench]:
    bench = Bench(database)
    yield bench
    await bench.close()


async def test_what_is_parked_comes_back_after_its_pause_and_not_before(bench: Bench) -> None:
    await bench.one.park("erp", ONE)
    await bench.pass_by(59)
    assert [] == await bench.one.due("erp")
    await bench.pass_by(2)
    assert [ONE] == await bench.one.due("erp")


async def test_one_process_only_gets_what_is_due(bench: Bench) -> None:
    await bench.one.park("erp", ONE)
    await bench.pass_by(61)
    assert [ONE] == await bench.one.due("erp")
    assert [] == await bench.other.due("erp")


async def test_what_a_process_claimed_before_it_died_comes_back_a_minute_later(bench: Bench) -> None:
    await bench.one.park("erp", ONE)
    await bench.pass_by(61)
    await bench.one.due("erp")
    await bench.pass_by(HAND_OVER.total_seconds() + 1)
    assert [ONE] == await bench.other.due("erp")


async def test_what_was_sent_and_lost_comes_back_after_an_hour_and_not_before(bench: Bench) -> None:
    await bench.one.park("erp", ONE)
    await bench.pass_by(61)
    await bench.one.sent(await bench.one.due("erp"))
    await bench.pass_by(LONGEST.total_seconds() - 1)
    assert [] == await bench.other.due("erp")
    await bench.pass_by(2)
    assert [ONE] == await bench.other.due("erp")


async def test_what_was_parked_again_or_woken_before_it_was_noted_as_sent_keeps_its_time(bench: Bench) -> None:
    woken = ONE._replace(dead_letter_id="letter-2", offset=8)
    await bench.one.park("erp", ONE)
    await bench.one.park("erp", woken, awaits="product A-7")
    await bench.pass_by(61)
    claimed = await bench.one.due("erp")
    await bench.one.park("erp", ONE._replace(offset=9))
    await bench.other.wake("erp", "product A-7")
    await bench.one.sent(claimed)
    assert [woken] == await bench.one.due("erp")
    await bench.one.sent([woken])
    await bench.pass_by(121)
    assert [ONE._replace(offset=9)] == await bench.one.due("erp")


async def test_each_try_waits_twice_as_long_up_to_an_hour(bench: Bench) -> None:
    pauses = []
    for offset in range(9):
        await bench.one.park("erp", ONE._replace(offset=offset))
        begun = bench.clock.monotonic()
        while not await bench.one.due("erp"):
            await bench.pass_by(10)
        pauses.append(bench.clock.monotonic() - begun)
    assert [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600] == pytest.approx(pauses, abs=15)


async def test_what_is_parked_again_stands_at_its_new_place(bench: Bench) -> None:
    await bench.one.park("erp", ONE)
    await bench.one.park("erp", ONE._replace(offset=9))
    await bench.pass_by(200)
    assert [ONE._replace(offset=9)] == await bench.one.due("erp")
    assert 1 == await bench.one.count("erp")


async def test_what_awaits_an_effect_comes_back_with_it(bench: Bench) -> None:
    await bench.one.park("erp", ONE, awaits="create_order shop/order/1")
    await bench.one.park("erp", ONE._replace(dead_letter_id="letter-2"), awaits="create_order shop/order/2")
    await bench.other.wake("erp", "create_order shop/order/1")
    assert [ONE] == await bench.one.due("erp")


DEAD = Parked("letter-3", "dlq.erp", 0, 3)
UNKNOWN_SKU = Failure("no product with SKU A-7", field="Lines[0].SKU", awaits="product A-7")


async def test_a_dead_letter_that_awaits_something_comes_back_with_it_and_is_not_counted_as_parked(bench: Bench) -> None:
    await bench.one.keep("erp", DEAD, UNKNOWN_SKU)
    await bench.other.wake("erp", "product A-8")
    assert ([], 0) == (await bench.one.due("erp"), await bench.one.count("erp"))
    await bench.other.wake("erp", "product A-7")
    assert [DEAD] == await bench.one.due("erp")


async def test_a_dead_letter_is_tried_once_by_the_clock_and_then_only_when_what_it_awaits_arrives(bench: Bench) -> None:
    await bench.one.keep("erp", DEAD, UNKNOWN_SKU)
    await bench.pass_by(61)
    assert [DEAD] == await bench.one.due("erp")
    await bench.one.keep("erp", DEAD, UNKNOWN_SKU)
    await bench.pass_by(1_000_000)
    assert [] == await bench.one.due("erp")
    await bench.one.wake("erp", "product A-7")
    assert [DEAD] == await bench.one.due("erp")


async def test_what_arrives_while_it_is_tried_has_it_tried_again(bench: Bench) -> None:
    await bench.one.keep("erp", DEAD, UNKNOWN_SKU)
    await bench.pass_by(61)
    await bench.one.due("erp")
    await bench.other.wake("erp", "product A-7")
    await bench.one.keep("erp", DEAD._replace(offset=4), UNKNOWN_SKU)
    assert [DEAD._replace(offset=4)] == await bench.one.due("erp")


@pytest.mark.parametrize("moment", ["before_cursor_execute", "after_cursor_execute"])
async def test_what_arrives_while_its_row_is_written_has_it_tried_again(bench: Bench, moment: str) -> None:
    await bench.one.keep("erp", DEAD, UNKNOWN_SKU)
    await bench.pass_by(61)
    await bench.one.sent(await bench.one.due("erp"))
    waking = Thread(target=_wake, args=(bench.engines[1].url, bench.clock))

    def arrives(*event: object) -> None:
        if not str(event[2]).startswith("SELECT") and waking.ident is None:
            waking.start()
            waking.join(0.3)  # no longer: where the row is held, it goes on after the commit

    sa.event.listen(bench.engines[0], moment, arrives)
    await bench.one.keep("erp", DEAD._replace(offset=4), UNKNOWN_SKU)
    waking.join()
    assert [DEAD._replace(offset=4)] == await bench.other.due("erp")


def _wake(database: URL, clock: VirtualClock) -> None:
    async def wake() -> None:
        parking = Parking(open_engine(database), clock, timedelta(0))
        await parking.wake("erp", "product A-7")
        await parking.close()

    asyncio.run(wake())


async def test_what_a_dead_letter_awaits_next_may_have_come_before_its_row(bench: Bench) -> None:
    await bench.one.keep("erp", DEAD, UNKNOWN_SKU)
    await bench.one.wake("erp", "product A-7")
    await bench.one.sent(await bench.one.due("erp"))
    await bench.one.wake("erp", "product B-8")  # an order of two new products: the second comes just as it is refused for that
    await bench.one.keep("erp", DEAD._replace(offset=4), replace(UNKNOWN_SKU, awaits="product B-8"))
    await bench.pass_by(61)
    assert [DEAD._replace(offset=4)] == await bench.one.due("erp")


@pytest.mark.parametrize("sku", ["S" * 400, "A\0-7"])
async def test_whatever_a_dead_letter_awaits_it_comes_back_with_it(bench: Bench, sku: str) -> None:
    await bench.one.keep("erp", DEAD, Failure("unknown", awaits=f"product {sku}"))
    await bench.other.wake("erp", f"product {sku}")
    assert [DEAD] == await bench.one.due("erp")


async def test_a_dead_letter_that_awaits_nothing_is_not_tried_again(bench: Bench) -> None:
    await bench.one.park("erp", DEAD)
    await bench.one.keep("erp", DEAD, Failure("the total is wrong", field="total"))
    await bench.pass_by(1_000_000)
    assert [] == await bench.one.due("erp")


async def test_what_succeeded_is_parked_no_more(bench: Bench) -> None:
    await bench.one.park("erp", ONE)
    await bench.one.forget(["letter-1"])
    await bench.pass_by(61)
    assert ([], 0) == (await bench.one.due("erp"), await bench.one.count("erp"))


async def test_connections_do_not_see_each_others(bench: Bench) -> None:
    await bench.one.park("erp", ONE)
    await bench.pass_by(61)
    assert ([], 0) == (await bench.one.due("shop"), await bench.one.count("shop"))


@pytest.mark.parametrize("ahead", [600, -600])
async def test_hosts_whose_clocks_differ_agree_on_when_a_record_is_due(database: URL, monkeypatch: pytest.MonkeyPatch, ahead: int) -> None:
    parkings = []
    for offset in (ahead, -ahead):
        monkeypatch.setenv(OFFSET_VARIABLE, str(offset))
        parkings.append(Parking(open_engine(database), SystemClock(), timedelta(seconds=60)))
    one, other = parkings
    try:
        await one.park("erp", ONE, "product A-7")
        assert [] == await other.due("erp")
        await one.wake("erp", "product A-7")
        assert [ONE] == await other.due("erp")
    finally:
        await one.close()
        await other.close()
