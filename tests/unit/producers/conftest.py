"""Systems to read lists from, over real HTTP: the sandbox's, and one whose every answer a test can choose."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import BaseTestServer, TestClient, TestServer

from towpath.config import Connection
from towpath.http import ApiClient
from towpath.metrics import Metrics
from towpath.sandbox.kit.clock import ManualClock
from towpath.sandbox.kit.server import build
from towpath.sandbox.kit.system import load
from towpath.systems.base import connect
from towpath.testing.clock import VirtualClock
from towpath.testing.lists import BngLists

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CREDENTIALS = {
    "bng": {"api_key": "towpath-sandbox-key"},
    "nopcommerce": {"username": "api@shop.example", "password": "towpath-sandbox-password"},
    "magento": {"access_token": "towpath-sandbox-token"},
}


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this machine stand in Tokyo, so that a time of its own zone is none of UTC."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def clock() -> VirtualClock:
    """Time as Towpath sees it, months after the source's."""
    return VirtualClock()


@pytest.fixture
def source_clock() -> ManualClock:
    """Time as the sandbox sees it."""
    return ManualClock(NOON)


@pytest.fixture
async def lists() -> AsyncIterator[BngLists]:
    """BNG's lists, empty, at noon of its own clock."""
    lists = BngLists(NOON)
    await lists.server.start_server()
    yield lists
    await lists.server.close()


@pytest.fixture
async def connected(clock: VirtualClock) -> AsyncIterator[Callable[[str, BaseTestServer], ApiClient]]:
    """What makes the client of a system at a server; it waits on the test's own clock."""
    async with AsyncExitStack() as stack:

        def connected(system: str, server: BaseTestServer) -> ApiClient:
            values = {"system": system, "url": str(server.make_url("/")), "credentials": CREDENTIALS[system]}
            api = connect("source", Connection.model_validate(values), clock, Metrics())
            stack.push_async_callback(api.close)
            return api

        yield connected


@pytest.fixture
async def serve(tmp_path: Path, source_clock: ManualClock) -> AsyncIterator[Any]:
    """What starts a system of the sandbox over the folder of this test, on its own clock, with the settings it is given."""
    async with AsyncExitStack() as stack:

        async def serve(name: str, **settings: Any) -> Any:  # noqa: ANN401 - those of the system
            system = load(name)
            app = build(system, tmp_path, system.settings.model_validate(settings), source_clock)
            return await stack.enter_async_context(TestClient(TestServer(app)))

        yield serve
