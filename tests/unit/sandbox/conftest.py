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
