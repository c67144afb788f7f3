from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from towpath.delivery.budget import PROBE_SECONDS, VIEW_SECONDS, OwnBudget, Priority, Terms
from towpath.delivery.gate import OPENS_AFTER, Gate
from towpath.testing.clock import VirtualClock, settled

PROCESSES = st.lists(st.dictionaries(st.sampled_from(list(Priority)), st.integers(1, 6), min_size=1, max_size=3), min_size=1, max_size=4)
"""Of each process, how many callers it has of which priority."""


class OneBudget(OwnBudget):
    """A budget in memory that several gates share, each as a process of its own."""

    shared = True


class Deployment:
    """Processes that call one system over one budget, on one clock; `ending` says how each call ends."""

    def __init__(self, processes: int, *, rate: float | None = None, burst: int = 1) -> None:
        self.clock = VirtualClock()
        budget = OneBudget(self.clock.monotonic)
        self.gates = [Gate(self.clock, rate=rate, burst=burst, budget=budget) for _ in range(processes)]
        self.terms = self.gates[0].terms
        self.calls: list[tuple[float, int, Priority]] = []
        """When, by which process, and of which priority."""
        self.longest: dict[Priority, float] = {}
        self.ending: Callable[[Gate], None] = Gate.answered
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, process: int, priority: Priority = Priority.ORDERS, callers: int = 1, takes: float = 0.001) -> None:
        """Have so many callers call again and again."""
        self._tasks += [asyncio.create_task(self._call(process, priority, takes)) for _ in range(callers)]

    async def _call(self, process: int, priority: Priority, takes: float) -> None:
        gate = self.gates[process]
        while True:
            came = self.clock.monotonic()
            await gate.enter(priority)
            now = self.clock.monotonic()
            self.longest[priority] = max(self.longest.get(priority, 0.0), now - came)
            self.calls.append((now, process, priority))
            await self.clock.sleep(takes)
            self.ending(gate)

    def times(self) -> list[float]:
        """Return when calls went out, whoever made them."""
        return [at for at, _, _ in self.calls]

    def count(self, priority: Priority) -> int:
        """Return how many calls of a priority went out."""
        return sum(one == priority for _, _, one in self.calls)

    async def end(self) -> None:
        """Cancel the callers and close the gates."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(gate.close() for gate in self.gates))


@settings(deadline=None, max_examples=15)
@given(processes=PROCESSES, rate=st.floats(0.5, 50), burst=st.integers(1, 20))
def test_all_processes_together_make_no_more_calls_in_any_window_than_the_burst_and_the_rate_allow(
    processes: list[dict[Priority, int]], rate: float, burst: int
) -> None:
    async def check() -> list[float]:
        deployment = Deployment(len(processes), rate=rate, burst=burst)
        for process, callers in enumerate(processes):
            for priority, many in callers.items():
                deployment.start(process, priority, many)
        await deployment.clock.advance(20 / rate)
        await deployment.end()
        return deployment.times()

    times = asyncio.run(check())
    assert len(times) >= 10
    for index, first in enumerate(times):
        for later in range(index, len(times)):
            assert later - index + 1 <= burst + (times[later] - first) * rate + 1e-6


@settings(deadline=None, max_examples=15)
@given(processes=PROCESSES, rate=st.floats(0.5, 50), burst=st.integers(1, 50))
def test_nobody_waits_longer_for_the_first_place_of_its_line_than_the_terms_say(
    processes: list[dict[Priority, int]], rate: float, burst: int
) -> None:
    async def check() -> None:
        deployment = Deployment(len(processes), rate=rate, burst=burst)
        lines = sum(len(callers) for callers in processes)
        for process, callers in enumerate(processes):
            for priority in callers:
                deployment.start(process, priority)
        await deployment.clock.advance(60 / rate)
        await deployment.end()
        for priority, waited in deployment.longest.items():
            assert waited <= deployment.terms.longest_wait(priority, lines) + 1e-6

    asyncio.run(check())


async def test_who_waits_is_served_by_priority_and_then_in_the_order_of_coming() -> None:
    clock, served = VirtualClock(), list[str]()
    gate = Gate(clock, rate=1, burst=9)
    gate.throttled(0.1)

    async def call(priority: Priority, number: int) -> None:
        await gate.enter(priority)
        served.append(f"{priority.name} {number}")

    tasks = [asyncio.create_task(call(priority, number)) for priority in reversed(Priority) for number in range(4)]
    await settled()
    await clock.advance(60)
    await asyncio.gather(*tasks)
    for priority in Priority:
        assert [f"{priority.name} {number}" for number in range(4)] == [one for one in served if one.startswith(priority.name)]
    assert sorted(Priority, key=lambda priority: served.index(f"{priority.name} 3")) == list(Priority)


async def test_while_orders_take_all_they_can_every_other_priority_gets_less_than_the_one_before_it_and_some() -> None:
    deployment = Deployment(3, rate=10, burst=50)
    for priority in (Priority.ORDERS, Priority.SHIPMENTS, Priority.STOCK):
        deployment.start(0, priority, callers=16)
    deployment.start(1, Priority.POLLING)
    deployment.start(2, Priority.BACKFILL, callers=16)
    await deployment.clock.advance(60)
    deployment.calls.clear()
    await deployment.clock.advance(600)
    await deployment.end()
    counts = [deployment.count(priority) for priority in Priority]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] > 60
    assert counts[0] > 3000, "half of all, with everyone else wanting as much"
    assert 5900 < sum(counts) <= 6050


@pytest.mark.parametrize("priority", [Priority.SHIPMENTS, Priority.STOCK, Priority.POLLING, Priority.BACKFILL])
async def test_who_comes_later_but_first_finds_what_the_others_left(priority: Priority) -> None:
    deployment = Deployment(2, rate=10, burst=50)
    terms = deployment.terms
    deployment.start(0, priority, callers=100, takes=60)
    await deployment.clock.advance(0)
    assert len(deployment.calls) == int(terms.capacity - terms.left_by(priority))
    deployment.calls.clear()
    deployment.start(1, Priority.ORDERS, callers=100, takes=60)
    await deployment.clock.advance(0)
    assert deployment.count(Priority.ORDERS) >= int(terms.left_by(priority)) - 1
    await deployment.end()


async def test_processes_that_want_the_same_get_the_same() -> None:
    deployment = Deployment(4, rate=10, burst=50)
    for process, callers in enumerate((16, 16, 8, 8)):
        deployment.start(process, callers=callers)
    await deployment.clock.advance(200)
    await deployment.end()
    shares = [sum(by == process for _, by, _ in deployment.calls) for process in range(4)]
    assert max(shares) - min(shares) < 0.1 * sum(shares)
    assert sum(shares) >= 0.99 * (deployment.terms.capacity + 2000)


async def test_what_a_process_leased_and_did_not_spend_is_there_for_the_others_when_it_closes() -> None:
    deployment = Deployment(2, rate=100, burst=101)
    one, other = deployment.gates
    await one.enter()
    await one.close()
    deployment.start(1, callers=200, takes=60)
    await deployment.clock.advance(0)
    assert len(deployment.calls) == int(deployment.terms.capacity) - 1
    assert not other.is_open
    await deployment.end()


async def test_what_an_idle_process_leased_it_does_not_spend_later_on_top_of_what_the_others_spend() -> None:
    deployment = Deployment(2, rate=10, burst=50)
    await deployment.gates[0].enter()
    await deployment.clock.advance(60)
    deployment.start(0, callers=100, takes=60)
    deployment.start(1, callers=100, takes=60)
    await deployment.clock.advance(0)
    assert len(deployment.calls) == int(deployment.terms.capacity)
    await deployment.end()


async def test_a_pause_that_one_was_asked_for_holds_for_all_and_no_burst_follows_it() -> None:
    deployment = Deployment(2, rate=10, burst=50)
    one, _ = deployment.gates
    deployment.start(1, callers=4, takes=0.01)
    await deployment.clock.advance(1)
    one.throttled(20)
    await deployment.clock.advance(VIEW_SECONDS)
    deployment.calls.clear()
    await deployment.clock.advance(18.9)
    assert deployment.calls == []
    await deployment.end()
    empty = Deployment(2, rate=10, burst=50)
    empty.gates[0].throttled(1)
    await empty.clock.advance(0)
    empty.start(1, callers=100, takes=60)
    await empty.clock.advance(1)
    assert 10 <= len(empty.calls) <= 11, "the system's bucket was empty a second ago"
    await empty.end()


async def test_a_system_that_is_down_gets_one_probe_in_ten_seconds_from_all_processes_together() -> None:
    deployment = Deployment(3)
    deployment.ending = Gate.failed
    for process in range(3):
        deployment.start(process, Priority.ORDERS, callers=2)
        deployment.start(process, Priority.STOCK)
    await deployment.clock.advance(VIEW_SECONDS)
    assert [True, True, True] == [gate.is_open for gate in deployment.gates]
    deployment.calls.clear()
    await deployment.clock.advance(3600)
    await deployment.end()
    times = deployment.times()
    assert 350 < len(times) <= 360
    assert all(later - earlier >= PROBE_SECONDS - 1e-6 for earlier, later in pairwise(times))


async def test_the_pause_before_the_next_probe_of_any_process_begins_when_the_last_one_has_failed() -> None:
    deployment = Deployment(2)
    deployment.ending = Gate.failed
    for process in range(2):
        deployment.start(process, callers=4, takes=3)
    await deployment.clock.advance(10)
    deployment.calls.clear()
    await deployment.clock.advance(600)
    await deployment.end()
    assert len(deployment.calls) > 40
    assert all(13 - 1e-6 <= later - earlier < 14 for earlier, later in pairwise(deployment.times()))


async def test_one_answer_closes_the_circuit_for_all_within_a_second() -> None:
    deployment = Deployment(3)
    deployment.ending = Gate.failed
    for process in range(3):
        deployment.start(process, callers=4, takes=0.05)
    await deployment.clock.advance(60)
    deployment.ending = Gate.answered
    await deployment.clock.advance(PROBE_SECONDS)
    closed = deployment.calls[-1][0]
    deployment.calls.clear()
    await deployment.clock.advance(VIEW_SECONDS)
    await deployment.end()
    assert [False, False, False] == [gate.is_open for gate in deployment.gates]
    firsts = [min(at for at, by, _ in deployment.calls if by == process) for process in range(3)]
    assert max(firsts) - closed <= VIEW_SECONDS + 0.01


async def test_a_process_that_makes_no_call_knows_within_a_second_how_the_circuit_stands() -> None:
    deployment = Deployment(2)
    one, idle = deployment.gates
    idle.watch()
    await deployment.clock.advance(5)
    for _ in range(OPENS_AFTER):
        one.failed()
    await deployment.clock.advance(VIEW_SECONDS)
    assert idle.is_open
    one.answered()
    await deployment.clock.advance(VIEW_SECONDS)
    assert not idle.is_open
    await deployment.end()


async def test_faults_of_one_process_do_not_stop_another_that_is_answered_meanwhile() -> None:
    deployment = Deployment(2)
    poisoned, well = deployment.gates
    deployment.ending = lambda gate: gate.failed() if gate is poisoned else gate.answered()
    deployment.start(0, takes=0.3)
    deployment.start(1, takes=0.1)
    await deployment.clock.advance(60)
    by = [sum(one == process for _, one, _ in deployment.calls) for process in range(2)]
    await deployment.end()
    assert not well.is_open
    assert by[1] > 500, "of 600"
    assert by[0] > 100, "of 200: nor is it stopped itself"


@pytest.mark.parametrize(("rate", "burst"), [(None, 1), (10, 1), (10, 50), (1000, 1000), (1000, 1), (0.1, 5)])
def test_what_a_process_keeps_is_never_more_than_the_systems_own_bucket_has_room_for(rate: float | None, burst: int) -> None:
    terms = Terms(rate, burst)
    if rate is None:
        assert terms.hold == VIEW_SECONDS
    else:
        assert 1 <= terms.capacity <= burst
        assert terms.capacity + rate * terms.hold == pytest.approx(burst)
        assert (terms.batch - 1) / rate <= terms.hold
