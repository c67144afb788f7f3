"""What every API request passes: journal, latency, faults, credentials, limit, and then the system's handler."""

from __future__ import annotations

import asyncio
import socket
import struct
import time

from aiohttp import web

from towpath.sandbox.kit.clock import stamp
from towpath.sandbox.kit.faults import LATE_COMMIT, Faults, Kind
from towpath.sandbox.kit.journal import Journal
from towpath.sandbox.kit.limits import RateLimit
from towpath.sandbox.kit.messages import Answer, Call, Endpoint, Refusal
from towpath.sandbox.kit.system import Site, World

NOBODY_LISTENS = web.Response(status=503)  # aiohttp wants a response even where the connection is gone


class Gate:
    """The way in for API requests of one server."""

    def __init__(self, world: World, site: Site, journal: Journal, faults: Faults, limit: RateLimit | None) -> None:
        self._world, self._site, self._journal, self._faults, self._limit = world, site, journal, faults, limit

    async def handle(self, request: web.Request, endpoint: Endpoint | None) -> web.StreamResponse:
        """Answer one request; `endpoint` is None for a path that the system does not have."""
        call, started = await read_call(request), time.perf_counter()
        store = self._world.store
        with store.transaction():
            seq = self._journal.arrived(stamp(self._world.clock.now()), call)
            store.add(f"call/{call.method} {endpoint.path if endpoint else '(unknown)'}")
        if late := self._latency_ms(endpoint):
            await self._world.clock.sleep(late / 1000)
        answer, fault = self._turned_away(call, endpoint)
        if answer is None and endpoint is not None:
            if self._strikes(LATE_COMMIT, endpoint):
                return await self._commit_late(request, call, endpoint, seq, started)
            answer = self._run(call, endpoint)
            if answer.status < 300 and self._strikes("response_lost", endpoint):  # noqa: PLR2004 - 2xx
                self._finish(seq, None, "response_lost", started, answer)
                reset(request)
                return NOBODY_LISTENS
        answer = answer or Answer(500)
        self._finish(seq, answer.status, fault, started, answer)
        return to_response(answer)

    def _latency_ms(self, endpoint: Endpoint | None) -> float:
        dialled = self._faults.settings
        if endpoint is None:
            return dialled.latency_ms
        return 0.0 if endpoint.public else dialled.latency_ms + (dialled.write_latency_ms if endpoint.write else 0.0)

    def _turned_away(self, call: Call, endpoint: Endpoint | None) -> tuple[Answer | None, str | None]:
        refuse = self._site.refuse
        if endpoint is not None and endpoint.public:
            return None, None
        if self._faults.strikes("unavailable"):
            return refuse(Refusal(503, "unavailable", "the service is not available now")), "unavailable"
        try:
            credential = self._site.authenticate(call)
        except Refusal as refusal:
            return refuse(refusal), None
        fault = "throttle" if self._faults.strikes("throttle") else None
        wait = 1 if fault else self._limit.take(credential) if self._limit else None
        if wait is not None:
            return refuse(Refusal(429, "rate_limited", "too many requests", headers={"Retry-After": str(wait)})), fault
        return (refuse(Refusal(404, "not_found", f"no such path: {call.method} {call.path}")), None) if endpoint is None else (None, None)

    def _strikes(self, kind: Kind, endpoint: Endpoint) -> bool:
        return endpoint.write and not endpoint.public and self._faults.strikes(kind)

    def _run(self, call: Call, endpoint: Endpoint) -> Answer:
        try:
            with self._world.store.transaction():
                return endpoint.handle(call)
        except Refusal as refusal:
            return self._site.refuse(refusal)

    def _finish(self, seq: int, status: int | None, fault: str | None, started: float, answer: Answer | None) -> None:
        with self._world.store.transaction():
            self._journal.answered(seq, status, fault, (time.perf_counter() - started) * 1000, answer)
            self._world.store.add(f"status/{status or 'none'}")
            if fault:
                self._world.store.add(f"fault/{fault}")

    async def _commit_late(self, request: web.Request, call: Call, endpoint: Endpoint, seq: int, started: float) -> web.StreamResponse:
        left = asyncio.Event()
        self._finish(seq, None, LATE_COMMIT, started, None)
        self._world.tasks.start(self._commit_after(left, call, endpoint, seq), LATE_COMMIT)
        try:
            await wait_until_gone(request, self._faults.settings.hold_seconds)
        finally:
            left.set()
        reset(request)
        return NOBODY_LISTENS

    async def _commit_after(self, left: asyncio.Event, call: Call, endpoint: Endpoint, seq: int) -> None:
        try:
            await left.wait()
            await self._world.clock.sleep(self._faults.settings.late_commit_seconds)
        finally:  # also where the server stops first
            self._journal.done(seq, self._run(call, endpoint))


async def read_call(request: web.Request) -> Call:
    """Return the request with its whole body."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Call(request.method, request.rel_url.raw_path, dict(request.match_info), dict(request.query), headers, await request.read())


def to_response(answer: Answer) -> web.Response:
    """Return the answer as aiohttp sends it."""
    body, content_type = answer.encoded()
    return web.Response(status=answer.status, body=body, headers=answer.headers, content_type=content_type, charset="utf-8")


def reset(request: web.Request) -> None:
    """Break the connection so that the client sees a reset and no answer."""
    if request.transport is not None:
        sock = request.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()


async def wait_until_gone(request: web.Request, seconds: float) -> None:
    """Return when the client closed its connection, or after so many seconds."""
    until = time.monotonic() + seconds
    while request.transport is not None and not request.transport.is_closing() and time.monotonic() < until:  # noqa: ASYNC110 - no event tells it
        await asyncio.sleep(0.02)
