"""Runs one tiny role in the real frame: `tiny_role.py <data_dir> <behaviour>`."""

# ruff: noqa: T201  # the tests read what is printed

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import threading
import time
from pathlib import Path

from towpath.config import Config, Health
from towpath.errors import ConfigError
from towpath.runtime.role import RoleContext, run_role


class TinyRole:
    name = "sink"

    def __init__(self, behaviour: str) -> None:
        self.behaviour = behaviour

    async def run(self, context: RoleContext) -> None:
        if self.behaviour == "misconfigured":
            raise ConfigError("connections.erp.url: must be another one")
        if self.behaviour == "crash":
            raise RuntimeError("a bug")
        if self.behaviour == "return":
            return
        context.health.set_ready("kafka", ok=True)
        print("ready", flush=True)
        if self.behaviour == "threads":
            print(heaps_of_threads(16), flush=True)
        if self.behaviour == "stuck":
            time.sleep(3600)  # noqa: ASYNC251  # stands for a C library that never comes back
        await context.stop.wait()
        if self.behaviour == "slow":
            await asyncio.sleep(3600)


def heaps_of_threads(count: int) -> int:
    """Return how many heaps glibc has while so many threads are there that each took memory."""
    libc, took, told = ctypes.CDLL(None), threading.Barrier(count + 1), threading.Barrier(count + 1)
    libc.open_memstream.restype = ctypes.c_void_p

    def take() -> None:
        libc.malloc(1_000)
        took.wait()
        told.wait()

    threads = [threading.Thread(target=take) for _ in range(count)]
    for thread in threads:
        thread.start()
    took.wait()
    text, size = ctypes.c_char_p(), ctypes.c_size_t()
    stream = ctypes.c_void_p(libc.open_memstream(ctypes.byref(text), ctypes.byref(size)))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    told.wait()
    return (text.value or b"").count(b"<heap ")


if __name__ == "__main__":
    data_dir, behaviour = sys.argv[1:]
    config = Config(data_dir=Path(data_dir), health=Health(sink=int(os.environ.get("TINY_ROLE_PORT", "0"))))
    try:
        sys.exit(run_role("sink", config, lambda _: TinyRole(behaviour)))
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
