"""Calls to a system's API: one client a connection, through its gate, with every answer turned into towpath.errors by a declared table."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol, Self, runtime_checkable

import aiohttp
import orjson

from towpath.delivery.budget import Priority
from towpath.delivery.gate import Gate
from towpath.dialect import Dialect, Outcome, Pace, moment_of, seconds_to_wait
from towpath.errors import DataError, OutcomeUnknownError, RetryableError
from towpath.failpoints import Failpoints
from towpath.hiding import LONG, SHORTEST, hide
from towpath.metrics import CALL_SECONDS, CIRCUIT_OPEN, THROTTLED, Metrics

LARGEST_ANSWER = 16 * 1024 * 1024
READ_PAUSES = (0.05, 0.2)
HTTP_REDIRECT, HTTP_SERVER_ERROR = 300, 500
SENT_AGAIN: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""The methods that aiohttp sends a second time by itself where the connection broke, unless it is kept from it."""
_READER: Final = json.JSONDecoder(parse_float=Decimal)
Fence = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer, or a read's 404 where the table says `missing`; `text` is as it was sent but for our secrets."""

    status: int
    text: str
    write: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:  # noqa: ANN401 - whatever the system sent
        """Return the body with every number that has a fraction as a Decimal; raises what `unreadable` returns when it is no JSON."""
        try:
            return _READER.decode(self.text)
        except (ValueError, RecursionError) as error:
            raise self.unreadable(f"it is not JSON: {error}") from error

    def unreadable(self, reason: str) -> RetryableError | OutcomeUnknownError:
        """Return the error of an answer that says something else than it should: after a write, nobody knows what was done."""
        message = f"answer {self.status} cannot be read: {reason}"
        return OutcomeUnknownError(message) if self.write else RetryableError(message)


class Authoriser(Protocol):
    """Adds a system's credentials to a call."""

    async def headers(self, session: aiohttp.ClientSession) -> Mapping[str, str]:
        """Return the headers that prove who we are."""
        ...

    def forget(self, refused: Mapping[str, str]) -> bool | None:
        """Drop a cached token where it is the one of these headers, which were refused; another call may have a new one by now.

        True where the next call proves who we are by something else that may well be accepted: then the refusal is no fault of the system.
        """
        ...


@runtime_checkable
class Signer(Protocol):
    """An Authoriser that proves who we are by signing each call."""

    def sign(self, method: str, url: str, params: Mapping[str, str]) -> Mapping[str, str]:
        """Return the headers of this one call."""
        ...


