"""A process in which, once it is ready, no Python runs any more: a C library keeps the interpreter to itself."""

# ruff: noqa: T201  # the test reads what is printed

from __future__ import annotations

import ctypes

from towpath.runtime.guardian import Guardian

if __name__ == "__main__":
    with Guardian(lambda: None, silent_seconds=1):
        print("ready", flush=True)
        ctypes.PyDLL(None).sleep(3600)
