"""One system, played by its sandbox over real HTTP, and the clients, ledger and webhooks that a contract suite tries it with."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy.engine import URL

from sinks.effector import Effector, Patience
from sinks.effects import Effected
from sinks.role import find_target
from towpath.config import Connection
from towpath.config.secret import SecretRef, is_secret_name
from towpath.delivery.claims import Order
from towpath.delivery.database import open_engine
from towpath.delivery.ledger import Ledger
from towpath.errors import OutcomeUnknownError, RetryableError
from towpath.http import ApiClient
from towpath.metrics import Metrics
from towpath.sandbox.kit.server import build
from towpath.sandbox.kit.system import load
from towpath.systems.base import connect
from towpath.testing.clock import VirtualClock
from towpath.testing.contracts.example import Asked, Example
from towpath.testing.contracts.wire import Late, Wire
from towpath.testing.waiting import until

Json = Any
NAME = "it"
"""The connection's name."""
PATIENCE = Patience(timeout=10, settle=5)
TRIES = 30


class Hook(NamedTuple):
    """A webhook as it came."""

    body: bytes
    headers: Mapping[str, str]
    query: Mapping[str, str]


class Bench:
    """A running system; every test makes things of its own there, so that all of a suite's share one server."""

    def __init__(self, example: Example, server: TestClient[Any, Any], wire: Wire, hooks: list[Hook], database: Path) -> None:
        self.example, self.wire, self.hooks = example, wire, hooks
        self._server, self._database = server, database
        self._numbers = itertools.count(1)
        self.clock = VirtualClock()

    @property
    def url(self) -> str:
        """Return the address of a connection to it."""
        return str(self._server.make_url(self.example.address))

    def next(self) -> int:
        """Return a number that no other thing of this bench has."""
        return next(self._numbers)

    async def control(self, method: str, path: str, body: Json = None) -> Json:
        """Return what a path below `/_sandbox/` answers."""
        return await self._ask(method, f"/_sandbox/{path}", body)

    async def ask(self, method: str, path: str, body: Json = None) -> Json:
        """Return what its API answers to one of its own people; the wire takes no notice."""
        with self.wire.aside():
            return await self._ask(method, self.example.base + path, body)

    async def rows(self, entity: str, /, **where: Json) -> list[Json]:
        """Return what its store holds of an entity, with these values."""
        query = urlencode({name: value for name, value in where.items() if isinstance(value, int | str)})
        items: list[Json] = (await self.control("GET", f"store/{entity}?{query}"))["items"]
        return [row for row in items if all(row.get(name) == value for name, value in where.items())]

    async def told(self) -> list[Hook]:
        """Return every webhook so far, once none waits to be sent."""

        async def nothing_waits() -> bool:
            return bool((await self.control("GET", "stats"))["webhooks_pending"] == 0)

        await until(nothing_waits, seconds=20, what="an empty outbox")
        return list(self.hooks)

    def connection(self, **more: Json) -> Connection:
        """Return the configuration of a connection to it."""
        values = {"system": self.example.system, "url": self.url, "credentials": {name: self._kept(name) for name in self.example.credentials}}
        return Connection.model_validate({**values, **more})

    @asynccontextmanager
    async def client(self) -> AsyncIterator[ApiClient]:
        """Give a client of its own, whose pauses take no time."""
        api = connect(NAME, self.connection(), self.clock, Metrics())
        try:
            yield api
        finally:
            await api.close()

    @asynccontextmanager
    async def sink(self, owner: str = "one") -> AsyncIterator[Sink]:
        """Give a process of the sink role."""
        ledger = Ledger(open_engine(URL.create("sqlite", database=str(self._database))), self.clock, owner)
        async with self.client() as api:
            target = find_target(self.example.system)
            yield Sink(Effector(NAME, target, api, ledger, PATIENCE, self.clock), api, self.clock)
        await ledger.close()

    def _kept(self, name: str) -> str | SecretRef:
        """Return a credential as a configuration has it: a secret stands in a file of its own."""
        value = self.example.credentials[name]
        if not is_secret_name(name):
            return value
        path = self._database.with_name(f"{name}.secret")
        path.write_text(value, encoding="utf-8")
        return SecretRef("file", str(path))

    async def _ask(self, method: str, path: str, body: Json) -> Json:
        async with self._server.request(method, path, json=body, headers=self.example.headers) as answer:
            text = await answer.text()
            assert answer.ok, f"{method} {path}: {answer.status} {text}"
            return json.loads(text) if answer.content_type == "application/json" else text


class Sink:
    """What delivers to the system, as one process of the sink role does."""

    def __init__(self, effector: Effector, api: ApiClient, clock: VirtualClock) -> None:
        self.api, self._effector, self._clock = api, effector, clock

    async def apply(self, operation: str, key: str, asked: Asked, version: Order = (1, 0)) -> Effected:
        """Return what became of a delivery that is tried once."""
        return await self._clock.run(self._effector.apply(operation, key, asked.document, asked.related, version))

    async def insist(self, operation: str, key: str, asked: Asked, version: Order = (1, 0), late: Late | None = None) -> Effected:
        """Return what became of a delivery, tried again after each passing failure as its lane would; what is `late` happens meanwhile."""
        for _ in range(TRIES):
            try:
                return await self.apply(operation, key, asked, version)
            except (RetryableError, OutcomeUnknownError):
                await self._clock.advance(PATIENCE.settle / 2)
                if late is not None:
                    await late.happen()
                await self._clock.advance(PATIENCE.settle / 2)
        raise AssertionError(f"{operation} {key} was tried {TRIES} times")


@asynccontextmanager
async def bench_of(example: Example, folder: Path) -> AsyncIterator[Bench]:
    """Give a system that runs over a folder."""
    hooks: list[Hook] = []

    async def accept(hook: web.Request) -> web.Response:
        hooks.append(Hook(await hook.read(), dict(hook.headers), dict(hook.query)))
        return web.Response(status=204)

    async with AsyncExitStack() as stack:
        receiver = web.Application()
        receiver.router.add_post("/hooks", accept)
        hooked = await stack.enter_async_context(TestServer(receiver))
        query = f"?{example.webhook_query}" if example.webhook_query else ""
        system, wire = load(example.system), Wire(example.base, example.logins)
        told = {"webhook_url": f"{hooked.make_url('/hooks')}{query}", "webhook_secret": example.webhook_secret}
        app = build(system, folder, system.settings.model_validate({"requests_per_minute": None, **told, **example.settings}))
        app.middlewares.append(wire.middleware)
        server: TestClient[Any, Any] = await stack.enter_async_context(TestClient(TestServer(app)))
        yield Bench(example, server, wire, hooks, folder / "towpath.db")


def now() -> datetime:
    """Return the time by the played system's clock."""
    return datetime.now(UTC)


async def gather(*work: Any) -> list[Any]:  # noqa: ANN401 - coroutines
    """Return what each gave, its error among them."""
    return list(await asyncio.gather(*work, return_exceptions=True))
