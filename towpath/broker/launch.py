"""Run a program that dies with the one that started it: `python launch.py PARENT PROGRAM [ARGUMENT ...]`.

A small program of its own, because code between fork and exec is unsafe where the parent has threads. Linux only; elsewhere the program
runs without the tie. The kernel counts the starting *thread* as the parent, so start from one that lives as long as the program should.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Become the given program, tied to the process `arguments[0]`; end at once where that one is gone already."""
    parent, *command = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - a fixed program, no shell


if __name__ == "__main__":
    main(sys.argv[1:])
