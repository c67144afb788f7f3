from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from towpath.delivery.deadletters import DEAD, PARKED, Failure
from towpath.delivery.lane import State
from towpath.delivery.lanes import BUG_ATTEMPTS, LONGEST_TOLD, Known, LaneLimits, Lanes
from towpath.errors import DataError, DependencyError, FencedError, OutcomeUnknownError, RetryableError
from towpath.metrics import Metrics
from towpath.records import Record
from towpath.testing.clock import VirtualClock, settled
from towpath.testing.records import ScriptedHandler, a_record

Script = Callable[[Record, int], Awaitable[None]]


class Bench:
    """Lanes over a scripted handler, on a clock that a test moves."""

    def __init__(self, script: Script | None = None, *, in_flight: int = 16, retry_seconds: float = 60) -> None:
        self.clock = VirtualClock()
        self.handler = ScriptedHandler(script)
        self.finished: list[int] = []
        self.empty = asyncio.Event()
        self.metrics = Metrics()
        self.lanes = Lanes(self.handler, self.clock, LaneLimits(in_flight, retry_seconds), self.note, connection="erp", metrics=self.metrics)

    def figure(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(name, {"connection": "erp"}) or 0

    def note(self, record: Record) -> None:
        self.finished.append(record.offset)
        if not self.lanes.pending:
            self.empty.set()

    def submit(self, *records: Record) -> None:
        for record in records:
            self.lanes.submit(record)

    async def finish(self) -> None:
        self.empty.clear()
        await self.clock.run(self.empty.wait())


def raising(error: Exception, *, times: int = 10**9, offset: int | None = None) -> Script:
    async def script(record: Record, attempt: int) -> None:
        if attempt <= times and offset in {None, record.offset}:
            raise error

    return script


async def test_records_of_one_key_run_one_after_the_other_in_order() -> None:
    async def slow_at_first(record: Record, _attempt: int) -> None:
        await bench.clock.sleep(10 - record.offset)

    bench = Bench(slow_at_first)
    bench.submit(*(a_record(offset) for offset in range(10)))
    await bench.finish()
    assert list(range(10)) == bench.handler.done
    assert list(range(10)) == bench.finished
    assert bench.handler.most_at_once == 1


async def test_keys_run_in_parallel_up_to_the_limit() -> None:
    async def one_second(_record: Record, _attempt: int) -> None:
        await bench.clock.sleep(1)

    bench = Bench(one_second, in_flight=4)
    bench.submit(*(a_record(offset, key=f"order/{offset}") for offset in range(12)))
    await settled()
    assert bench.figure("towpath_in_flight") == 4
    await bench.finish()
    assert bench.figure("towpath_in_flight") == bench.figure("towpath_retries_total") == 0
    assert bench.handler.most_at_once == 4
    assert bench.clock.monotonic() == 3
    assert sorted(bench.finished) == list(range(12))


async def test_records_without_a_key_do_not_wait_for_each_other() -> None:
    async def first_waits(record: Record, _attempt: int) -> None:
        await bench.clock.sleep(10 if record.offset == 0 else 0)

    bench = Bench(first_waits)
    bench.submit(a_record(0, key=None), a_record(1, key=None))
    await bench.clock.advance(1)
    assert bench.finished == [1]
    await bench.finish()


async def test_order_holds_while_a_key_is_retried_and_other_keys_flow_past_it() -> None:
    bench = Bench(raising(RetryableError("not now"), times=5, offset=0), in_flight=1)
    bench.submit(a_record(0, key="a"), a_record(1, key="a"), a_record(2, key="b"), a_record(3, key="c"))
    await settled()
    assert bench.finished == [2, 3], "the one slot is free while the failing key waits"
    await bench.finish()
    assert bench.finished == [2, 3, 0, 1]
    assert bench.handler.given_up == []


async def test_a_passing_failure_parks_after_retry_seconds_with_its_attempts() -> None:
    bench = Bench(raising(RetryableError("503 from erp")), retry_seconds=60)
    bench.submit(a_record(0))
    await bench.clock.advance(49)
    assert bench.handler.given_up == []
    await bench.clock.advance(22)
    [(offset, failure)] = bench.handler.given_up
    assert offset == 0
    assert Failure("503 from erp", "passing", state=PARKED, attempts=len(bench.handler.begun)) == failure
    assert bench.finished == [0]
    assert bench.figure("towpath_retries_total") == len(bench.handler.begun) - 1


async def test_an_unknown_outcome_is_retried_like_a_passing_failure() -> None:
    bench = Bench(raising(OutcomeUnknownError("no answer"), times=2))
    bench.submit(a_record(0))
    await bench.finish()
    assert bench.handler.begun == [0, 0, 0]
    assert bench.handler.given_up == []


@pytest.mark.parametrize(
    "error", [RetryableError("down", system_wide=True), RetryableError("429", throttled=True, retry_after=1), FencedError("theirs")]
)
async def test_what_is_no_fault_of_the_record_never_gives_it_up(error: Exception) -> None:
    bench = Bench(raising(error, times=500))
    bench.submit(a_record(0), a_record(1))
    await bench.clock.advance(240)
    assert bench.handler.given_up == []
    assert bench.finished == []
    assert len(bench.handler.begun) > 20
    await bench.finish()
    assert bench.finished == [0, 1]


async def test_an_outage_between_two_passing_failures_does_not_count_against_the_record() -> None:
    async def script(_record: Record, attempt: int) -> None:
        if attempt == 1 or attempt > 30:
            raise RetryableError("its own")
        raise RetryableError("outage", system_wide=True)

    bench = Bench(script, retry_seconds=60)
    bench.submit(a_record(0))
    while len(bench.handler.begun) < 31:
        await bench.clock.advance(1)
    began = bench.clock.monotonic()
    assert began > 120
    await bench.finish()
    assert bench.clock.monotonic() - began > 49


async def test_the_time_that_the_target_asked_for_is_kept() -> None:
    bench = Bench(raising(RetryableError("busy", retry_after=7), times=1))
    bench.submit(a_record(0))
    await bench.clock.advance(6.9)
    assert bench.handler.begun == [0]
    await bench.clock.advance(0.1)
    assert bench.finished == [0]


async def test_no_target_can_hold_a_lane_for_longer_than_a_minute_at_a_time() -> None:
    bench = Bench(raising(RetryableError("busy", retry_after=3600), times=1))
    bench.submit(a_record(0))
    await bench.clock.advance(LONGEST_TOLD)
    assert bench.finished == [0]


async def test_a_data_error_is_a_dead_letter_at_once_and_its_followers_go_on() -> None:
    bench = Bench(raising(DataError("unknown SKU", field="lines.0.sku", value="A-7"), offset=0))
    bench.submit(a_record(0), a_record(1))
    await settled()
    assert [(0, Failure("unknown SKU", field="lines.0.sku", value="A-7", state=DEAD))] == bench.handler.given_up
    assert bench.finished == [0, 1]
    assert bench.clock.monotonic() == 0


async def test_a_dead_letter_counts_the_tries_before_it() -> None:
    async def script(_record: Record, attempt: int) -> None:
        raise RetryableError("not now") if attempt < 4 else DataError("refused", field="x")

    bench = Bench(script)
    bench.submit(a_record(0))
    await bench.finish()
    assert [4] == [failure.attempts for _, failure in bench.handler.given_up]


async def test_a_bug_is_a_dead_letter_of_its_own_class_after_three_tries() -> None:
    bench = Bench(raising(KeyError("secret content"), offset=0))
    bench.submit(a_record(0), a_record(1))
    await bench.finish()
    assert [(0, Failure("unexpected KeyError", "bug", state=DEAD, attempts=BUG_ATTEMPTS))] == bench.handler.given_up
    assert bench.finished == [0, 1]
    assert bench.lanes.failure is None


async def test_a_dead_letter_that_kafka_does_not_take_is_stored_until_it_does() -> None:
    bench = Bench(raising(DataError("bad", field="x"), offset=0))
    bench.handler.storing = [RetryableError("no broker", system_wide=True)] * 50
    bench.submit(a_record(0), a_record(1))
    await bench.clock.advance(60)
    assert bench.finished == []
    await bench.finish()
    assert bench.finished == [0, 1]
    assert [0] == [offset for offset, _ in bench.handler.given_up]


@pytest.mark.parametrize("error", [DataError("bad", field="x"), DependencyError("not there yet", awaits="order 1")], ids=["dead", "parked"])
async def test_a_dead_letter_too_large_to_store_is_stored_without_its_value_and_says_where_it_stands(error: Known) -> None:
    bench = Bench(raising(error))
    bench.handler.storing = [DataError("message too large", field="value")]
    bench.submit(a_record(7, partition=3))
    await bench.clock.advance(60)
    [(offset, failure)] = bench.handler.given_up
    assert offset == 7
    assert "inbox.shop/3/7" in failure.reason
    assert (DEAD, "", False) == (failure.state, failure.awaits, failure.whole), "nothing can try it again by itself"
    assert bench.finished == [7]
    assert bench.lanes.failure is None


async def test_a_failure_that_nothing_can_store_ends_the_lane_unfinished_and_is_told() -> None:
    bench = Bench(raising(DataError("bad", field="x")))
    bench.handler.storing = [ZeroDivisionError("a bug in storing")]
    bench.submit(a_record(0))
    await settled()
    assert isinstance(bench.lanes.failure, ZeroDivisionError)
    assert bench.finished == []


async def test_a_record_that_comes_as_its_lane_ends_is_not_lost() -> None:
    bench = Bench()
    seen = asyncio.Event()

    async def tell(_record: Record, _attempt: int) -> None:
        seen.set()

    async def follow() -> None:
        await seen.wait()
        for offset in range(1, 200):
            bench.submit(a_record(offset))
            if offset % 3 == 0:
                await asyncio.sleep(0)

    bench.handler = ScriptedHandler(tell)
    bench.lanes = Lanes(bench.handler, bench.clock, LaneLimits(), bench.note)
    following = asyncio.create_task(follow())
    await settled()
    bench.submit(a_record(0))
    await following
    await settled()
    assert list(range(200)) == bench.finished
    assert bench.lanes.pending == 0


async def test_memory_of_a_key_is_freed_with_its_last_record() -> None:
    bench = Bench()
    bench.submit(*(a_record(offset, key=f"order/{offset}") for offset in range(100)))
    assert bench.lanes.pending == 100
    await settled()
    assert bench.lanes.pending == 0
    assert len(bench.lanes._lanes) == len(bench.lanes._tasks) == 0


async def test_draining_ends_the_calls_under_way_and_begins_none() -> None:
    release = asyncio.Event()

    async def script(record: Record, _attempt: int) -> None:
        if record.key == b"failing":
            raise RetryableError("not now")
        await release.wait()

    bench = Bench(script, in_flight=2)
    bench.submit(a_record(0, key="a"), a_record(1, key="a"), a_record(2, key="failing"))
    await settled()
    bench.submit(a_record(3, key="b"), a_record(4, key="waits for a slot"))
    await settled()
    begun = len(bench.handler.begun)
    draining = asyncio.create_task(bench.lanes.drain(60))
    await settled()
    assert not draining.done()
    release.set()
    await settled()
    assert draining.done(), "a lane that waits to try again is not waited for"
    assert sorted(bench.finished) == [0, 3]
    assert begun == len(bench.handler.begun), "nothing new was begun"


async def test_a_failure_while_draining_leaves_the_record_to_the_next_owner() -> None:
    release = asyncio.Event()

    async def script(_record: Record, _attempt: int) -> None:
        await release.wait()
        raise RetryableError("not now")

    bench = Bench(script)
    bench.submit(a_record(0))
    await settled()
    draining = asyncio.create_task(bench.lanes.drain(60))
    await settled()
    release.set()
    await settled()
    assert draining.done()
    assert bench.finished == []
    assert bench.lanes.failure is None


async def test_draining_gives_up_on_a_call_that_hangs() -> None:
    async def hang(_record: Record, _attempt: int) -> None:
        await asyncio.Event().wait()

    bench = Bench(hang)
    bench.submit(a_record(0))
    await settled()
    await bench.lanes.drain(0.01)
    assert bench.finished == []
    assert bench.lanes.failure is None


async def test_dropping_forgets_the_partition_that_went_and_keeps_the_others() -> None:
    release = asyncio.Event()

    async def script(_record: Record, _attempt: int) -> None:
        await release.wait()

    bench = Bench(script)
    bench.submit(a_record(0, key="a", partition=0), a_record(1, key="a", partition=0), a_record(2, key="b", partition=1))
    await settled()
    bench.lanes.drop(lambda record: record.partition == 0)
    await settled()
    assert bench.figure("towpath_in_flight") == 1
    release.set()
    await settled()
    assert bench.finished == [2]
    assert bench.lanes.pending == 0


async def test_a_partition_that_comes_back_at_once_is_worked_off_from_its_first_record() -> None:
    never = asyncio.Event()

    async def script(_record: Record, _attempt: int) -> None:
        if len(bench.handler.begun) == 1:
            try:
                await never.wait()
            finally:
                await asyncio.sleep(0)  # a call takes some turns to be cancelled

    bench = Bench(script)
    bench.submit(a_record(0))
    await settled()
    bench.lanes.drop(lambda _record: True)
    bench.submit(a_record(0), a_record(1))
    await settled()
    assert bench.finished == [0, 1]
    assert bench.lanes.pending == 0


async def test_a_dropped_record_is_not_finished_even_when_its_call_ends_all_the_same() -> None:
    release = asyncio.Event()

    async def uncancellable(_record: Record, _attempt: int) -> None:
        try:
            await release.wait()
        except asyncio.CancelledError:
            return

    bench = Bench(uncancellable)
    bench.submit(a_record(0), a_record(1))
    await settled()
    bench.lanes.drop(lambda _record: True)
    await settled()
    assert bench.finished == []
    assert bench.handler.begun == [0]


# --- what depends on something else


def waits_for(wanted: int) -> Script:
    """Return a script whose record 0 waits until record `wanted` is done."""

    async def script(record: Record, _attempt: int) -> None:
        if record.offset == 0 and not done.is_set():
            raise DependencyError("waits for another", awaits="create_order 1")
        if record.offset == wanted:
            done.set()

    done = asyncio.Event()
    return script


async def test_what_a_record_waits_for_may_come_behind_it_in_its_own_lane() -> None:
    bench = Bench(waits_for(2))
    bench.submit(*(a_record(offset) for offset in range(4)))
    await bench.finish()
    assert [1, 2, 0, 3] == bench.handler.done
    assert [] == bench.handler.given_up


async def test_what_waits_is_tried_again_when_nothing_else_is_in_its_lane() -> None:
    bench = Bench(waits_for(1))
    bench.submit(a_record(0))
    await bench.clock.run(asyncio.sleep(0))
    await settled()
    bench.submit(a_record(1))
    await bench.finish()
    assert [1, 0] == bench.handler.done


async def test_what_never_comes_is_waited_for_so_long_and_then_parks_with_the_reason() -> None:
    bench = Bench(waits_for(9))
    bench.submit(a_record(0), a_record(1))
    begun = bench.clock.monotonic()
    await bench.finish()
    [(offset, failure)] = bench.handler.given_up
    assert (0, PARKED, "waits for another") == (offset, failure.state, failure.reason)
    assert 10 <= bench.clock.monotonic() - begun < 15
    assert [1, 0] == bench.finished


async def test_all_that_wait_keep_their_order() -> None:
    async def script(record: Record, _attempt: int) -> None:
        if record.offset == 3:
            done.set()
        elif not done.is_set():
            raise DependencyError("waits for another", awaits="create_order 1")

    done = asyncio.Event()
    bench = Bench(script)
    bench.submit(*(a_record(offset) for offset in range(4)))
    await bench.finish()
    assert [3, 0, 1, 2] == bench.handler.done


# --- states of which only the newest counts


async def test_of_a_state_only_the_newest_that_waits_is_put() -> None:
    bench = Bench()
    bench.handler.states = {offset: State("stock", (offset, 0)) for offset in range(5)}
    bench.submit(*(a_record(offset) for offset in range(5)))
    await bench.finish()
    assert ([4], [0, 1, 2, 3]) == (bench.handler.done, bench.handler.superseded)


async def test_an_older_version_that_comes_later_supersedes_nothing() -> None:
    bench = Bench()
    bench.handler.states = {0: State("stock", (2, 0)), 1: State("stock", (1, 0)), 2: State("status", (9, 0))}
    bench.submit(*(a_record(offset) for offset in range(3)))
    await bench.finish()
    assert ([0, 1, 2], []) == (bench.handler.done, bench.handler.superseded)


async def test_a_state_that_cannot_be_put_gives_way_to_a_newer_one() -> None:
    bench = Bench(raising(RetryableError("no"), offset=0))
    bench.handler.states = {0: State("stock", (0, 0)), 1: State("stock", (1, 0))}
    bench.submit(a_record(0))
    await bench.clock.run(asyncio.sleep(0))
    await settled()
    bench.submit(a_record(1))
    await bench.finish()
    assert ([1], [0], []) == (bench.handler.done, bench.handler.superseded, bench.handler.given_up)
