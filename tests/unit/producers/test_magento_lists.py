"""Magento's lists and fetches, over HTTP: read to the end, no further, by naive UTC times."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from producers.base import Fetch, Item
from producers.magento import SOURCE, polls
from producers.magento.polls import naive
from towpath.errors import DataError, RetryableError

Connected = Callable[..., Any]
Serve = Any
Clock = Any
Api = Any
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def listed(api: Api, since: datetime, entity: str = "order") -> list[Item]:
    poll = next(poll for poll in SOURCE.polls if poll.entity == entity)
    return [item async for item in poll.items(api, since)]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 7])
async def test_a_list_is_read_to_its_end_and_no_further_though_the_last_page_repeats_for_ever(
    serve: Serve,
    connected: Connected,
    source_clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
) -> None:
    monkeypatch.setattr(polls, "PAGE_SIZE", 2)
    shop = await serve("magento", empty_is_null=True)
    for number in range(count):
        if number != 3:  # the third and the fourth are of one second
            source_clock.advance(1)
        await shop.post("/_sandbox/shopper", json={"orders": 1, "first_id": 1001 + number})
    items = await listed(connected("magento", shop.server), NOON - timedelta(hours=1))
    assert {str(1001 + number) for number in range(count)} == {str(item.id) for item in items}
    calls = (await (await shop.get("/_sandbox/stats")).json())["calls"]["GET /rest/V1/orders"]
    assert calls <= 2 * count + 1


async def test_only_what_was_saved_since_is_listed_that_second_included(serve: Serve, connected: Connected, source_clock: Clock) -> None:
    shop = await serve("magento")
    await shop.post("/_sandbox/shopper", json={"orders": 2})
    source_clock.advance(10)
    await shop.post("/_sandbox/orders/1002")
    api = connected("magento", shop.server)
    assert {1002} == {item.id for item in await listed(api, NOON + timedelta(seconds=10, microseconds=900))}
    assert {1001, 1002} == {item.id for item in await listed(api, NOON)}


async def test_a_listed_order_needs_no_call_but_for_its_invoices_once_it_is_paid(serve: Serve, connected: Connected) -> None:
    shop = await serve("magento")
    await shop.post("/_sandbox/shopper", json={"orders": 12})
    api = connected("magento", shop.server)
    for item in await listed(api, NOON):
        text = await SOURCE.fetch(api, Fetch("order", item.id, item.text), None)  # type: ignore[arg-type]
        assert text is not None
    calls = (await (await shop.get("/_sandbox/stats")).json())["calls"]
    assert "GET /rest/V1/orders/{id}" not in calls
    paid = [row for row in (await (await shop.get("/_sandbox/store/orders")).json())["items"] if row.get("total_paid")]
    assert 0 < len(paid) == calls["GET /rest/V1/invoices"] < 12


async def test_a_named_order_is_read_by_its_entity_id_and_one_that_is_gone_is_a_data_error(serve: Serve, connected: Connected) -> None:
    shop = await serve("magento")
    await shop.post("/_sandbox/shopper", json={"orders": 1})
    api = connected("magento", shop.server)
    text = await SOURCE.fetch(api, Fetch("order", 1001), None)  # type: ignore[arg-type]
    assert '"increment_id": "100001001"' in str(text)
    with pytest.raises(DataError, match="order 100001001 does not exist"):
        await SOURCE.fetch(api, Fetch("order", 100001001), None)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="is no id"):
        await SOURCE.fetch(api, Fetch("order", "malformed-77"), None)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["orders", "customers/search"])
@pytest.mark.parametrize(("text", "error"), [("<html>", RetryableError), ("[]", DataError), ('{"items": null, "total_count": 3}', DataError)])
async def test_an_answer_that_is_no_list_fails_the_read(connected: Connected, path: str, text: str, error: type[Exception]) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=text)

    app = web.Application()
    app.router.add_get("/rest/V1/{anything:.*}", answer)
    async with TestServer(app) as server:
        with pytest.raises(error):
            await listed(connected("magento", server), NOON, "order" if path == "orders" else "customer")


@pytest.mark.usefixtures("tokyo")
def test_a_time_is_sent_as_utc_without_a_zone() -> None:
    assert "2026-03-01 12:00:00" == naive(NOON)
