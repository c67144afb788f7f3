from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from towpath.sandbox.kit.clock import Clock, ManualClock
from towpath.sandbox.kit.server import build
from towpath.sandbox.kit.system import load

Json = Any
Client = TestClient[web.Request, web.Application]
Serve = Callable[..., Awaitable[Client]]


class Shop:
    """A NopCommerce server and someone who is logged in to its API."""

    def __init__(self, client: Client, headers: dict[str, str]) -> None:
        self.client, self.headers = client, headers

    async def ask(self, method: str, path: str, body: Json = None, *, status: int = 200) -> Json:
        """Return what a path of the API answers, once it answers that status: JSON, text, or None for nothing."""
        answer = await self.client.request(method, f"/api-backend/{path}", json=body, headers=self.headers)
        text = await answer.text()
        assert answer.status == status, text
        return None if not text else await answer.json() if answer.content_type == "application/json" else text

    async def control(self, path: str, body: Json, *, status: int = 200) -> Json:
        """Return what a POST to a path below `/_sandbox` answers."""
        answer = await self.client.post(f"/_sandbox/{path}", json=body)
        assert answer.status == status, await answer.text()
        return await answer.json()

    async def rows(self, entity: str) -> list[Json]:
        """Return all rows of an entity."""
        items: list[Json] = (await (await self.client.get(f"/_sandbox/store/{entity}")).json())["items"]
        return items


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 1, 12, tzinfo=UTC))


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """What starts a system over the folder of this test, with the settings it is given."""
    async with AsyncExitStack() as stack:

        async def start(name: str, *, clock: Clock | None = None, **settings: Json) -> Client:
            system = load(name)
            app = build(system, tmp_path, system.settings.model_validate(settings), clock)
            return await stack.enter_async_context(TestClient(TestServer(app)))

        yield start


@pytest.fixture
def open_shop(serve: Serve) -> Callable[..., Awaitable[Shop]]:
    """What starts a shop with the settings it is given and logs in."""

    async def start(**settings: Json) -> Shop:
        client = await serve("nopcommerce", **settings)
        login = {"username": "api@shop.example", "password": "towpath-sandbox-password"}
        answer = await client.post("/api-backend/Authenticate/GetToken", json=login)
        return Shop(client, {"Authorization": (await answer.json())["token"]})

    return start
