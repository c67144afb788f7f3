"""The receiver: stores every authentic webhook in its connection's inbox, and answers 2xx only after Kafka has it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp
import structlog
from aiohttp import web
from aiohttp.hdrs import EXPECT

from producers.base import KIND, RECEIVED_AT, WEBHOOK, WEBHOOK_ID
from producers.stored import stored
from towpath.accepting import Accepting
from towpath.acked import AckedProducer
from towpath.blanking import blank
from towpath.clock import Clock, SystemClock
from towpath.config import Config, SecretRef
from towpath.delivery.bucket import Bucket
from towpath.errors import ConfigError, DataError, RetryableError
from towpath.metrics import RECEIVED, REFUSED, Metrics
from towpath.records import new_trace
from towpath.runtime.role import RoleContext
from towpath.signatures import AddressVerifier, NotAuthenticError, Verifier
from towpath.systems.base import system_module

log = structlog.get_logger(__name__)

HOOKS = "/hooks/"
A_HOOK = re.compile(HOOKS + "[^{}/]+")
READ_SECONDS = 20
STORE_SECONDS = 10
LINGER_SECONDS = 2  # a refused body is read on for so long, that the sender may see the answer and no reset
MOST_STORING = 400  # at once, of one connection; more would wait for longer than a sender likes to, and hold memory
LINGER_MS = 1  # the senders wait for the answer
LONGEST_KEY = 300


@dataclass(slots=True)
class Door:
    """One connection's way in."""

    name: str
    verifier: Accepting
    system: Any
    storing: int = 0
    """How many of its webhooks wait for Kafka now."""


class _RefusedError(Exception):
    """A webhook is not taken: the answer's status, reason and headers."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status, self.headers = status, headers


class Receiver:
    """Answers `POST /hooks/<connection>`."""

    def __init__(self, doors: Mapping[str, Door], producer: AckedProducer, config: Config, clock: Clock, metrics: Metrics) -> None:
        self._producer, self._clock, self._metrics = producer, clock, metrics
        self._doors = {f"{HOOKS}{name}": door for name, door in doors.items()}
        self._largest = config.receiver.max_body_bytes
        self._rate = config.receiver.requests_per_second
        self._buckets = {name: Bucket(clock, rate=self._rate, burst=max(1, int(self._rate or 1))) for name in doors}

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Return what any request is answered with.

        It stands where an `Application` would, which takes as long to find the one route as all else it takes to answer.
        """
        if request.headers.get(EXPECT):
            await _go_on(request)
        door = self._doors.get(request.path)
        if door is None or request.method != "POST":
            return _nowhere(request)
        return await self._accept(door, request)

    async def _accept(self, door: Door, request: web.BaseRequest) -> web.StreamResponse:
        """Return 204 once the webhook is stored, else a status that tells the sender whether to try again."""
        try:
            body, now = await self._read(door, request), self._clock.now()
            webhook_id = door.verifier.verify(body, request.headers, now, request.query)
            await self._store(door, body, webhook_id, now)
        except NotAuthenticError as error:
            return self._refuse(door, _RefusedError(401, str(error)))
        except _RefusedError as refusal:
            return self._refuse(door, refusal)
        self._metrics.add(RECEIVED, connection=door.name, via="webhook")
        return stored(request)

    async def _read(self, door: Door, request: web.BaseRequest) -> bytes:
        if self._buckets[door.name].take() > 0:
            raise _RefusedError(_again(door, 429), "too many requests", {"Retry-After": "1"})
        if request.headers.get("Content-Encoding", "identity") != "identity" or request.content_type.startswith("multipart/"):
            raise _RefusedError(415, "send the body plain: no compression, no multipart")
        length = request.content_length or 0
        try:
            if request.content.is_eof():  # as most: it came with its headers
                body = request.content.read_nowait()
            else:
                body = await self._read_on(request, length)
        except TimeoutError:
            raise _RefusedError(_again(door, 408), f"the body did not come within {READ_SECONDS} s", {"Connection": "close"}) from None
        except (ConnectionError, web.RequestPayloadError):
            raise _RefusedError(400, "the body broke off", {"Connection": "close"}) from None
        if len(body) > self._largest or length > self._largest:
            raise _RefusedError(413, f"the body is larger than {self._largest} bytes")
        return body

    async def _read_on(self, request: web.BaseRequest, length: int) -> bytes:
        body = bytearray()
        async with asyncio.timeout(READ_SECONDS):
            while max(len(body), length) <= self._largest and (chunk := await request.content.readany()):
                body += chunk
        return bytes(body)

    async def _store(self, door: Door, body: bytes, webhook_id: str, now: datetime) -> None:
        named = door.system.key_of(body)
        key = (named or webhook_id)[:LONGEST_KEY]
        value = blank(body, door.system.BLANKED, is_json=named is not None)
        headers = [
            (KIND, WEBHOOK.encode()),
            (WEBHOOK_ID, webhook_id.encode("utf-8", "replace")),
            (RECEIVED_AT, now.isoformat().encode()),
            new_trace(door.name, webhook_id),
        ]
        if door.storing >= MOST_STORING:
            raise _RefusedError(503, "too many at once; send it again", {"Retry-After": "1"})
        door.storing += 1
        try:
            await self._producer.send(f"inbox.{door.name}", key.encode("utf-8", "replace"), value, headers)
        except RetryableError as error:
            log.warning("storing a webhook", connection=door.name, reason=str(error))
            raise _RefusedError(503, "it could not be stored; send it again", {"Retry-After": "5"}) from None
        except DataError as error:
            log.warning("storing a webhook", connection=door.name, reason=str(error))
            raise _RefusedError(413, "the body is larger than Kafka takes") from None
        finally:
            door.storing -= 1

    def _refuse(self, door: Door, refusal: _RefusedError) -> web.Response:
        self._metrics.add(REFUSED, connection=door.name, reason=str(refusal.status))
        return web.json_response({"error": str(refusal)}, status=refusal.status, headers=refusal.headers)


