"""A worker to be killed: sends every record on once, remembers its key, and takes its time. Arguments: servers, group, datadir, store."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from processors.engines.faust_engine import FaustEngine
from processors.engines.settings import EngineSettings
from processors.port import Output, ReadState, Record, Step


class Once:
    """Copies the records of unseen keys to `<topic>-out`."""

    def process(self, record: Record, read: ReadState) -> Step:
        time.sleep(0.0004)
        if record.key is None or read(record.key):
            return Step()
        return Step([Output(f"{record.topic}-out", record.key, record.value)], {record.key: b"seen"})


def main(servers: str, group: str, datadir: str, store: str) -> None:
    settings = EngineSettings(
        bootstrap_servers=servers,
        group=group,
        topics=(group,),
        partitions=4,
        datadir=Path(datadir),
        store="memory" if store == "memory" else "rocksdict",
        replication_factor=1,
        commit_interval=0.3,
        session_timeout=6,
    )
    asyncio.run(FaustEngine(settings, Once()).run(asyncio.Event()))


if __name__ == "__main__":
    main(*sys.argv[1:])
