from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from towpath.sandbox.kit.faults import KINDS, Faults, FaultSettings

Client = TestClient[web.Request, web.Application]
Serve = Callable[..., Awaitable[Client]]
KEY = {"X-API-Key": "towpath-sandbox-key"}
BODY = {"Email": "ann@example.com"}


async def customers(client: Client) -> int:
    return int((await (await client.get("/_sandbox/store/customers")).json())["total"])


async def injected(client: Client, kind: str) -> int:
    return int((await (await client.get("/_sandbox/faults")).json())["injected"][kind])


async def to_come(client: Client) -> int:
    return int((await (await client.get("/_sandbox/stats")).json())["late_commits_pending"])


async def last_row(client: Client) -> dict[str, Any]:
    row: dict[str, Any] = (await (await client.get("/_sandbox/journal")).json())["items"][-1]
    return row


async def test_unavailable_is_503_and_does_nothing(serve: Serve) -> None:
    client = await serve("bng", faults={"unavailable": 1})
    assert (await client.post("/api/v1/customers", json=BODY, headers=KEY)).status == 503
    assert (await client.post("/oauth/token", data={})).status == 400  # token paths meet no faults
    assert (await customers(client), await injected(client, "unavailable")) == (0, 1)


async def test_throttle_is_429_with_retry_after(serve: Serve) -> None:
    client = await serve("bng", faults={"throttle": 1})
    answer = await client.post("/api/v1/customers", json=BODY, headers=KEY)
    assert (answer.status, answer.headers["Retry-After"], await customers(client)) == (429, "1", 0)


async def test_a_lost_response_is_committed_and_the_connection_reset(serve: Serve) -> None:
    client = await serve("bng", faults={"response_lost": 1})
    with pytest.raises(aiohttp.ClientError):
        await client.post("/api/v1/customers", json=BODY, headers=KEY)
    row = await last_row(client)
    assert (await customers(client), row["fault"], row["status"], row["outcome"]) == (1, "response_lost", None, 201)


async def test_reads_never_lose_their_response(serve: Serve) -> None:
    client = await serve("bng", faults={"response_lost": 1, "late_commit": 1})
    assert (await client.get("/api/v1/products", headers=KEY)).status == 200


async def gives_up(client: Client) -> None:
    """Leave before a call that the system has begun is answered."""
    asked = asyncio.create_task(client.post("/api/v1/customers", json=BODY, headers=KEY))
    async with asyncio.timeout(10):
        while await injected(client, "late_commit") == 0:
            pass
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)


async def test_a_late_commit_happens_after_the_client_left(serve: Serve) -> None:
    client = await serve("bng", faults={"late_commit": 1, "late_commit_seconds": 3})
    await gives_up(client)
    assert (await customers(client), await injected(client, "late_commit"), await to_come(client)) == (0, 1, 1)
    async with asyncio.timeout(10):
        while await to_come(client):
            pass
    assert await customers(client) == 1
    row = await last_row(client)
    assert (row["fault"], row["status"], row["outcome"]) == ("late_commit", None, 201)


async def test_a_late_commit_is_not_lost_when_the_server_stops(serve: Serve) -> None:
    client = await serve("bng", faults={"late_commit": 1, "late_commit_seconds": 3600})
    await gives_up(client)
    await client.close()
    assert await customers(await serve("bng")) == 1


async def test_faults_can_be_dialled_while_it_runs(serve: Serve) -> None:
    client = await serve("bng")
    assert (await client.put("/_sandbox/faults", json={"unavailable": 1})).status == 200
    assert (await client.get("/api/v1/products", headers=KEY)).status == 503
    await client.put("/_sandbox/faults", json={})
    assert (await client.get("/api/v1/products", headers=KEY)).status == 200
    assert (await client.put("/_sandbox/faults", json={"unavailble": 1})).status == 400


async def test_latency_delays_every_call(serve: Serve) -> None:
    client = await serve("bng", faults={"latency_ms": 60})
    await client.get("/api/v1/products", headers=KEY)
    assert (await last_row(client))["duration_ms"] >= 60


async def test_a_slow_write_delays_no_read(serve: Serve) -> None:
    client = await serve("bng", faults={"write_latency_ms": 1000})
    await client.get("/api/v1/products", headers=KEY)
    assert (await last_row(client))["duration_ms"] < 1000
    await client.post("/api/v1/customers", headers=KEY, json={})
    assert (await last_row(client))["duration_ms"] >= 1000


def test_the_same_seed_decides_the_same() -> None:
    def decisions(seed: int) -> list[bool]:
        faults = Faults(FaultSettings(unavailable=0.3, seed=seed))
        return [faults.strikes("unavailable") for _ in range(200)]

    assert decisions(1) == decisions(1) != decisions(2)


def test_mild_shows_every_kind_it_names_within_twenty_opportunities() -> None:
    faults = Faults(FaultSettings.model_validate({"preset": "mild"}))
    seen = {kind: sum(faults.strikes(kind) for _ in range(20)) for kind in KINDS}
    assert {kind for kind, count in seen.items() if count} == set(KINDS) - {"throttle"}


def test_a_floor_of_two_is_met_after_twice_as_many() -> None:
    faults = Faults(FaultSettings.model_validate({"at_least": {"late_commit": 2}, "within": 5}))
    assert [faults.strikes("late_commit") for _ in range(15)] == [False] * 4 + [True] + [False] * 4 + [True] + [False] * 5


def test_a_rate_is_kept_on_the_whole() -> None:
    faults = Faults(FaultSettings(unavailable=0.05))
    assert 380 < sum(faults.strikes("unavailable") for _ in range(10_000)) < 620
