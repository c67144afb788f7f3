"""What the guardian takes for a signal to stop."""

from __future__ import annotations

import faulthandler
import signal
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from towpath.runtime.guardian import Guardian


@pytest.fixture(autouse=True)
def stays() -> Iterator[None]:
    """Keep the tests' own process, which the guardian would end."""
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.mark.parametrize(("number", "stops"), [(0, False), (signal.SIGCHLD, False), (signal.SIGTERM, True), (signal.SIGINT, True)])
def test_a_process_that_wakes_after_it_stood_still_goes_on_and_one_that_is_told_to_stop_stops(
    monkeypatch: pytest.MonkeyPatch, number: int, *, stops: bool
) -> None:
    # CPython's `sigtimedwait` that a SIGCONT interrupts after its time is up returns a siginfo that was never filled, and not None
    heard, again, stopped = iter([SimpleNamespace(si_signo=number)]), threading.Event(), threading.Event()

    def sigtimedwait(_signals: object, _seconds: float) -> SimpleNamespace | None:
        told = next(heard, None)
        if told is None:
            again.set()
        return told

    monkeypatch.setattr(signal, "sigtimedwait", sigtimedwait)
    with Guardian(stopped.set, hard_exit_seconds=600):
        assert (stopped if stops else again).wait(10)
    assert stops == stopped.is_set()
