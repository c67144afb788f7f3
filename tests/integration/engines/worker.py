"""A worker to be killed. Arguments: engine, servers, group, datadir, and `once` or `count` with the seconds that a record takes."""

from __future__ import annotations

import asyncio
import faulthandler
import signal
import sys
from pathlib import Path

from processors.engines.testing import ENGINES, Once, Place, Slow


async def main(engine: str, servers: str, group: str, datadir: str, processor: str, seconds: str) -> None:
    place, stop = Place(servers, group), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    chosen = {"once": Once, "count": Slow}[processor](float(seconds))
    await ENGINES[engine](place.settings(Path(datadir), commit_interval=0.3, batch=200), chosen).run(stop)


if __name__ == "__main__":
    faulthandler.register(signal.SIGUSR1)  # tells where each thread is, even of a process that hangs
    asyncio.run(main(*sys.argv[1:]))
