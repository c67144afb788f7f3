"""A worker to be killed. Arguments: engine, servers, group, datadir, and `once` or `count` with the seconds that a record takes."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from processors.engines.testing import ENGINES, Once, Place, Slow
from towpath.runtime.guardian import Guardian


async def main(engine: str, servers: str, group: str, datadir: str, processor: str, seconds: str) -> None:
    place, stop, loop = Place(servers, group), asyncio.Event(), asyncio.get_running_loop()
    chosen = {"once": Once, "count": Slow}[processor](float(seconds))
    with Guardian(lambda: loop.call_soon_threadsafe(stop.set)):
        await ENGINES[engine](place.settings(Path(datadir), commit_interval=0.3, batch=200), chosen).run(stop)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
