"""Sends the webhooks of an outbox, each try signed anew, until the receiver accepts them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
from standardwebhooks import Webhook

from towpath.sandbox.kit.clock import Clock
from towpath.sandbox.kit.outbox import Due, Outbox
from towpath.sandbox.kit.settings import Settings

Sign = Callable[[str, str, str], Mapping[str, str]]
"""The headers that sign a webhook, from the secret, its id and its body."""


class Sender:
    """One loop that keeps up to `webhook_parallel` tries in the air."""

    def __init__(self, outbox: Outbox, clock: Clock, settings: Settings, sign: Sign | None = None) -> None:
        self._outbox, self._clock, self._settings, self._sign = outbox, clock, settings, sign
        self._flying: dict[str, asyncio.Task[None]] = {}

    async def run(self, url: str, secret: str) -> None:
        """Send until cancelled."""
        sign, timeout = self._sign or self._standard(secret), aiohttp.ClientTimeout(total=self._settings.webhook_timeout_seconds)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            try:
                while True:
                    self._outbox.wake.clear()
                    self._start(session, url, secret, sign)
                    await self._wait()
            finally:
                for task in self._flying.values():
                    task.cancel()
                await asyncio.gather(*self._flying.values(), return_exceptions=True)

    def _standard(self, secret: str) -> Sign:
        signer = Webhook(secret)

        def sign(_secret: str, webhook_id: str, body: str) -> Mapping[str, str]:
            now = self._clock.now()
            moment = str(int(now.timestamp()))
            return {"webhook-id": webhook_id, "webhook-timestamp": moment, "webhook-signature": signer.sign(webhook_id, now, body)}

        return sign

    def _start(self, session: aiohttp.ClientSession, url: str, secret: str, sign: Sign) -> None:
        parallel = self._settings.webhook_parallel
        for hook in self._outbox.due(parallel + len(self._flying)):
            if hook.id not in self._flying and len(self._flying) < parallel:
                self._flying[hook.id] = asyncio.create_task(self._send(session, url, hook, secret, sign))

    async def _wait(self) -> None:
        seconds = None if self._flying else self._outbox.seconds_to_next()
        waits: set[asyncio.Task[Any]] = {asyncio.create_task(self._outbox.wake.wait())}
        if seconds is not None or self._flying:
            waits.add(asyncio.create_task(self._clock.sleep(max(0.001, seconds if seconds is not None else 0.05))))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()

    async def _send(self, session: aiohttp.ClientSession, url: str, hook: Due, secret: str, sign: Sign) -> None:
        status = None
        try:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                status = await self._attempt(session, url, hook, secret, sign)
            self._outbox.record(hook, status, self._backoff(hook.attempts - hook.accepted))
        finally:
            del self._flying[hook.id]
            self._outbox.wake.set()

    async def _attempt(self, session: aiohttp.ClientSession, url: str, hook: Due, secret: str, sign: Sign) -> int:
        headers = {"content-type": "application/json"}
        if self._settings.webhook_signed:
            headers |= sign(secret, hook.id, hook.body)
        async with session.post(url, data=hook.body.encode(), headers=headers) as response:
            await response.read()
            return response.status

    def _backoff(self, failures: int) -> float:
        return min(self._settings.webhook_retry_max_seconds, self._settings.webhook_retry_seconds * 2.0 ** min(failures, 30))
