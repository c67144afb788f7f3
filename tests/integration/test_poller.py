"""The poller as a process, over a real Kafka, killed where it hurts most."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import uuid
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
import yaml
from aiohttp import web
from sqlalchemy import URL

from producers.bng.polls import PAGE_SIZE
from towpath.clock import SystemClock
from towpath.delivery.cursors import Cursor, Cursors
from towpath.delivery.database import open_engine
from towpath.failpoints import VARIABLE
from towpath.kafka import KafkaSettings
from towpath.records import Record
from towpath.runtime.runfile import read_run_file
from towpath.testing.lists import BngLists, Query
from towpath.testing.reading import read_all
from towpath.testing.waiting import until
from towpath.topic_setup import ensure
from towpath.topics import TopicSpec

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KILLED = -signal.SIGKILL


class Poller:
    """One connection to BNG's lists, in a folder with its configuration and database, and the process that polls it."""

    def __init__(self, folder: Path, kafka: KafkaSettings, lists: BngLists) -> None:
        self.name, self.folder, self.kafka, self.lists = f"erp-{uuid.uuid4().hex[:8]}", folder, kafka, lists
        self.process: Process | None = None
        self.marker = folder / "died"

    def prepare(self) -> None:
        (self.folder / "key").write_text("k", encoding="utf-8")
        erp = {"system": "bng", "url": str(self.lists.server.make_url("/")), "credentials": {"api_key": "file:key"}, "poll_seconds": 0.2}
        content = {"kafka": {"bootstrap_servers": self.kafka.bootstrap_servers}, "health": {"poller": 0}, "connections": {self.name: erp}}
        (self.folder / "towpath.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        ensure(self.kafka, [TopicSpec(f"inbox.{self.name}", 4, "delete", 3_600_000)])

    async def start(self, *, dies_at_pass: int | None = None) -> None:
        self.marker.unlink(missing_ok=True)
        armed = {} if dies_at_pass is None else {VARIABLE: f"poller.before_cursor:{dies_at_pass}:{self.marker}"}
        command = [sys.executable, "-m", "towpath", "run", "poller", "--config", str(self.folder / "towpath.yaml")]
        self.process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **armed}, stderr=asyncio.subprocess.DEVNULL)

    async def end(self, *, kill: bool = False) -> int:
        """Return the exit code."""
        assert self.process is not None
        if self.process.returncode is None:
            (self.process.kill if kill else self.process.terminate)()
        return await asyncio.wait_for(self.process.wait(), 20)

    async def inbox(self) -> list[Record]:
        return await asyncio.to_thread(read_all, self.kafka, [f"inbox.{self.name}"])

    async def has(self, *keys: str) -> None:
        async def there() -> bool:
            return set(keys) <= {(record.key or b"").decode() for record in await self.inbox()}

        await until(there, what=f"the inbox has {len(keys)} keys")

    async def cursor(self) -> Cursor | None:
        cursors = Cursors(open_engine(URL.create("sqlite", database=str(self.folder / "data" / "towpath.db"))), SystemClock())
        try:
            return await cursors.find(self.name, "sales_order")
        finally:
            await cursors.close()

    async def get(self, path: str) -> str:
        found = read_run_file(self.folder / "data" / "run", "poller")
        assert found is not None
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{found.health_port}{path}") as response:
            return await response.text()


@pytest.fixture
async def lists() -> AsyncIterator[BngLists]:
    lists = BngLists(NOON)
    await lists.server.start_server()
    yield lists
    await lists.server.close()


@pytest.fixture
async def poller(tmp_path: Path, kafka_settings: KafkaSettings, lists: BngLists) -> AsyncIterator[Poller]:
    poller = Poller(tmp_path, kafka_settings, lists)
    poller.prepare()
    yield poller
    if poller.process is not None:
        await poller.end(kill=True)


def order(number: int, seconds: float, **more: object) -> dict[str, object]:
    return {"SalesOrderID": f"SO{number}", "UpdatedAt": (NOON + timedelta(seconds=seconds)).isoformat(), **more}


def keys(*numbers: int) -> list[str]:
    return [f"sales_order/SO{number}" for number in numbers]


async def died(poller: Poller) -> int:
    assert poller.process is not None
    return await asyncio.wait_for(poller.process.wait(), 60)


