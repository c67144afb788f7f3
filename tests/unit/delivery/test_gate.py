from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from towpath.delivery.budget import PROBE_SECONDS, OwnBudget, Priority
from towpath.delivery.gate import OPENS_AFTER, OVERSLEPT, Gate
from towpath.testing.clock import VirtualClock, settled


class Callers:
    """Tasks that call through a gate again and again; `ending` says how each call ends."""

    def __init__(
        self, gate: Gate, clock: VirtualClock, ending: Callable[[], None], *, many: int = 8, takes: float = 0.05, priority: Priority = Priority.ORDERS
    ) -> None:
        self.times: list[float] = []
        self.at_once = self.most_at_once = 0
        self._gate, self._clock, self.ending, self._takes, self._priority = gate, clock, ending, takes, priority
        self._tasks = [asyncio.create_task(self._call()) for _ in range(many)]

    async def _call(self) -> None:
        while True:
            await self._gate.enter(self._priority)
            self.times.append(self._clock.monotonic())
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            await self._clock.sleep(self._takes)
            self.at_once -= 1
            self.ending()

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._gate.close()


async def opened(gate: Gate) -> None:
    for _ in range(OPENS_AFTER):
        await gate.enter()
        gate.failed()


@settings(deadline=None, max_examples=30)
@given(rate=st.floats(0.5, 50), burst=st.integers(1, 20))
def test_no_window_has_more_calls_than_the_burst_and_the_rate_allow(rate: float, burst: int) -> None:
    async def check() -> list[float]:
        clock = VirtualClock()
        gate = Gate(clock, rate=rate, burst=burst)
        callers = Callers(gate, clock, gate.answered, takes=0.001)
        await clock.advance(60 / rate)
        await callers.end()
        return callers.times

    times = asyncio.run(check())
    assert len(times) >= 60
    for index, first in enumerate(times):
        for later in range(index, len(times)):
            assert later - index + 1 <= burst + (times[later] - first) * rate + 1e-6


async def test_what_rounding_adds_to_a_pause_holds_nobody_up() -> None:
    clock, asked = VirtualClock(), 0

    def elsewhere() -> float:
        nonlocal asked
        asked += 1
        assert asked < 1000, "it is asked again and again, and time does not go on"
        return clock.monotonic() + 1000 / 3

    gate = Gate(clock, budget=OwnBudget(elsewhere))
    for pause in range(1, 21):
        gate.throttled(pause / 7)
        caller = asyncio.create_task(gate.enter())
        await clock.advance(pause / 7 + 0.1)
        await caller
    await gate.close()


async def test_without_a_rate_calls_are_not_held_up() -> None:
    clock = VirtualClock()
    gate = Gate(clock)
    for _ in range(1000):
        await gate.enter()
    assert clock.monotonic() == 0


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize(("rate", "burst"), [(10, 50), (10, 1), (100, 50), (0.5, 1), (1000, 1000), (1000, 50)])
async def test_all_of_the_rate_is_used_while_enough_wait(rate: float, burst: int, priority: Priority) -> None:
    clock = VirtualClock()
    gate = Gate(clock, rate=rate, burst=burst)
    callers = Callers(gate, clock, gate.answered, takes=0.001, many=50, priority=priority)
    await clock.advance(1 + 10 / rate)
    callers.times.clear()
    many = max(500, 2 * burst)
    await clock.advance(many / rate)
    await callers.end()
    assert 0.97 * many <= len(callers.times) <= 1.03 * many


async def test_a_caller_that_is_cancelled_takes_nothing_from_the_others() -> None:
    clock = VirtualClock()
    gate = Gate(clock, rate=1, burst=1)
    await gate.enter()
    waiting = [asyncio.create_task(gate.enter()) for _ in range(5)]
    await settled()
    waiting[0].cancel()
    await clock.advance(1)
    assert [False, True, False, False, False] == [task.done() and not task.cancelled() for task in waiting]
    waiting[2].cancel()
    waiting[3].cancel()
    await clock.advance(1)
    assert waiting[4].done()


async def test_a_caller_that_is_cancelled_as_it_is_let_in_leaves_its_token_to_the_next() -> None:
    clock = VirtualClock()
    gate = Gate(clock, rate=10, burst=50)
    taken = asyncio.create_task(gate.enter())
    line = gate._lines[Priority.ORDERS]
    for _ in range(100):
        if line.tokens:
            break
        await asyncio.sleep(0)
    before = line.tokens
    assert (before, taken.done()) == (1, False), "it was let in and has not gone on yet"
    taken.cancel()
    await settled()
    assert taken.cancelled()
    assert line.tokens == before + 1


