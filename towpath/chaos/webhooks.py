"""Webhooks of the ERP's that the harness sends itself, signed as the ERP would."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import aiohttp
from standardwebhooks import Webhook

from towpath.chaos.arena import Arena
from towpath.chaos.evidence import gather
from towpath.clock import SystemClock
from towpath.demo.pairs import ERP, ERP_WEBHOOK_SECRET

TIMEOUT_SECONDS = 30.0
NO_ANSWER = 0
ON_TIME = timedelta()


class Answered(NamedTuple):
    """What a receiver said to one webhook: the status (0: nothing), and after how many seconds."""

    webhook_id: str
    status: int
    seconds: float

    @property
    def accepted(self) -> bool:
        """Tell whether it was a 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 - 2xx


@dataclass(slots=True)
class Sender:
    """Sends to the receiver of an arena, over connections that stay."""

    arena: Arena
    session: aiohttp.ClientSession

    @classmethod
    def of(cls, arena: Arena) -> Sender:
        """Return a sender; its session is the caller's to close."""
        return cls(arena, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS), connector=aiohttp.TCPConnector(limit=0)))

    async def send(self, body: str, off: timedelta = ON_TIME) -> Answered:
        """Send a body under a new id, and as if it were signed so long before or after now."""
        number, at = f"evt_{uuid.uuid4().hex}", SystemClock().now() + off
        signature = Webhook(ERP_WEBHOOK_SECRET).sign(number, at, body)
        headers = {"webhook-id": number, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}
        address = f"http://127.0.0.1:{self.arena.stack.ports['receiver']}/hooks/{ERP}"
        began = asyncio.get_running_loop().time()
        try:
            async with self.session.post(address, data=body.encode(), headers={"content-type": "application/json", **headers}) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError):
            status = NO_ANSWER
        return Answered(number, status, asyncio.get_running_loop().time() - began)


async def not_stored(arena: Arena, answers: Sequence[Answered]) -> list[str]:
    """Return which of these webhooks were accepted and are in no inbox."""
    stored = (await gather(arena)).stored[ERP]
    return [
        f"webhook {one.webhook_id} was answered {one.status} and is not in the inbox"
        for one in answers
        if one.accepted and one.webhook_id not in stored
    ]
