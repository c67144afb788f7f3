"""Real processes that share one access token, against the sandbox's BNG, whose journal says who asked for what."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from sqlalchemy.engine import URL

from towpath.delivery.tokens import RENEWED_AT
from towpath.failpoints import Failpoints
from towpath.sandbox.kit.server import build
from towpath.sandbox.kit.system import load
from towpath.testing.waiting import until
from towpath.vault import KeyPlace, Vault

CALLER = Path(__file__).with_name("caller.py")
PROCESSES, LIFETIME = 3, 8.0
"""Seconds: a fifth of it is left when the next token is asked for, in which a busy machine must come round to each process."""


class Scene:
    """BNG, a vault, and the processes that call."""

    def __init__(self, server: TestServer, vault: Vault, database: URL) -> None:
        self.server, self.vault, self.database = server, vault, database
        self.parent: Process | None = None
        self.running: list[int] = []
        self.session = aiohttp.ClientSession()

    async def start(self, count: int = PROCESSES) -> None:
        """Start processes, and return when each has a call answered."""
        database = self.database.render_as_string(hide_password=False)
        arguments = [str(count), database, str(self.vault.folder), self.vault.place.name, str(self.server.make_url(""))]
        self.parent = await asyncio.create_subprocess_exec(sys.executable, str(CALLER), *arguments, stdin=PIPE, stdout=PIPE)
        assert self.parent.stdout is not None
        self.running = json.loads(await self.parent.stdout.readline())
        await self.calls_reach(10 * count)

    def kill(self) -> None:
        """Kill a process."""
        os.kill(self.running.pop(), signal.SIGKILL)

    async def stop(self) -> tuple[list[int], list[str]]:
        """End the processes; return how many calls of each were answered, and the errors of all."""
        assert self.parent is not None
        told = [json.loads(line) for line in (await self.parent.communicate(b""))[0].splitlines()]
        self.running.clear()
        return [answered for answered, _ in told], [error for _, errors in told for error in errors]

    async def journal(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            query = {"path": path, "limit": "1000", "after": str(found[-1]["seq"] if found else 0)}
            async with self.session.get(self.server.make_url("/_sandbox/journal"), params=query) as response:
                items = (await response.json())["items"]
            found += items
            if len(items) < 1000:
                return found

    async def statuses(self, path: str = "/api/v1/customers") -> list[int]:
        return [call["status"] for call in await self.journal(path)]

    async def calls_reach(self, count: int) -> None:
        async def enough() -> bool:
            return (await self.statuses()).count(200) >= count

        await until(enough, what=f"{count} calls are answered")

    async def tokens_reach(self, count: int) -> None:
        async def enough() -> bool:
            return len(await self.journal("/oauth/token")) >= count

        await until(enough, what=f"{count} tokens were asked for")


@pytest.fixture
async def scene_of(tmp_path: Path, database: URL) -> AsyncIterator[Callable[..., Awaitable[Scene]]]:
    """Give what makes a scene whose tokens live for so many seconds."""
    made: list[Scene] = []

    async def scene_of(token_seconds: float) -> Scene:
        system = load("bng")
        settings = system.settings.model_validate({"token_seconds": token_seconds, "requests_per_minute": None})
        server = TestServer(build(system, tmp_path / "bng", settings))
        await server.start_server()
        vault = Vault(tmp_path / "vault", KeyPlace("file", str(tmp_path / "vault.key")))
        vault.make()
        made.append(Scene(server, vault, database))
        return made[-1]

    yield scene_of
    for scene in made:
        while scene.running:
            scene.kill()
        if scene.parent is not None:
            await scene.parent.communicate()
        await scene.session.close()
        await scene.server.close()


async def test_one_process_refreshes_ahead_of_expiry_and_no_call_is_ever_refused(scene_of: Callable[..., Awaitable[Scene]]) -> None:
    scene = await scene_of(LIFETIME)
    began = time.monotonic()
    await scene.start()
    await scene.tokens_reach(3)
    answered, errors = await scene.stop()
    longest = 1 + math.ceil((time.monotonic() - began) / (LIFETIME * RENEWED_AT))
    asked = await scene.journal("/oauth/token")
    assert (errors, set(await scene.statuses())) == ([], {200})
    assert 3 <= len(asked) <= longest, "as many as one process alone would have asked for"
    assert min(answered) > 0


async def test_a_token_that_is_revoked_is_refreshed_once_for_all(scene_of: Callable[..., Awaitable[Scene]]) -> None:
    scene = await scene_of(3600)
    await scene.start()
    for _ in range(2):
        await asyncio.sleep(2.1)  # a token that is refused in its first two seconds was never good
        async with scene.session.post(scene.server.make_url("/_sandbox/tokens/expire")) as response:
            assert response.status == 200
        await scene.calls_reach((await scene.statuses()).count(200) + 10 * PROCESSES)
    _, errors = await scene.stop()
    assert errors == []
    assert len(await scene.journal("/oauth/token")) == 1 + 2
    assert 401 in await scene.statuses()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_a_process_that_is_killed_takes_the_refreshing_with_it_from_nobody(scene_of: Callable[..., Awaitable[Scene]]) -> None:
    scene = await scene_of(LIFETIME)
    await scene.start()
    for count in (2, 3):
        await scene.tokens_reach(count)
        scene.kill()
    await scene.tokens_reach(4)
    answered, errors = await scene.stop()
    assert (len(answered), errors, set(await scene.statuses()) - {None}) == (PROCESSES - 2, [], {200})


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_the_vaults_key_may_change_while_tokens_are_shared(scene_of: Callable[..., Awaitable[Scene]]) -> None:
    scene = await scene_of(LIFETIME)
    await scene.start(2)
    await asyncio.to_thread(scene.vault.rotate, datetime.now(UTC), Failpoints())
    before = len(await scene.journal("/oauth/token"))
    await scene.tokens_reach(before + 2)
    _, errors = await scene.stop()
    assert (errors, set(await scene.statuses())) == ([], {200})
