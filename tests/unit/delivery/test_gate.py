from __future__ import annotations

import asyncio
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from towpath.delivery.gate import LONGEST_PAUSE, OPENS_AFTER, Gate
from towpath.testing.clock import VirtualClock, settled


class Callers:
    """Tasks that call through a gate again and again; `ending` says how each call ends."""

    def __init__(self, gate: Gate, clock: VirtualClock, ending: Callable[[], None], *, many: int = 8, takes: float = 0.05) -> None:
        self.times: list[float] = []
        self.at_once = self.most_at_once = 0
        self._gate, self._clock, self.ending, self._takes = gate, clock, ending, takes
        self._tasks = [asyncio.create_task(self._call()) for _ in range(many)]

    async def _call(self) -> None:
        while True:
            await self._gate.enter()
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


async def test_without_a_rate_calls_are_not_held_up() -> None:
    clock = VirtualClock()
    gate = Gate(clock)
    for _ in range(1000):
        await gate.enter()
    assert clock.monotonic() == 0


async def test_taking_tells_how_long_it_takes_and_waits_for_nothing() -> None:
    clock = VirtualClock()
    gate = Gate(clock, rate=2, burst=1)
    assert gate.take() == 0
    assert gate.take() == 0.5
    await clock.advance(0.5)
    assert gate.take() == 0


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


async def test_a_system_that_stays_down_gets_one_probe_at_a_time_and_at_most_one_in_ten_seconds() -> None:
    clock = VirtualClock()
    gate = Gate(clock)
    callers = Callers(gate, clock, gate.failed, many=32)
    await clock.advance(60)
    callers.times.clear()
    callers.most_at_once = callers.at_once
    await clock.advance(3600)
    await callers.end()
    assert callers.most_at_once == 1
    assert 300 < len(callers.times) <= 360
    assert all(later - earlier >= LONGEST_PAUSE for earlier, later in zip(callers.times, callers.times[1:], strict=False))


async def test_one_answer_closes_it_and_everyone_goes_on() -> None:
    clock = VirtualClock()
    gate = Gate(clock)
    callers = Callers(gate, clock, gate.failed)
    await clock.advance(120)
    callers.ending = gate.answered
    await clock.advance(LONGEST_PAUSE + 0.1)
    callers.times.clear()
    await clock.advance(1)
    await callers.end()
    assert not gate.is_open
    assert len(callers.times) > 100


async def test_calls_from_before_it_opened_neither_lengthen_the_pause_nor_let_a_second_probe_out() -> None:
    clock = VirtualClock()
    gate = Gate(clock)
    await opened(gate)
    gate.failed()
    gate.failed()
    entering = [asyncio.create_task(gate.enter()) for _ in range(3)]
    await clock.advance(0.5)
    assert [True, False, False] == sorted((task.done() for task in entering), reverse=True)
    gate.failed()
    gate.left()
    gate.throttled(0)
    await clock.advance(5)
    assert [True, False, False] == sorted((task.done() for task in entering), reverse=True)
    gate.answered()
    await clock.advance(1)
    assert all(task.done() for task in entering)


async def test_a_probe_that_is_cancelled_lets_the_next_one_out() -> None:
    clock = VirtualClock()
    gate = Gate(clock)
    await opened(gate)

    async def probe() -> None:
        await gate.enter()
        try:
            await asyncio.Event().wait()
        finally:
            gate.left()

    first = asyncio.create_task(probe())
    await clock.advance(0.5)
    second = asyncio.create_task(gate.enter())
    await clock.advance(1)
    assert not second.done()
    first.cancel()
    await clock.advance(0.2)
    await settled()
    assert second.done()
