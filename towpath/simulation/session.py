"""aiohttp's session for a played process: calls travel to the target through the world, and some of them badly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any

import aiohttp

from towpath.simulation.erp import AWAY, BROKEN, THROTTLED, Answer, Erp, text_of
from towpath.simulation.process import Process

TRAVEL = 0.02
STOP_SECONDS = 8.0
"""Longer than a claim holds, and than Kafka waits for a member of a group."""


class Content:
    """`aiohttp.StreamReader`, all of it there."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    async def iter_any(self) -> AsyncIterator[bytes]:
        """Yield the body."""
        yield self._raw


class Response:
    """`aiohttp.ClientResponse`."""

    def __init__(self, answer: Answer) -> None:
        self.status, self.headers, body = answer
        self._raw = b"" if body is None else text_of(body)
        self.content = Content(self._raw)
        self.ok = self.status < 400  # noqa: PLR2004 - as aiohttp has it

    async def read(self) -> bytes:
        """Return the body."""
        return self._raw


class Session:
    """`aiohttp.ClientSession`: `seconds` is how long a call may take."""

    def __init__(self, process: Process, erp: Erp, seconds: float) -> None:
        self.process, self.erp, self.seconds = process, erp, seconds
        self.closed = False

    def request(self, method: str, url: str, *, params: Mapping[str, str] | None = None, json: Any = None, **_: Any) -> Call:  # noqa: ANN401
        """Begin a call."""
        return Call(self, method, url, dict(params or {}), json)

    async def close(self) -> None:
        """End."""


class Call:
    """One call under way."""

    def __init__(self, session: Session, method: str, url: str, params: Mapping[str, str], body: Any) -> None:  # noqa: ANN401 - JSON
        self._session, self._method, self._params, self._body = session, method, params, body
        self._path = url.partition("://")[2].partition("/")[2].join(("/", ""))
        self._answered: asyncio.Future[Answer | None] | None = None

    async def __aenter__(self) -> Response:
        session = self._session
        self._answered = session.process.loop.create_future()
        stops = self._stops()
        if not stops:
            self._send()
        try:
            async with asyncio.timeout(stops + session.seconds):
                answer = await self._answered
        finally:
            self._answered = None
        if answer is None:
            raise aiohttp.ServerDisconnectedError
        return Response(answer)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None

    def _stops(self) -> float:
        """Have the process stand still, sometimes, after it was asked whether it may write and before it does; return for how long."""
        process, erp = self._session.process, self._session.erp
        if not erp.weather.stopped or self._method != "PUT" or process.world.random.random() >= erp.weather.stopped:
            return 0.0
        process.act("stands still before", self._path)
        process.freeze(STOP_SECONDS)
        erp.pending += 1
        process.world.after(STOP_SECONDS, self._send_at_last)
        return STOP_SECONDS

    def _send_at_last(self) -> None:
        """Send what was not sent before the process stood still, unless it was killed there."""
        self._session.erp.pending -= 1
        if not self._session.process.dead:
            self._send()

    def _send(self) -> None:
        process, erp, world = self._session.process, self._session.erp, self._session.process.world
        write, chance = self._method != "GET", world.random
        fate = erp.fate(chance, write=write)
        process.act("calls", self._method, self._path, fate)
        travel = chance.random() * TRAVEL
        erp.pending += 1
        if fate == "late":  # the client gives up at its timeout, or is cut off before; the write may commit until the settle time is over
            cut = chance.random() * self._session.seconds if chance.random() < 0.5 else None  # noqa: PLR2004
            gives_up = self._session.seconds if cut is None else cut
            world.after(gives_up + chance.random() * 0.95 * (erp.settle - erp.weather.blind), self._commit)
            if cut is not None:
                world.after(cut, lambda: self._answer(None))
        elif fate == "lost":
            arrives = chance.random() < 0.5  # noqa: PLR2004
            world.after(travel, self._commit if arrives else self._vanish)
            if chance.random() < 0.5:  # noqa: PLR2004
                world.after(2 * travel, lambda: self._answer(None))
        elif fate in {"throttled", "away"}:
            answer: Answer = (THROTTLED, {"Retry-After": f"{chance.random() * 3:.1f}"}, None) if fate == "throttled" else (AWAY, {}, None)
            world.after(travel, self._vanish)
            world.after(2 * travel, lambda: self._answer(answer))
        else:
            slow = chance.random() * self._session.seconds * 0.9 if fate == "slow" else 0.0
            world.after(travel + slow, lambda: self._served(travel, broken=fate == "broken"))

    def _served(self, travel: float, *, broken: bool) -> None:
        answer = self._commit()
        self._session.process.act("answered", answer[0])
        self._session.process.world.after(travel, lambda: self._answer((BROKEN, {}, None) if broken else answer))

    def _commit(self) -> Answer:
        erp = self._session.erp
        erp.pending -= 1
        return erp.serve(self._method, self._path, self._params, self._body)

    def _vanish(self) -> None:
        self._session.erp.pending -= 1

    def _answer(self, answer: Answer | None) -> None:
        process = self._session.process

        def tell() -> None:
            if self._answered is not None and not self._answered.done():
                self._answered.set_result(answer)

        if not process.dead:
            process.loop.call_soon(tell)
