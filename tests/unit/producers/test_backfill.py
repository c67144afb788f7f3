"""What a backfill writes, where it goes on, and whom it lets pass; over real HTTP and a real database, with a Kafka in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import BaseTestServer
from sqlalchemy import URL

from producers import backfill as module
from producers.backfill import Backfill, Progress, Span, asking, find_poll
from producers.base import BACKFILLED, KIND, Poll
from producers.bng import SOURCE
from producers.bng import polls as bng_polls
from producers.bng.polls import POLLS
from producers.polled import Inbox
from tests.unit.producers.conftest import CREDENTIALS
from towpath.config import Config, parse_config
from towpath.delivery.cursors import Cursors
from towpath.delivery.database import open_engine
from towpath.errors import ConfigError, RetryableError
from towpath.http import ApiClient
from towpath.metrics import Metrics
from towpath.testing.clock import VirtualClock
from towpath.testing.lists import BngLists
from towpath.testing.producer import FakeProducer

Connected = Callable[[str, BaseTestServer], ApiClient]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORDERS = POLLS[0]
HOUR = timedelta(hours=1)
SPAN = Span("sales_order", NOON, NOON + HOUR)


class Running:
    """One process of a backfill after another, over one database."""

    def __init__(self, api: ApiClient, database: Path, clock: VirtualClock) -> None:
        self._api, self._clock = api, clock
        self.cursors = Cursors(open_engine(URL.create("sqlite", database=str(database))), clock)
        self.producer = FakeProducer()
        self.behind = [0]
        self.told: list[Progress] = []

    async def run(self, span: Span = SPAN, poll: Poll = ORDERS) -> int:
        async def waiting() -> int:
            return self.behind.pop(0) if len(self.behind) > 1 else self.behind[0]

        inbox = Inbox("erp", SOURCE, self.producer, self._clock, Metrics())
        own: dict[str, Any] = {"cursors": self.cursors, "clock": self._clock, "waiting": waiting, "tell": self.told.append}
        return await self._clock.run(Backfill("erp", poll=poll, api=self._api, inbox=inbox, **own).run(span))

    @property
    def keys(self) -> list[str]:
        return [(record.key or b"").decode() for record in self.producer.sent]


@pytest.fixture
async def running(lists: BngLists, connected: Connected, tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Running]:
    async with AsyncExitStack() as stack:
        running = Running(connected("bng", lists.server), tmp_path / "towpath.db", clock)
        stack.push_async_callback(running.cursors.close)
        yield running


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bng_polls, "PAGE_SIZE", 4)
    monkeypatch.setattr(module, "AT_ONCE", 2)


def orders(*minutes: int) -> list[dict[str, Any]]:
    return [{"SalesOrderID": f"SO{number}", "UpdatedAt": (NOON + timedelta(minutes=minute)).isoformat()} for number, minute in enumerate(minutes)]


def keys(*numbers: int) -> list[str]:
    return [f"sales_order/SO{number}" for number in numbers]


async def test_what_changed_in_the_span_is_written_as_a_backfill(lists: BngLists, running: Running) -> None:
    lists.rows["sales-orders"] = orders(-5, 0, 10, 20, 30, 60, 70)
    assert 4 == await running.run()
    assert keys(1, 2, 3, 4) == running.keys
    assert {BACKFILLED} == {dict(record.headers)[KIND].decode() for record in running.producer.sent}
    assert [2, 4] == list(dict.fromkeys(progress.written for progress in running.told))
    assert NOON + timedelta(minutes=30) == running.told[-1].reached


async def test_one_that_ended_before_its_end_goes_on_there_and_one_that_is_done_begins_anew(lists: BngLists, running: Running) -> None:
    lists.rows["sales-orders"] = orders(0, 10, 20, 30, 40, 50)

    async def breaks(_topic: str) -> None:
        if len(running.producer.sent) == 4:
            raise RetryableError("Kafka is away")

    running.producer.before = breaks
    with pytest.raises(RetryableError):
        await running.run()
    running.producer.before = None
    assert 3 == await running.run(), "the last one before the end is written once more"
    assert keys(0, 1, 2, 3, 3, 4, 5) == running.keys
    assert 6 == await running.run()


async def test_another_span_has_a_cursor_of_its_own(lists: BngLists, running: Running) -> None:
    lists.rows["sales-orders"] = orders(0, 10, 20)
    later = Span("sales_order", NOON + timedelta(minutes=5), NOON + HOUR)
    assert SPAN.name != later.name
    assert (3, 2) == (await running.run(), await running.run(later))


async def test_it_waits_while_anybody_is_behind_and_tells_so(lists: BngLists, running: Running, clock: VirtualClock) -> None:
    lists.rows["sales-orders"] = orders(0, 10, 20)
    running.behind = [0, 500, 201, 200]
    began = clock.monotonic()
    assert 3 == await running.run()
    assert [Progress(2, NOON + timedelta(minutes=10), waits=True)] * 2 == [progress for progress in running.told if progress.waits]
    assert 2 * module.PAUSE_SECONDS == clock.monotonic() - began


UNORDERED = Poll("sales_order", ORDERS.items)


async def test_a_list_in_no_order_is_read_whole(lists: BngLists, running: Running) -> None:
    lists.rows["sales-orders"] = orders(0, 70, 20)
    assert 2 == await running.run(poll=UNORDERED)
    assert sorted(keys(0, 2)) == sorted(running.keys)
    assert 2 == await running.run(poll=UNORDERED), "one that is done begins anew"


@pytest.mark.parametrize("ended_by", [RetryableError("Kafka is away"), asyncio.CancelledError()])
async def test_of_a_list_in_no_order_nothing_is_written_again_but_what_changed(lists: BngLists, running: Running, ended_by: BaseException) -> None:
    lists.rows["sales-orders"] = orders(0, 10, 20, 30, 40, 50)

    async def breaks(_topic: str) -> None:
        if len(running.producer.sent) == 4:
            raise ended_by

    running.producer.before = breaks
    with pytest.raises(type(ended_by)):
        await running.run(poll=UNORDERED)
    running.producer.before = None
    lists.rows["sales-orders"][1]["Total"] = "7.00"
    assert 3 == await running.run(poll=UNORDERED)
    assert keys(0, 1, 2, 3, 1, 4, 5) == running.keys
    assert 6 == await running.run(poll=UNORDERED)


async def test_one_that_is_killed_has_noted_what_it_had_written_some_seconds_before(
    lists: BngLists, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists.rows["sales-orders"] = orders(0, 10, 20, 30)
    running.behind = [0, *[500] * 11, 0]
    monkeypatch.setattr(running.cursors, "forget", running.cursors.find)  # as if it died before it was done
    assert 4 == await running.run(poll=UNORDERED)
    cursor = await running.cursors.find("erp", SPAN.name)
    assert cursor is not None
    assert ["SO0", "SO1", "SO2", "SO3"] == sorted(cursor.unfinished)


async def test_open_ones_only_where_there_is_such_a_list(running: Running) -> None:
    with pytest.raises(ConfigError, match="no list of open sales_order"):
        await running.run(Span("sales_order", NOON, NOON + HOUR, only_open=True))


def config() -> Config:
    found = {}
    for name, system in {"erp": "bng", "shop": "magento", "other-shop": "nopcommerce"}.items():
        credentials = {one: "api" if one == "username" else "env:SECRET" for one in CREDENTIALS[system]}
        found[name] = {"system": system, "url": "http://127.0.0.1:1", "credentials": credentials}
    return parse_config({"connections": found, "flows": {}}, resolve=False)


def test_an_entity_is_asked_of_every_connection_that_lists_it() -> None:
    assert (["shop", "other-shop"], ["erp"]) == (asking(config(), "order"), asking(config(), "sales_order"))
    assert ["erp"] == asking(config(), "stock", "erp")


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda one: asking(one, "orders"), "no connection has a list of orders; known: creditmemo, customer, inventory, "),
        (lambda one: asking(one, "order", "erp2"), "--connection erp2: nothing is read from there"),
        (lambda one: find_poll(one, "erp2", "order"), "there is no connection erp2; known: erp, shop, other-shop"),
        (lambda one: find_poll(one, "erp", "order"), "erp has no list of order; known: sales_order, shipment, invoice, product, customer, "),
    ],
)
def test_what_is_not_there_is_named_with_what_is(ask: Callable[[Config], object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ask(config())
    assert str(caught.value).startswith(said)
