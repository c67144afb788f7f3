"""What lies between Towpath and a played system: it notes every call, and does to one of them what a test asks for."""

from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler

from towpath.testing.contracts.example import Reply

Act = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]
Change = Callable[[Any], Any]
NOTHING: Final = web.Response(status=500)  # aiohttp wants a response even where the connection is gone


@dataclass(frozen=True, slots=True)
class Called:
    """One call: its method, its path and query below the API's base, and its body."""

    method: str
    path: str
    body: bytes

    @property
    def is_write(self) -> bool:
        """Whether it can change anything, by its method."""
        return self.method not in {"GET", "OPTIONS", "HEAD"}


class Wire:
    """The middleware of one server; `act` is put between a call and the system, None for nothing."""

    def __init__(self, base: str, logins: Sequence[str] = ()) -> None:
        self._base, self._logins = base, tuple(logins)
        self.calls: list[Called] = []
        self._act: Act | None = None

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Pass a call on, as the test wants it."""
        path = request.path_qs.removeprefix(self._base)
        if not request.path.startswith(self._base) or path.startswith(self._logins or ("\0",)):
            return await handler(request)
        self.calls.append(Called(request.method, path, await request.read()))
        return await (handler(request) if self._act is None else self._act(request, handler))

    @contextmanager
    def acting(self, act: Act) -> Iterator[None]:
        """Put an act between while entered."""
        self._act = act
        try:
            yield
        finally:
            self._act = None

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take no notice of calls while entered: they are not Towpath's."""
        act, calls = self._act, self.calls
        self._act, self.calls = None, []
        try:
            yield
        finally:
            self._act, self.calls = act, calls


class Once:
    """An act that meets the n-th call (from 0) among those that it is asked to `count`, and no other; `struck` tells whether it has."""

    def __init__(self, act: Act, nth: int = 0, count: Callable[[web.Request], bool] = lambda _: True) -> None:
        self._inner, self._left, self._count, self.struck = act, nth, count, False

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Pass the call on, or meet it."""
        if self.struck or not self._count(request):
            return await handler(request)
        self._left -= 1
        if self._left >= 0:
            return await handler(request)
        self.struck = True
        return await self._inner(request, handler)


def from_nth(act: Act, nth: int) -> Act:
    """Return the act that meets the n-th call (from 0) and all after it."""
    seen = itertools.count()

    async def met(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await (act(request, handler) if next(seen) >= nth else handler(request))

    return met


def first_again(times: int = 10) -> Act:
    """Return the act that gives each call the answer to the first, as a system does that repeats a page; one who still asks then is refused."""
    given: list[web.StreamResponse] = []

    async def act(request: web.Request, handler: Handler) -> web.StreamResponse:
        given.append(await handler(request))
        first = given[0]
        assert isinstance(first, web.Response), "a list is no stream"
        if len(given) > times:
            return response_of(Reply(400, {"message": f"the same page was given {times} times, and is asked for again"}))
        headers = {name: value for name, value in first.headers.items() if name.lower() not in {"content-length", "content-type"}}
        return web.Response(status=first.status, body=first.body, headers=headers, content_type=first.content_type)

    return act


async def lost(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Have the system do what is asked, and its answer lost."""
    await handler(request)
    return _break(request)


async def unsent(request: web.Request, _handler: Handler) -> web.StreamResponse:
    """Break the connection before the system has seen the call."""
    return _break(request)


class Late:
    """An act after which the client hears nothing, and the system does what is asked once `happen` is called."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], Awaitable[object]]] = []

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Keep the call."""
        self._waiting.append(lambda: handler(request))
        return _break(request)

    async def happen(self) -> None:
        """Have the system do what was kept."""
        while self._waiting:
            await self._waiting.pop(0)()


def answers(reply: Reply) -> Act:
    """Return the act that answers in the system's place."""

    async def act(_request: web.Request, _handler: Handler) -> web.StreamResponse:
        return response_of(reply)

    return act


def rubbish(text: str) -> Act:
    """Return the act that has the system do what is asked, and says something else in its answer's place, under its status."""

    async def act(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        return web.Response(status=answer.status, text=text, content_type="application/json")

    return act


def changed(change: Change) -> Act:
    """Return the act that changes the JSON of every answer."""

    async def act(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        if not isinstance(answer, web.Response) or answer.content_type != "application/json" or not answer.body:
            return answer
        text = json.dumps(change(json.loads(bytes(answer.body))))  # type: ignore[arg-type]  # bytes, which the sandbox gives
        headers = {name: value for name, value in answer.headers.items() if name.lower() not in {"content-length", "content-type"}}
        return web.Response(status=answer.status, text=text, headers=headers, content_type="application/json")

    return act


async def echo(request: web.Request, _handler: Handler) -> web.StreamResponse:
    """Refuse a call, and repeat in the error all that it said: its headers, its address and its body."""
    said = " ".join([str(dict(request.headers)), request.path_qs, (await request.read()).decode("utf-8", "replace")])
    return web.json_response({"message": said, "detail": said, "errors": [{"code": "X", "message": said}], "error": _error(said)}, status=400)


def _error(said: str) -> dict[str, str]:
    return {"code": said, "message": said, "field": said}


def response_of(reply: Reply) -> web.Response:
    """Return an answer as aiohttp sends it: text stays text."""
    text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
    return web.Response(status=reply.status, text=text, headers=dict(reply.headers), content_type="application/json")


def _break(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return NOTHING
