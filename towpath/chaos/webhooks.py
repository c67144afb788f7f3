"""Webhooks of the ERP's that the harness sends itself, signed as the ERP would."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, NamedTuple, Self

from standardwebhooks import Webhook

from towpath.chaos.arena import Arena
from towpath.chaos.evidence import gather
from towpath.clock import SystemClock
from towpath.demo.pairs import ERP, ERP_WEBHOOK_SECRET

TIMEOUT_SECONDS = 30.0
NO_ANSWER = 0
ON_TIME = timedelta()
LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)")
RETRY_AFTER: Final = b"\r\nretry-after:"
BUSY: Final = 503


class _Line(NamedTuple):
    """A connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Answered(NamedTuple):
    """What a receiver said to one webhook: the status (0: nothing), after how many seconds, and whether it said when to send it again."""

    webhook_id: str
    status: int
    seconds: float
    told_when: bool = False

    @property
    def accepted(self) -> bool:
        """Tell whether it was a 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 - 2xx


class Sender:
    """Sends to the receiver of an arena, over connections that stay; it is closed when its `async with` ends.

    It does little more than to write and to read, for under load its own slowness would pass for the receiver's.
    """

    def __init__(self, arena: Arena) -> None:
        self._port, self._signer = arena.stack.ports["receiver"], Webhook(ERP_WEBHOOK_SECRET)
        self._idle: list[_Line] = []
        self._head = f"POST /hooks/{ERP} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        while self._idle:
            self._idle.pop().writer.close()

    async def send(self, body: str, off: timedelta = ON_TIME) -> Answered:
        """Send a body under a new id, and as if it were signed so long before or after now."""
        number, at = f"evt_{uuid.uuid4().hex}", SystemClock().now() + off
        signed = f"webhook-id: {number}\r\nwebhook-timestamp: {int(at.timestamp())}\r\nwebhook-signature: {self._signer.sign(number, at, body)}\r\n"
        data = body.encode()
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                status, told_when = await self._exchange(f"{self._head}{signed}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        except (OSError, asyncio.IncompleteReadError):  # TimeoutError is one
            status, told_when = NO_ANSWER, False
        return Answered(number, status, asyncio.get_running_loop().time() - began, told_when)

    async def _exchange(self, request: bytes) -> tuple[int, bool]:
        line = self._idle.pop() if self._idle else _Line(*await asyncio.open_connection("127.0.0.1", self._port))
        try:
            line.writer.write(request)
            head = (await line.reader.readuntil(b"\r\n\r\n")).lower()
            length = LENGTH.search(head)
            await line.reader.readexactly(int(length[1]) if length else 0)
        except BaseException:
            line.writer.close()
            raise
        if b"connection: close" in head:
            line.writer.close()
        else:
            self._idle.append(line)
        return int(head.split(b" ", 2)[1]), RETRY_AFTER in head


def not_put_off(answers: Sequence[Answered]) -> list[str]:
    """Return how webhooks were refused in another way than for a while: by 503, and told when to come again."""
    others = Counter(one.status for one in answers if not one.accepted and not (one.status == BUSY and one.told_when))
    return [f"{count} webhooks were answered {status or 'nothing'}, where 503 with Retry-After is wanted" for status, count in sorted(others.items())]


async def not_stored(arena: Arena, answers: Sequence[Answered]) -> list[str]:
    """Return which of these webhooks were accepted and are in no inbox."""
    stored = (await gather(arena)).stored[ERP]
    return [
        f"webhook {one.webhook_id} was answered {one.status} and is not in the inbox"
        for one in answers
        if one.accepted and one.webhook_id not in stored
    ]
