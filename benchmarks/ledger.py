"""(g) What the effect ledger costs each effect, on SQLite and on PostgreSQL, beside the same two statements sent by the driver alone."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import URL

from benchmarks.figures import Benchmark, Goal, Taken, quantile
from benchmarks.sizes import Sizes
from towpath.clock import SystemClock
from towpath.delivery.claims import State
from towpath.delivery.database import make_tables, open_engine
from towpath.delivery.ledger import Effect, Ledger, effects
from towpath.testing.postgres import postgres_server, why_no_postgres

TITLE = "Ledger: what it costs an effect, 32 at once"
METHOD = """Each effect is claimed and completed (`Ledger.begin`, `Ledger.complete`) by 32 tasks of one process, as many as a sink has calls in
flight; those that wait together are committed together. `wait_ms` is how long both took for the effect in the middle, `cpu_ms` the processor time of
this process for each (PostgreSQL's own apart). The control sends the same INSERT and UPDATE by sqlite3 and psycopg, 32 rows a commit, and nothing
else. SQLite runs in WAL with full durability; PostgreSQL on this machine, over a socket, with fsync. Checked: each effect is done once."""
SQLITE, POSTGRES = "ledger on SQLite", "ledger on PostgreSQL"
BARE_SQLITE, BARE_POSTGRES = "bare sqlite3", "bare psycopg"
AT_ONCE: Final = 32
LEASE, SETTLE = timedelta(seconds=20), timedelta(seconds=5)
COLUMNS = (
    "connection",
    "operation",
    "effect_key",
    "state",
    "owner",
    "external_id",
    "digest",
    "dead_letters",
    "leased_until",
    "settled_at",
    "updated_at",
)
DONE = "UPDATE effects SET state = 'done', external_id = {0}, updated_at = {0} WHERE connection = {0} AND operation = {0} AND effect_key = {0}"


def run(folder: Path, sizes: Sizes) -> Benchmark:
    """Return what was measured; without PostgreSQL on this machine only SQLite."""
    benchmark = Benchmark("ledger", TITLE, METHOD, goals=[_goal(SQLITE, BARE_SQLITE)])
    contestants = _contestants(SQLITE, BARE_SQLITE, URL.create("sqlite", database=str(folder / "towpath.db")), sizes)
    if (missing := why_no_postgres()) is not None:
        benchmark.facts["left out"] = missing
        benchmark.alternate(contestants, sizes.rounds)
        return benchmark
    benchmark.goals = [*benchmark.goals, _goal(POSTGRES, BARE_POSTGRES)]
    with postgres_server(durable=True) as postgres:
        benchmark.alternate({**contestants, **_contestants(POSTGRES, BARE_POSTGRES, postgres, sizes)}, sizes.rounds)
    return benchmark


def _goal(ours: str, bare: str) -> Goal:
    return Goal(f"effects/s of the {ours} beside {bare}", ours, bare, "effects_per_s")


def _contestants(ours: str, bare: str, url: URL, sizes: Sizes) -> dict[str, Callable[[], Taken]]:
    count = sizes.ledger_effects
    return {bare: lambda: _bare(url, count), ours: lambda: asyncio.run(_ours(url, count))}


async def _ours(url: URL, count: int) -> Taken:
    """Return the figures of one run of the ledger over an empty table."""
    _empty(url)
    ledger, numbers, waits = Ledger(open_engine(url), SystemClock(), "bench"), iter(range(count)), list[float]()

    async def lane() -> None:
        for number in numbers:
            effect, began = Effect("erp", "create_order", f"shop/order/{number}"), time.perf_counter()
            await ledger.begin(effect, digest="d" * 64, lease=LEASE, settle=SETTLE)
            await ledger.complete(effect, f"SO-{number}")
            waits.append(time.perf_counter() - began)

    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(lane() for _ in range(AT_ONCE)))
    took, cost = time.perf_counter() - began, time.process_time() - used
    await ledger.close()
    figures = {"effects_per_s": count / took, "wait_ms": 1000 * quantile(waits, 0.5), "cpu_ms": 1000 * cost / count}
    return Taken(figures, _undone(url, count))


def _bare(url: URL, count: int) -> Taken:
    """Return the figures of one run of the two statements alone."""
    _empty(url)
    began, used = time.perf_counter(), time.process_time()
    with closing(_connected(url)) as database:
        mark = "?" if url.get_backend_name() == "sqlite" else "%s"
        insert = f"INSERT INTO effects ({', '.join(COLUMNS)}) VALUES ({', '.join([mark] * len(COLUMNS))}) ON CONFLICT DO NOTHING"  # noqa: S608 - ours
        for group in _groups(count):
            rows = [("erp", "create_order", f"shop/order/{one}", "pending", "bench", "", "d" * 64, "", 1.0, 1.0, 1.0) for one in group]
            for statement, values in (
                (insert, rows),
                (DONE.format(mark), [(f"SO-{one}", 2.0, "erp", "create_order", f"shop/order/{one}") for one in group]),
            ):
                cursor = database.cursor()
                cursor.executemany(statement, values)
                database.commit()
    took, cost = time.perf_counter() - began, time.process_time() - used
    return Taken({"effects_per_s": count / took, "cpu_ms": 1000 * cost / count}, _undone(url, count))


def _groups(count: int) -> Iterator[range]:
    return (range(first, min(count, first + AT_ONCE)) for first in range(0, count, AT_ONCE))


def _connected(url: URL) -> Any:  # noqa: ANN401 - either driver's connection
    if url.get_backend_name() != "sqlite":
        return psycopg.connect(host=str(url.query["host"]), user=url.username, dbname=url.database)
    database = sqlite3.connect(str(url.database))
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        database.execute(f"PRAGMA {pragma}")
    return database


def _empty(url: URL) -> None:
    engine = open_engine(url)
    make_tables(engine)
    with engine.begin() as connection:
        connection.execute(sa.delete(effects))
    engine.dispose()


def _undone(url: URL, count: int) -> list[str]:
    engine = open_engine(url)
    with engine.begin() as connection:
        done = connection.execute(sa.select(sa.func.count()).select_from(effects).where(effects.c.state == State.DONE)).scalar_one()
    engine.dispose()
    return [] if done == count else [f"{done} effects are done, {count} were asked for"]