async def _go_on(request: web.BaseRequest) -> None:
    """Ask a sender that expects it for the body."""
    if request.version < aiohttp.HttpVersion11:
        return
    if request.headers[EXPECT].lower() != "100-continue":
        raise web.HTTPExpectationFailed(text=f"Unknown Expect: {request.headers[EXPECT]}")
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # or an error's answer would count as a second one


def _nowhere(request: web.BaseRequest) -> web.Response:
    """Return the answer to a request for what is not here."""
    if not A_HOOK.fullmatch(request.rel_url.path_safe):
        raise web.HTTPNotFound
    if request.method != "POST":
        raise web.HTTPMethodNotAllowed(request.method, ["POST"])
    return web.json_response({"error": "no such connection takes webhooks here"}, status=404)


def _again(door: Door, usual: int) -> int:
    """Return the status that has a webhook sent again: some senders take every 4xx for a reason to drop it."""
    return int(getattr(door.system, "BUSY", usual))


def doors(config: Config) -> dict[str, Door]:
    """Return the way in of every connection that has a webhook secret; ConfigError names a secret that cannot sign."""
    found = {}
    for name, connection in config.here.items():
        if connection.webhook_secret is None:
            continue
        system = system_module(connection.system)
        kind: type[Verifier | AddressVerifier] = getattr(system, "verifier", Verifier)
        try:
            verifier = _accepting(connection.webhook_secret, kind, config.receiver.tolerance_seconds)
        except ValueError as error:
            raise ConfigError(f"connections.{name}.webhook_secret: it is no {kind.KIND.removeprefix('a ')}") from error
        found[name] = Door(name, verifier, system)
    return found


def _accepting(reference: SecretRef, kind: type[Verifier | AddressVerifier], tolerance: float) -> Accepting:
    return Accepting(reference, lambda secret: kind(secret, tolerance))


@dataclass(slots=True)
class ReceiverRole:
    """Serves the webhooks' port."""

    config: Config
    name: str = "receiver"

    async def run(self, context: RoleContext) -> None:
        """Serve until asked to stop."""
        settings = self.config.receiver
        producer = AckedProducer(self.config.kafka, delivery_timeout_ms=STORE_SECONDS * 1000, linger_ms=LINGER_MS)
        receiver = Receiver(doors(self.config), producer, self.config, SystemClock(), context.metrics)
        runner = runner_of(receiver)
        await runner.setup()
        try:
            await _listen(runner, settings.host, settings.port)
            context.health.set_ready("listening", ok=True, detail=f"{settings.host}:{settings.port}")
            await producer.serve_until(context.stop)
        finally:
            await runner.cleanup()
            await producer.close(2)


def runner_of(receiver: Receiver) -> web.ServerRunner:
    """Return the receiver as a server that is not yet listening."""
    return web.ServerRunner(web.Server(receiver.answer, access_log=None, auto_decompress=False, lingering_time=LINGER_SECONDS))


async def _listen(runner: web.ServerRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise ConfigError(f"receiver.port: {host}:{port} cannot be used ({error.strerror}); end what uses it, or set another port") from error


def build(config: Config) -> ReceiverRole:
    """Return the role."""
    return ReceiverRole(config)
