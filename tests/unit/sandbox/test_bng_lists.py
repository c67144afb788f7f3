from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from towpath.sandbox.kit.clock import ManualClock

Json = Any
Client = TestClient[web.Request, web.Application]
Serve = Callable[..., Awaitable[Client]]
KEY = {"X-API-Key": "towpath-sandbox-key"}
START = "2026-03-01T12:00:00Z"


async def get(client: Client, path: str) -> Json:
    return await (await client.get(f"/api/v1{path}", headers=KEY)).json()


async def add(client: Client, count: int) -> None:
    for number in range(count):
        await client.post("/api/v1/customers", json={"Email": f"c{number}@example.com"}, headers=KEY)


async def rename(client: Client, customer: str, name: str) -> str:
    answer = await client.patch(f"/api/v1/customers/{customer}", json={"FirstName": name}, headers=KEY)
    return str((await answer.json())["UpdatedAt"])


async def test_updates_are_listed_in_the_order_they_were_made(serve: Serve, clock: ManualClock) -> None:
    client = await serve("bng", clock=clock)
    await add(client, 4)
    clock.advance(5)
    await rename(client, "C1002", "Bob")
    ids = [item["CustomerID"] for item in (await get(client, f"/customers?updatedSince={START}"))["items"]]
    assert ids == ["C1001", "C1003", "C1004", "C1002"]
    assert [item["CustomerID"] for item in (await get(client, "/customers"))["items"]] == ["C1001", "C1002", "C1003", "C1004"]


@pytest.mark.parametrize("seconds", [0, -600])
async def test_no_change_has_the_time_of_an_earlier_one_even_where_the_clock_goes_back(serve: Serve, clock: ManualClock, seconds: float) -> None:
    client = await serve("bng", clock=clock, requests_per_minute=None)
    await add(client, 1)
    times = []
    for number in range(5):
        clock.advance(seconds)
        times.append(await rename(client, "C1001", f"Ann {number}"))
    assert times == sorted(set(times))


async def test_reading_on_from_the_last_update_loses_nothing_while_records_change(serve: Serve) -> None:
    client = await serve("bng", requests_per_minute=None)
    await add(client, 30)
    since, seen = "2020-01-01T00:00:00Z", dict[str, str | None]()
    for step in range(200):
        items = (await get(client, f"/customers?updatedSince={since}&pageSize=4"))["items"]
        seen |= {item["CustomerID"]: item["FirstName"] for item in items}
        if step < 20:  # records on both sides of where the reader stands
            for turn in (0, 10, 20):
                await rename(client, f"C{1001 + (step * 7 + turn) % 30}", f"name {step}")
        elif since == items[-1]["UpdatedAt"]:
            break
        since = items[-1]["UpdatedAt"]
    everyone = (await get(client, "/customers"))["items"]
    assert seen == {item["CustomerID"]: item["FirstName"] for item in everyone}


async def test_the_store_keeps_when_a_record_was_made(serve: Serve, clock: ManualClock) -> None:
    client = await serve("bng", clock=clock)
    await add(client, 1)
    clock.advance(60)
    await rename(client, "C1001", "Ann")
    [row] = (await (await client.get("/_sandbox/store/customers")).json())["items"]
    assert (row["_CreatedAt"], row["UpdatedAt"]) == ("2026-03-01T12:00:00.000000Z", "2026-03-01T12:01:00.000000Z")
