"""A producer that keeps what is sent in memory; its `send` is the real one's, held to it by the type checker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from towpath.acked import AckedProducer, Headers, Placed
from towpath.codec import default_codec
from towpath.records import Output


class FakeProducer(AckedProducer):
    """Acknowledges at once, unless `before` says otherwise: it is awaited with each topic, and may wait or raise."""

    def __init__(self) -> None:
        self.sent: list[Output] = []
        self.before: Callable[[str], Awaitable[None]] | None = None

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> Placed:
        """Return (0, offset) once the record is kept."""
        await asyncio.sleep(0)
        if self.before is not None:
            await self.before(topic)
        self.sent.append(Output(topic, key, value, tuple(headers)))
        return 0, sum(output.topic == topic for output in self.sent) - 1

    async def flush(self, seconds: float = 30) -> None:
        """Return at once: nothing is buffered."""

    async def close(self, seconds: float = 10) -> None:
        """Return at once: nothing is held."""

    def decoded(self, topic: str) -> list[dict[str, Any]]:
        """Return the Avro records sent to a topic, in order."""
        return [default_codec().decode(output.value)[1] for output in self.sent if output.topic == topic]
