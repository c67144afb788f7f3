"""Plain Faust as its users write it: an agent of concurrency 2 that forwards what it reads; one message of it is slow.

`python -m towpath.chaos.plain_faust BOOTSTRAP_SERVERS FROM TO FOLDER`: once in the life of the folder, the second message takes for ever.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

COMMIT_SECONDS = 0.2
SLOW, FOREVER_SECONDS = 2, 3_600.0
PARTITIONS = 4


def main(servers: str, source: str, target: str, folder: str) -> None:
    """Forward until killed."""
    import faust  # noqa: PLC0415 - only this control needs it, and it is large

    app = faust.App(
        f"plain-{source}",
        broker=f"kafka://{servers}",
        broker_commit_interval=COMMIT_SECONDS,
        broker_commit_every=1,
        broker_session_timeout=10.0,
        broker_heartbeat_interval=2.0,
        consumer_auto_offset_reset="earliest",
        datadir=str(Path(folder) / "faust"),
        store="memory://",
        topic_disable_leader=True,
        topic_partitions=PARTITIONS,
        web_enabled=False,
    )
    raw: dict[str, Any] = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
    inbox, outbox, marker = app.topic(source, **raw), app.topic(target, **raw), Path(folder) / "slow"
    seen = 0

    @app.agent(inbox, concurrency=2)
    async def forward(stream: Any) -> None:  # noqa: ANN401 - Faust's stream
        nonlocal seen
        async for event in stream.events():
            seen += 1
            if seen == SLOW and not marker.exists():
                marker.touch()
                await asyncio.sleep(FOREVER_SECONDS)
            await outbox.send(key=event.key, value=event.value)

    faust.Worker(app, loglevel="warning").execute_from_commandline()


if __name__ == "__main__":
    main(*sys.argv[1:5])
