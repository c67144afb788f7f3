"""The sinks' control: lanes as somebody would write them by hand. Per key in order, 32 calls in flight, a failing key waits outside of them.

Commits up to the oldest unfinished record. No ledger, no receipts, no dead letters, no budget: after a crash it calls again for all that it
had not committed. Run: `python -m benchmarks.bare_lanes <servers> <topic> <url>`; it works until it is killed.
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections import deque
from pathlib import Path
from typing import Any

import aiohttp
import fastavro
import uvloop
from confluent_kafka import Consumer, Message, TopicPartition

SCHEMAS = Path(__file__).resolve().parent.parent / "schemas"
HEADER_BYTES = 5
IN_FLIGHT = 32
MOST_PENDING = 2_000
OK = 200


class BareLanes:
    """The lanes of one topic."""

    def __init__(self, servers: str, topic: str, url: str) -> None:
        own = {"group.id": f"bare.{topic}", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
        self._consumer = Consumer({"bootstrap.servers": servers, **own})
        self._topic, self._url = topic, url
        self._schema = fastavro.schema.load_schema(str(SCHEMAS / "towpath.Delivery.avsc"))
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._lanes: dict[bytes, deque[Message]] = {}
        self._unfinished: dict[int, dict[int, None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until killed."""
        self._consumer.subscribe([self._topic])
        loop = asyncio.get_running_loop()
        committed_at = loop.time()
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            while True:
                if sum(map(len, self._lanes.values())) >= MOST_PENDING:
                    await asyncio.sleep(0.01)
                else:
                    for message in await asyncio.to_thread(self._consumer.consume, 200, 0.05):
                        self._take(message, session)
                if loop.time() - committed_at > 0.5:  # noqa: PLR2004 - seconds
                    await asyncio.to_thread(self._commit)
                    committed_at = loop.time()

    def _take(self, message: Message, session: aiohttp.ClientSession) -> None:
        partition, offset, key = message.partition(), message.offset(), message.key()
        if message.error() is not None or partition is None or offset is None or not isinstance(key, bytes):
            return
        self._unfinished.setdefault(partition, {})[offset] = None
        lane = self._lanes.get(key)
        if lane is not None:
            lane.append(message)
            return
        self._lanes[key] = deque([message])
        task = asyncio.create_task(self._work(key, session))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, key: bytes, session: aiohttp.ClientSession) -> None:
        lane, pause = self._lanes[key], 0.2
        while lane:
            value = lane[0].value()
            delivery: Any = fastavro.schemaless_reader(io.BytesIO((value or b"")[HEADER_BYTES:]), self._schema, None)
            async with self._slots, session.post(f"{self._url}/things", data=delivery["document"]) as response:
                await response.read()
                done = response.status == OK
            if done:
                message = lane.popleft()
                del self._unfinished[int(message.partition() or 0)][int(message.offset() or 0)]
                pause = 0.2
            else:
                await asyncio.sleep(pause)
                pause = min(10.0, pause * 2)
        del self._lanes[key]

    def _commit(self) -> None:
        oldest = [TopicPartition(self._topic, partition, next(iter(left))) for partition, left in self._unfinished.items() if left]
        if oldest:
            self._consumer.commit(offsets=oldest, asynchronous=False)


async def work(servers: str, topic: str, url: str) -> None:
    """Work until killed."""
    await BareLanes(servers, topic, url).run()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as here:
        here.run(work(*sys.argv[1:]))