async def test_a_process_that_was_stopped_for_long_spends_no_tokens_of_then() -> None:
    clock = VirtualClock()
    gate = Gate(clock, rate=1, burst=1)
    await gate.enter()
    waiting = asyncio.create_task(gate.enter())
    await settled()
    clock._seconds += 1 + OVERSLEPT + 0.1
    await clock.advance(0)
    assert waiting.done(), "it asked anew, and was told that there is one"
    again = asyncio.create_task(gate.enter())
    await clock.advance(0.9)
    assert not again.done()
    again.cancel()


async def test_a_bug_reaches_those_who_wait_instead_of_leaving_them_there() -> None:
    gate = Gate(VirtualClock(), rate=0, burst=1)  # which no configuration has
    with pytest.raises(ZeroDivisionError):
        await gate.enter()


async def test_no_call_goes_out_while_the_system_asked_to_wait_and_the_longest_wait_holds() -> None:
    clock = VirtualClock()
    gate = Gate(clock)
    gate.throttled(30)
    gate.throttled(5)
    entering = asyncio.create_task(gate.enter())
    await clock.advance(29.9)
    assert not entering.done()
    await clock.advance(0.1)
    assert entering.done()


async def test_being_throttled_never_opens_the_circuit() -> None:
    clock = VirtualClock()
    gate = Gate(clock)
    for _ in range(100):
        gate.throttled(1)
    assert not gate.is_open


async def test_faults_open_it_only_in_a_row() -> None:
    gate = Gate(VirtualClock())
    for _ in range(50):
        for _ in range(OPENS_AFTER - 1):
            gate.failed()
        gate.answered()
    assert not gate.is_open
    await opened(gate)
    assert gate.is_open


async def test_a_system_that_stays_down_gets_one_probe_in_ten_seconds() -> None:
    clock = VirtualClock()
    gate = Gate(clock)
    callers = Callers(gate, clock, gate.failed, many=32)
    await clock.advance(1)
    callers.times.clear()
    callers.most_at_once = callers.at_once
    await clock.advance(3600)
    await callers.end()
    assert callers.most_at_once == 1
    assert 350 < len(callers.times) <= 360
    assert all(later - earlier >= PROBE_SECONDS - 1e-9 for earlier, later in zip(callers.times, callers.times[1:], strict=False))


async def test_the_first_probe_goes_out_after_its_pause_also_where_nobody_waited_meanwhile() -> None:
    clock = VirtualClock()
    gate = Gate(clock, probe_seconds=3)
    await opened(gate)
    await clock.advance(2)
    entering = asyncio.create_task(gate.enter())
    await clock.advance(0.9)
    assert not entering.done()
    await clock.advance(0.1)
    assert entering.done()


async def test_one_answer_closes_it_and_everyone_goes_on() -> None:
    clock = VirtualClock()
    gate = Gate(clock)
    callers = Callers(gate, clock, gate.failed)
    await clock.advance(120)
    callers.ending = gate.answered
    await clock.advance(PROBE_SECONDS + 0.1)
    callers.times.clear()
    await clock.advance(1)
    await callers.end()
    assert not gate.is_open
    assert len(callers.times) > 100


async def test_calls_from_before_it_opened_neither_lengthen_the_pause_nor_let_a_second_probe_out() -> None:
    clock = VirtualClock()
    gate = Gate(clock)
    await opened(gate)
    entering = [asyncio.create_task(gate.enter()) for _ in range(3)]
    await clock.advance(5)
    gate.failed()
    gate.failed()
    await clock.advance(PROBE_SECONDS - 5)
    assert [True, False, False] == [task.done() for task in entering]
    gate.failed()
    gate.throttled(0)
    await clock.advance(5)
    assert [True, False, False] == [task.done() for task in entering]
    gate.answered()
    await clock.advance(0)
    assert all(task.done() for task in entering)


async def test_a_probe_that_never_ends_lets_the_next_one_out_in_its_time() -> None:
    clock = VirtualClock()
    gate = Gate(clock)
    await opened(gate)
    entering = [asyncio.create_task(gate.enter()) for _ in range(2)]
    await clock.advance(PROBE_SECONDS)
    assert [True, False] == [task.done() for task in entering]
    await clock.advance(PROBE_SECONDS)
    assert entering[1].done()