class ApiClient:
    """Calls one connection's API; every error names the connection, the call and the status, never a secret or a body of ours."""

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        dialect: Dialect,
        authoriser: Authoriser,
        gate: Gate,
        timeout: float,
        failpoints: Failpoints | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.name = name
        self.gate = gate
        self.source_time: datetime | None = None
        """The `Date` of the latest answer: the system's own clock, to the second."""
        self._metrics = metrics or Metrics()
        self._metrics.follow(CIRCUIT_OPEN, lambda: gate.is_open, connection=name)
        self._base_url = base_url.rstrip("/")
        self._dialect, self._authoriser = dialect, authoriser
        self._signer = authoriser if isinstance(authoriser, Signer) else None
        self._timeout = timeout
        self._failpoints = failpoints or Failpoints()
        self._sessions: list[aiohttp.ClientSession] = []
        self._fence: Fence | None = None
        self._priority = Priority.ORDERS

    def at(self, priority: Priority) -> ApiClient:
        """Return the same client for calls of this priority, where several wait for the connection's budget."""
        view = self._view()
        view._priority = priority  # noqa: SLF001 - a copy of ourselves
        return view

    def fenced(self, fence: Fence) -> ApiClient:
        """Return the same client for one delivery: `fence` is awaited just before each write is sent, and raises FencedError to stop it."""
        view = self._view()
        view._fence = fence  # noqa: SLF001 - a copy of ourselves
        return view

    async def check_fence(self) -> None:
        """Raise FencedError where the delivery that this client is for must write no more."""
        if self._fence is not None:
            await self._fence()

    def _view(self) -> Self:
        view = object.__new__(type(self))  # `copy` takes ten times as long, twice a write
        view.__dict__.update(self.__dict__)
        return view

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Answer:
        """Return the answer to a read.

        One that failed for a moment is sent again here, so that whoever needs many reads does not begin anew for one; not when the system
        asked to wait, nor while it is down, nor when it took its time to fail.
        """
        began = self.gate.clock.monotonic()
        for pause in READ_PAUSES:
            try:
                return await self._call("GET", path, params=params, body=None, write=False)
            except RetryableError as error:
                late = self.gate.clock.monotonic() - began >= self._timeout
                if error.throttled or error.system_wide or error.retry_after is not None or late:
                    raise
            await self.gate.clock.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
        return await self._call("GET", path, params=params, body=None, write=False)

    async def write(
        self, method: str, path: str, body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Return the answer to a write (some systems change things by GET); raises OutcomeUnknownError when it may or may not be committed."""
        return await self._call(method, path, params=None, body=body, write=True, more=headers)

    async def close(self) -> None:
        """Close the connections, and give back what was leased of the budget."""
        while self._sessions:
            await self._sessions.pop().close()
        await self.gate.close()

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None,
        write: bool,
        more: Mapping[str, str] | None = None,
    ) -> Answer:
        what = f"{self.name}: {method} {path}"
        await self.gate.enter(self._priority)
        began, sent, asks_ours = self.gate.clock.monotonic(), False, False
        try:
            session = self._open()
            headers = await self._authoriser.headers(session)
            if write:
                asks_ours = True
                await self.check_fence()
                asks_ours = False
                self._failpoints.hit("sink.before_call", f"{method} {path}")
            sent = True
            url, once = self._base_url + path, (_sent_once,) if method in SENT_AGAIN else ()
            signed = self._signer.sign(method, url, params or {}) if self._signer is not None else {}
            head = {**headers, **signed, **(more or {})}
            async with session.request(method, url, params=params, json=body, headers=head, allow_redirects=False, middlewares=once) as response:
                if write:
                    self._failpoints.hit("sink.target_committed")
                raw = await read_whole(response.content)
                text = hide(raw.decode("utf-8", "replace"), shortest=LONG if response.ok else SHORTEST)
                pace = self._dialect.pace(response.headers)
                retry_after = seconds_to_wait(response.headers)
                status, answered = response.status, response.headers
                self.source_time = moment_of(response.headers.get("Date", "")) or self.source_time
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:  # nothing was sent
            self._timed(began, "none")
            self.gate.failed()
            reason = error.os_error.strerror if isinstance(error, aiohttp.ClientConnectorError) else "no answer"
            raise RetryableError(f"{what}: cannot connect: {reason}", system_wide=True) from error
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            self._timed(began, "none")
            self.gate.failed()
            if write and sent:
                raise OutcomeUnknownError(f"{what}: no answer: {type(error).__name__}") from error
            raise RetryableError(f"{what}: no answer: {type(error).__name__}", system_wide=not sent or self.gate.is_open) from error
        except RetryableError as error:
            if error.system_wide and not asks_ours:  # else it is our database that is away, not the system
                self.gate.failed()
            raise
        self._timed(began, f"{status // 100}xx")
        outcome = Outcome.MISSING if status < HTTP_REDIRECT else self._dialect.outcome(status, write=write, text=text)
        self._paced(pace, outcome, retry_after)
        if outcome == Outcome.SYSTEM and self._authoriser.forget(headers):
            raise RetryableError(f"{what}: {status}: what proved who we are is no longer accepted; it is renewed", retry_after=retry_after)
        return self._judged(what, Answer(status, text, write, answered), outcome, retry_after)

    def _judged(self, what: str, answer: Answer, outcome: str, retry_after: float | None) -> Answer:
        status, text, write = answer.status, answer.text, answer.write
        if outcome == Outcome.THROTTLED:
            raise RetryableError(f"{what}: {status}, asked to wait", retry_after=0.0, throttled=True)
        if outcome == Outcome.SYSTEM:
            self.gate.failed()
            raise RetryableError(f"{what}: {status}", retry_after=retry_after, system_wide=True)
        broken = status >= HTTP_SERVER_ERROR and outcome != Outcome.DATA
        (self.gate.failed if broken else self.gate.answered)()  # several in a row, whoever asked, are an outage
        if outcome == Outcome.MISSING and (status < HTTP_REDIRECT or not write):
            return answer
        refusal = self._dialect.refusal(status, text)
        message = f"{what}: {status} {_one_line(refusal.message)}".rstrip()
        if outcome in {Outcome.DATA, Outcome.MISSING}:
            raise DataError(message, field=_one_line(refusal.field) or "document")
        if outcome == Outcome.UNKNOWN:
            raise OutcomeUnknownError(message)
        raise RetryableError(message, retry_after=retry_after, system_wide=broken and self.gate.is_open)

    def _paced(self, pace: Pace, outcome: str, retry_after: float | None) -> None:
        """Have all calls wait where the answer asks for it, or tells that the limit is spent."""
        if outcome == Outcome.THROTTLED:
            self._metrics.add(THROTTLED, connection=self.name)
            self.gate.throttled((pace.resets_in if retry_after is None else retry_after) or 1.0)
        elif pace.remaining == 0 and pace.resets_in:
            self.gate.throttled(pace.resets_in)

    def _timed(self, began: float, answer: str) -> None:
        self._metrics.observe(CALL_SECONDS, self.gate.clock.monotonic() - began, connection=self.name, answer=answer)

    def _open(self) -> aiohttp.ClientSession:
        if not self._sessions:
            timeout = aiohttp.ClientTimeout(total=self._timeout, connect=min(5.0, self._timeout))
            connector = aiohttp.TCPConnector(limit=0)
            traces = self._failpoints.traces("sink.before_send")
            session = aiohttp.ClientSession(timeout=timeout, connector=connector, json_serialize_bytes=_written, trace_configs=traces)
            self._sessions.append(session)
        return self._sessions[0]


def _written(body: Any) -> bytes:  # noqa: ANN401 - whatever is JSON
    try:
        return orjson.dumps(body, default=_as_it_was)
    except TypeError:  # an integer of more than 64 bits, half a surrogate
        return json.dumps(body, default=float).encode()


def _as_it_was(value: object) -> orjson.Fragment:
    """Return a number with a fraction with the digits that it came with: what a system answered may be sent back to it."""
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} is no JSON")


async def _sent_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a GET, PUT or DELETE a second time by itself where the connection broke.

    A write may be committed by the first; and no call goes out that the gate did not let through, least of all to a system that is down.
    """
    try:
        return await send(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):  # nothing was sent
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError(str(error)) from error


async def read_whole(content: aiohttp.StreamReader) -> bytes:
    """Return an answer's body to its end, which `read(n)` does not: it returns what has arrived."""
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise aiohttp.ClientPayloadError(f"the answer has more than {LARGEST_ANSWER} bytes")
    return bytes(body)


def _one_line(text: str) -> str:
    return " ".join("".join(character if character.isprintable() else " " for character in text[:600]).split())[:300]


async def gather_all(*calls: Any) -> list[Any]:  # noqa: ANN401 - coroutines of many types
    """Return every call's result; the first error is raised after all have ended, so that none is left behind."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return list(results)
