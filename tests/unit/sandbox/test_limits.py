from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.test_utils import TestClient

from towpath.sandbox.kit.clock import ManualClock
from towpath.sandbox.kit.limits import RateLimit

Serve = Callable[..., Awaitable[TestClient[web.Request, web.Application]]]
KEY = {"X-API-Key": "towpath-sandbox-key"}


async def test_a_minute_lets_its_calls_and_the_burst_through(serve: Serve, clock: ManualClock) -> None:
    """600 a minute and 50 at once, in a minute of 6 seconds: 100 a second after the burst."""
    client = await serve("bng", clock=clock, minute_seconds=6)
    passed = 0
    for _ in range(48):
        for _ in range(20):
            passed += (await client.get("/api/v1/inventory/BAG-BLA-001", headers=KEY)).status == 200
        clock.advance(0.125)
    assert passed == 50 + int(47 * 12.5)  # what the last step brings is not spent


async def test_over_the_limit_is_429_with_whole_seconds(serve: Serve, clock: ManualClock) -> None:
    client = await serve("bng", clock=clock, requests_per_minute=6, burst=1, minute_seconds=60)
    assert (await client.get("/api/v1/products", headers=KEY)).status == 200
    clock.advance(2.5)
    answer = await client.get("/api/v1/products", headers=KEY)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "8")
    assert (await answer.json())["error"]["code"] == "rate_limited"
    clock.advance(8)
    assert (await client.get("/api/v1/products", headers=KEY)).status == 200
    stats = await (await client.get("/_sandbox/stats")).json()
    assert (stats["throttled"], stats["calls"]["GET /api/v1/products"]) == (1, 3)


async def test_each_credential_has_its_own_limit(clock: ManualClock) -> None:
    limit = RateLimit(clock, per_minute=60, burst=1, minute_seconds=60)
    assert [limit.take("a"), limit.take("a"), limit.take("b")] == [None, 1, None]
