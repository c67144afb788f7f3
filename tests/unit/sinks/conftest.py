"""A shop and BNG as the sandbox plays them, over HTTP, with calls that a test cuts off; and the sink that writes to them, on a virtual clock."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.typedefs import Handler
from sqlalchemy.engine import URL

from sinks.effector import Effector, Patience
from sinks.effects import Effected
from sinks.role import find_target
from towpath.config.connections import Connection
from towpath.delivery.claims import Order
from towpath.delivery.database import make_tables, open_engine
from towpath.delivery.ledger import Ledger
from towpath.errors import OutcomeUnknownError, RetryableError
from towpath.metrics import Metrics
from towpath.sandbox.kit.server import build
from towpath.sandbox.kit.system import load
from towpath.systems.base import connect
from towpath.testing.clock import VirtualClock

Json = Any
PATIENCE = Patience(timeout=10, settle=5)
CREDENTIALS: dict[str, dict[str, str]] = {
    "bng": {"api_key": "towpath-sandbox-key"},
    "nopcommerce": {"username": "api@shop.example", "password": "towpath-sandbox-password"},
    "magento": {"access_token": "towpath-sandbox-token"},
    "threepl": {"token": "towpath-sandbox-token"},
}
KEY = {"X-API-Key": "towpath-sandbox-key"}
BASES = {"bng": "/api/v1/", "brightpearl": "/public-api/acme/", "nopcommerce": "/api-backend/", "magento": "/rest/V1/", "threepl": "/v1/"}


class Cut(NamedTuple):
    """The n-th call that begins so gets no answer: it is done before (`lost`), never (`unsent`), or when the test says so (`late`)."""

    call: str
    how: str
    nth: int = 1


class Played:
    """A system as its operators see it."""

    def __init__(self, system: str, folder: Path) -> None:
        self.system, self._base = system, BASES[system]
        kind = load(system)
        app = build(kind, folder, kind.settings.model_validate({"requests_per_minute": None} if system == "bng" else {}))

        @web.middleware
        async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._pass(request, handler)

        app.middlewares.append(watch)
        self.client = TestClient(TestServer(app))
        self.calls: list[str] = []
        """Every call to its API: the method, the path below its base, and the query."""
        self.heard: Callable[[str], Awaitable[None]] | None = None
        """Awaited with every call as it arrives."""
        self.answers: dict[str, web.Response] = {}
        """What is answered to calls that begin so, in the system's place."""
        self._cuts: list[Cut] = []
        self.late: list[Callable[[], Awaitable[object]]] = []
        """What a late call does."""

    def cut(self, call: str, how: str = "lost", nth: int = 1) -> None:
        """Let the n-th call from now on that begins so get no answer."""
        self._cuts.append(Cut(call, how, nth))

    def sent(self, *calls: str) -> list[str]:
        """Return the calls that begin with one of these."""
        return [call for call in self.calls if call.startswith(calls)]

    async def control(self, method: str, path: str, body: Json = None) -> Json:
        """Return what a path below `/_sandbox` answers."""
        async with self.client.request(method, f"/_sandbox/{path}", json=body) as answer:
            assert answer.ok, await answer.text()
            return await answer.json()

    async def ask(self, method: str, path: str, body: Json = None) -> Json:
        """Return what its API answers to somebody else than the sink."""
        async with self.client.request(method, self._base + path, json=body, headers={"Authorization": await self._token(), **KEY}) as answer:
            assert answer.ok, await answer.text()
            return await answer.json() if answer.content_type == "application/json" else None

    async def rows(self, entity: str) -> list[Json]:
        """Return all rows of an entity."""
        items: list[Json] = (await self.control("GET", f"store/{entity}"))["items"]
        return items

    async def _token(self) -> str:
        if self.system != "nopcommerce":
            return f"Bearer {CREDENTIALS['magento']['access_token']}"
        async with self.client.post(f"{self._base}Authenticate/GetToken", json=CREDENTIALS["nopcommerce"]) as answer:
            token: str = (await answer.json())["token"]
            return token

    async def _pass(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith(self._base) or request.path.endswith("/GetToken"):
            return await handler(request)
        call = f"{request.method} {request.path_qs.removeprefix(self._base)}"
        self.calls.append(call)
        if self.heard is not None:
            await self.heard(call)
        if (answer := next((answer for begin, answer in self.answers.items() if call.startswith(begin)), None)) is not None:
            return web.Response(status=answer.status, text=answer.text, content_type="application/json")
        how = self._struck(call)
        if how is None:
            return await handler(request)
        await request.read()
        if how == "lost":
            await handler(request)
        if how == "late":
            self.late.append(lambda: handler(request))
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    def _struck(self, call: str) -> str | None:
        self._cuts = [cut._replace(nth=cut.nth - call.startswith(cut.call)) for cut in self._cuts]
        struck = next((cut for cut in self._cuts if cut.nth == 0 and call.startswith(cut.call)), None)
        if struck is None:
            return None
        self._cuts.remove(struck)
        return struck.how


class Sink:
    """One process of the sink role that writes to a played system as `to`."""

    def __init__(self, played: Played, database: Path, clock: VirtualClock, owner: str) -> None:
        url = str(played.client.make_url("/"))
        connection = Connection.model_validate({"system": played.system, "url": url, "credentials": CREDENTIALS[played.system]})
        self.clock, self.played, self.metrics = clock, played, Metrics()
        self.ledger = Ledger(open_engine(URL.create("sqlite", database=str(database))), clock, owner)
        self.api = connect("to", connection, clock, Metrics())
        self._effector = Effector("to", find_target(played.system), self.api, self.ledger, PATIENCE, clock, metrics=self.metrics)

    async def apply(
        self, operation: str, key: str, document: Json, *, version: Order = (0, 0), related: Mapping[str, str] | None = None, **how: Json
    ) -> Effected:
        """Return what became of an effect, tried once; `how` is as the effector takes it."""
        return await self._effector.apply(operation, key, document, related or {}, version, **how)

    async def insist(self, operation: str, key: str, document: Json, **more: Json) -> Effected:
        """Return what became of an effect, tried again after each passing failure, at most thirty times."""
        for _ in range(30):
            try:
                return await self.clock.run(self.apply(operation, key, document, **more))
            except (RetryableError, OutcomeUnknownError):
                await self.clock.advance(PATIENCE.settle)
        raise AssertionError(f"{operation} {key} was tried thirty times")

    async def close(self) -> None:
        await self.api.close()
        await self.ledger.close()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def play(tmp_path: Path) -> AsyncIterator[Callable[[str], Awaitable[Played]]]:
    """What starts a system over the folder of this test."""
    async with AsyncExitStack() as stack:

        async def start(system: str) -> Played:
            played = Played(system, tmp_path / system)
            await stack.enter_async_context(played.client)
            return played

        yield start


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a ledger that nothing was written to: half of what a test here would spend is making its tables."""
    path = tmp_path_factory.mktemp("ledger") / "towpath.db"
    make_tables(open_engine(URL.create("sqlite", database=str(path))))
    return path


@pytest.fixture
async def sink_to(tmp_path: Path, clock: VirtualClock, empty_ledger: Path) -> AsyncIterator[Callable[..., Sink]]:
    """What makes a process of the sink; all share one ledger."""
    database = Path(shutil.copyfile(empty_ledger, tmp_path / "towpath.db"))
    async with AsyncExitStack() as stack:

        def start(played: Played, owner: str = "one") -> Sink:
            sink = Sink(played, database, clock, owner)
            stack.push_async_callback(sink.close)
            return sink

        yield start


@pytest.fixture
async def shop(play: Callable[[str], Awaitable[Played]]) -> Played:
    """A shop with orders 1001 to 1008; 1001 has 3 of BOT-PLU-020 (item 20020) and 1 of JAC-OLI-039 (item 20021)."""
    shop = await play("nopcommerce")
    await shop.control("POST", "shopper", {"orders": 8, "seed": 1})
    return shop


@pytest.fixture
def sink(shop: Played, sink_to: Callable[..., Sink]) -> Sink:
    """The sink that writes to the shop."""
    return sink_to(shop)
