from __future__ import annotations

from towpath.delivery.bucket import Bucket
from towpath.testing.clock import VirtualClock


async def test_taking_tells_how_long_it_takes_and_waits_for_nothing() -> None:
    clock = VirtualClock()
    bucket = Bucket(clock, rate=2, burst=1)
    assert 0 == bucket.take()
    assert 0.5 == bucket.take()
    await clock.advance(0.5)
    assert 0 == bucket.take()


async def test_no_more_than_the_burst_gathers() -> None:
    clock = VirtualClock()
    bucket = Bucket(clock, rate=2, burst=3)
    await clock.advance(60)
    assert [0, 0, 0, 0.5] == [bucket.take() for _ in range(4)]


def test_without_a_rate_all_is_let_through() -> None:
    bucket = Bucket(VirtualClock(), rate=None, burst=1)
    assert {0} == {bucket.take() for _ in range(1000)}
