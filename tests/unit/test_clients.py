"""What the processes of a deployment share when they call one system: each is played by its own clients over one database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from producers.poller import PollerRole
from towpath.clock import SystemClock
from towpath.config import Config
from towpath.delivery.budget import Priority
from towpath.delivery.cursors import Cursors
from towpath.delivery.database import open_engine
from towpath.delivery.gate import OPENS_AFTER
from towpath.metrics import CIRCUIT_OPEN, Metrics
from towpath.runtime.health import Health
from towpath.runtime.role import RoleContext
from towpath.systems.base import Clients
from towpath.testing.producer import FakeProducer
from towpath.testing.waiting import until

LIMITS = {"requests_per_minute": 600, "burst": 50, "probe_seconds": 3}


def config_in(folder: Path) -> Config:
    erp = {"system": "bng", "url": "http://127.0.0.1:9", "credentials": {"api_key": "k"}, "limits": LIMITS}
    return Config.model_validate({"data_dir": folder, "connections": {"erp": erp}})


@pytest.fixture
def contexts(tmp_path: Path) -> Callable[[], RoleContext]:
    def another() -> RoleContext:
        return RoleContext(config_in(tmp_path), Metrics(), asyncio.Event(), Health())

    return another


def shown(context: RoleContext) -> float | None:
    return context.metrics.registry.get_sample_value(CIRCUIT_OPEN.name, {"connection": "erp"})


async def test_each_process_shows_the_circuit_as_any_of_them_found_it(contexts: Callable[[], RoleContext]) -> None:
    sink, adapter = contexts(), contexts()
    clients = [Clients(context, SystemClock()) for context in (sink, adapter)]
    calling, idle = (each.connect("erp") for each in clients)
    assert (10, 50, 3) == (calling.gate.terms.rate, calling.gate.terms.burst, calling.gate.terms.probe_seconds)
    for _ in range(OPENS_AFTER):
        calling.gate.failed()
    assert (1, 0) == (shown(sink), shown(adapter))

    async def both(value: float) -> bool:
        return shown(sink) == shown(adapter) == value

    await until(lambda: both(1), what="the adapter knows as well")
    idle.gate.answered()
    await until(lambda: both(0), what="the sink knows as well")
    for each in clients:
        await each.close()


async def test_what_a_closed_client_had_leased_is_there_for_the_others(contexts: Callable[[], RoleContext]) -> None:
    one, other = Clients(contexts(), SystemClock()), Clients(contexts(), SystemClock())
    client = one.connect("erp")
    await client.gate.enter()
    left = client.gate.terms.capacity - 1
    await one.close()
    told = await other.connect("erp").gate.exchange(waiting=100)
    assert int(left) <= told.tokens
    await other.close()


async def test_the_health_tells_of_a_database_that_is_away_and_the_role_stays_ready(contexts: Callable[[], RoleContext], tmp_path: Path) -> None:
    context = contexts()
    clients = Clients(context, SystemClock())
    (tmp_path / "towpath.db").mkdir()
    client = clients.connect("erp")
    await client.gate.enter()
    assert (True, True) == (context.health.is_ready, context.health.is_live)
    assert context.health.ready["budgets"].detail.startswith("spent as if no other process did: database: ")
    await clients.close()


async def test_the_poller_calls_with_the_priority_of_polling(contexts: Callable[[], RoleContext], monkeypatch: pytest.MonkeyPatch) -> None:
    context, clock, asked = contexts(), SystemClock(), list[Priority]()
    clients, cursors = Clients(context, clock), Cursors(open_engine(context.config.database_url()), clock)
    polled = PollerRole(context.config)._polled("erp", clients, FakeProducer(), cursors, clock, context.metrics)
    assert polled is not None
    gate = clients._clients[0].gate

    async def noting(priority: Priority) -> None:
        asked.append(priority)
        await type(gate).enter(gate, priority)

    monkeypatch.setattr(gate, "enter", noting)
    await polled.lists[0].attempt()
    assert {Priority.POLLING} == set(asked)
    await clients.close()
    await cursors.close()
