"""Ends a process when it must end, whatever its main thread is doing."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

PARENT_VARIABLE = "TOWPATH_PARENT_PID"
RESTARTS_VARIABLE = "TOWPATH_RESTARTS"
ERROR_FILE_VARIABLE = "TOWPATH_ERROR_FILE"
HARD_EXIT_SECONDS = 8.5
SILENT_SECONDS = 120.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_POLL_SECONDS = 0.25
_ARM_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Tie this process to the one that TOWPATH_PARENT_PID names, if any: it is killed with it, and ends now if that is gone already."""
    if PARENT_VARIABLE not in os.environ:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if _parent_is_gone():
        os._exit(1)


def _parent_is_gone() -> bool:
    return os.environ.get(PARENT_VARIABLE, str(os.getppid())) != str(os.getppid())


class Guardian:
    """While entered (in the main thread): calls `stop` on SIGTERM and SIGINT, and ends the process `hard_exit_seconds` later.

    A thread of its own waits for the signals, so that they are heard also while the main thread is stuck in a C library. Where no Python runs any
    more, because that library keeps the interpreter to itself, the process ends after `silent_seconds`. Either end writes the threads' stacks.
    """

    def __init__(self, stop: Callable[[], object], *, hard_exit_seconds: float = HARD_EXIT_SECONDS, silent_seconds: float = SILENT_SECONDS) -> None:
        self._stop, self._hard_exit_seconds, self._silent_seconds = stop, hard_exit_seconds, silent_seconds
        self._done, self._told = threading.Event(), False
        self._thread = threading.Thread(target=self._watch, name="guardian", daemon=True)
        self._mask: set[signal.Signals | int] = set()

    def __enter__(self) -> Self:
        self._mask = set(signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS))
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()
        if not self._told:  # else all that is left of the process has to end in that time
            faulthandler.cancel_dump_traceback_later()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def _watch(self) -> None:
        armed = float("-inf")
        while not self._done.is_set():
            if time.monotonic() - armed > min(_ARM_SECONDS, self._silent_seconds / 2):
                armed = time.monotonic()
                _end_after(self._silent_seconds)
            if _parent_is_gone():
                os._exit(1)
            told = signal.sigtimedwait(_SIGNALS, _POLL_SECONDS)
            if told is not None and told.si_signo in _SIGNALS:  # a process that stood still and wakes is told of none, and not by None
                self._told = True
                _end_after(self._hard_exit_seconds)
                self._stop()
                self._done.wait()


def _end_after(seconds: float) -> None:
    """Have the process end with 1 after so long, unless this is called again; the timer needs no Python to run."""
    faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__ or 2)