async def test_killed_between_kafkas_acknowledgement_and_the_cursor_it_writes_again_and_loses_nothing(poller: Poller, lists: BngLists) -> None:
    lists.rows["sales-orders"] = [order(1, 0), order(2, 1)]
    await poller.start(dies_at_pass=1)
    assert KILLED == await died(poller)
    assert sorted(keys(1, 2)) == sorted((record.key or b"").decode() for record in await poller.inbox())
    before = await poller.cursor()
    assert before is not None
    assert before.began == before.reached, "it has not moved"
    lists.now = NOON + timedelta(hours=1)
    lists.rows["sales-orders"].append(order(3, 3600))
    await poller.start()
    await poller.has(*keys(1, 2, 3))

    async def moved() -> bool:
        after = await poller.cursor()
        return after is not None and after.reached == NOON + timedelta(hours=1)

    await until(moved, what="the cursor has moved")
    assert 0 == await poller.end()


async def test_killed_at_random_while_records_come_and_change_and_pages_shift_it_leaves_no_gap(poller: Poller, lists: BngLists) -> None:
    dice, rows, changes = random.Random(23), lists.rows["sales-orders"], 0
    new: list[dict[str, object]] = []

    def change_some(_kind: str, _query: Query) -> web.Response | None:
        nonlocal changes
        for _ in range(3):
            changes += 1
            lists.now += timedelta(seconds=1)
            row = dice.choice(new)
            rows.remove(row)
            row |= {"UpdatedAt": lists.now.isoformat(), "Turn": changes}
            rows.append(row)
        return None

    await poller.start()
    await until(lambda: asked(lists, 4), what="it has begun")
    lists.answer = change_some
    for turn in range(6):
        await poller.end(kill=True)
        lists.now += timedelta(hours=1)
        new[:] = [order(1000 * turn + index, 0, UpdatedAt=(lists.now + timedelta(milliseconds=index)).isoformat(), Turn=0) for index in range(700)]
        rows += new
        lists.now += timedelta(hours=1)
        await poller.start(dies_at_pass=dice.choice([None, None, 1]))
        enough = len(lists.queries) + dice.randrange(1, 30)
        await until(lambda enough=enough: asked(lists, enough, poller), what="it has come to where it dies")  # type: ignore[misc]
    await poller.end(kill=True)
    lists.answer = lambda _kind, _query: None
    await poller.start()
    wanted = {str(row["SalesOrderID"]): row["Turn"] for row in rows}

    async def caught_up() -> bool:
        found = [json.loads(record.value or b"") for record in await poller.inbox()]
        return wanted == {row["SalesOrderID"]: row["Turn"] for row in sorted(found, key=lambda row: int(row["Turn"]))}

    await until(caught_up, what="the inbox has the latest of every record")
    assert changes > 50


async def asked(lists: BngLists, often: int, poller: Poller | None = None) -> bool:
    """Tell whether the lists were asked for so often, or the process died before."""
    dead = poller is not None and poller.process is not None and poller.process.returncode is not None
    return len(lists.queries) >= often or dead


async def test_a_page_that_fails_leaves_the_cursor_and_the_role_says_so_and_lives(poller: Poller, lists: BngLists) -> None:
    lists.rows["sales-orders"] = [order(index, index / 1000) for index in range(PAGE_SIZE + 5)]
    lists.answer = lambda _kind, query: web.Response(status=400) if query["updatedSince"].startswith("2026-03-01T12") else None
    await poller.start()

    async def told() -> bool:
        return len(await poller.inbox()) >= PAGE_SIZE and "sales_order: " in await poller.get("/readyz")

    await until(told, what="the first page is in the inbox, and the health says that the list cannot be read")
    cursor = await poller.cursor()
    assert cursor is not None
    assert cursor.began == cursor.reached
    health = json.loads(await poller.get("/readyz"))
    assert health["ok"]
    assert "400" in health["checks"][poller.name]["detail"]
    lists.answer = lambda _kind, _query: None
    await poller.has(*keys(*range(PAGE_SIZE + 5)))
    assert PAGE_SIZE + 5 == len(await poller.inbox()), "what was written before the failure is not written again"

    async def counted() -> bool:
        return f'towpath_received_total{{connection="{poller.name}",via="poll"}} {PAGE_SIZE + 5}.0' in await poller.get("/metrics")

    await until(counted, what="each record is counted once it is acknowledged")
    assert f'towpath_poll_age_seconds{{connection="{poller.name}",entity="shipment"}}' in await poller.get("/metrics")
