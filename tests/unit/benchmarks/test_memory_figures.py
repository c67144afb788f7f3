from __future__ import annotations

import mmap
import os
from multiprocessing import Pipe

from benchmarks.memory import figures_of

PAGES_MB = 64.0


def test_memory_that_two_processes_share_counts_in_equal_parts() -> None:
    before = figures_of(os.getpid())
    with mmap.mmap(-1, int(PAGES_MB * 1e6), flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS) as pages:
        pages.write(b"x" * len(pages))
        alone = figures_of(os.getpid())
        ours, theirs = Pipe()
        if (child := os.fork()) == 0:
            assert len(pages[:]) == len(pages)
            theirs.send("read")
            theirs.recv()
            os._exit(0)
        ours.recv()
        shared = figures_of(os.getpid())
        ours.send("end")
        os.waitpid(child, 0)
    assert alone["now_mb"] - before["now_mb"] > 0.8 * PAGES_MB
    assert alone["now_mb"] - shared["now_mb"] > 0.3 * PAGES_MB
    assert shared["resident_mb"] - before["resident_mb"] > 0.8 * PAGES_MB
