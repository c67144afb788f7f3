from __future__ import annotations

import pytest

from processors.engines.watchdog import Watchdog

IN = ("in", 0)


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


def test_an_acknowledged_offset_that_is_not_committed_is_a_stall(time: Time) -> None:
    watchdog = Watchdog(60, time)
    assert watchdog.look({IN: (5, True)}, idle=False, hanging=False) is None
    time.now = 61
    assert watchdog.look({IN: (5, True)}, idle=False, hanging=False) == "in[0] is not committed beyond offset 5 since 61 s"


def test_a_commit_that_moves_is_none(time: Time) -> None:
    watchdog = Watchdog(60, time)
    for step in range(10):
        time.now = step * 50.0
        assert watchdog.look({IN: (step, True)}, idle=False, hanging=False) is None


def test_a_batch_that_takes_long_is_none(time: Time) -> None:
    watchdog = Watchdog(60, time)
    for now in (0, 100, 200):
        time.now = now
        assert watchdog.look({IN: (5, False)}, idle=False, hanging=False) is None


def test_a_message_that_an_idle_agent_never_got_is_a_stall(time: Time) -> None:
    watchdog = Watchdog(60, time)
    assert watchdog.look({IN: (5, False)}, idle=True, hanging=False) is None
    time.now = 61
    assert watchdog.look({IN: (5, False)}, idle=True, hanging=False) is not None


def test_a_rebalance_that_does_not_end_is_a_stall(time: Time) -> None:
    watchdog = Watchdog(60, time)
    assert watchdog.look({}, idle=True, hanging=True) is None
    time.now = 61
    assert watchdog.look({}, idle=True, hanging=True) == "a rebalance does not end since 61 s"


def test_one_rebalance_after_another_is_none(time: Time) -> None:
    watchdog = Watchdog(60, time)
    for now, hanging in ((0, True), (50, False), (100, True), (150, True)):
        time.now = now
        assert watchdog.look({}, idle=True, hanging=hanging) is None
