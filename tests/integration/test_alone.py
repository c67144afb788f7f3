"""Two hosts that deliver to one connection, each with a ledger of its own, over a real Kafka: who comes later is refused, and delivers nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sinks.role import SinkRole
from towpath.broker import Broker
from towpath.broker.ports import free_port
from towpath.chaos.proxy import Proxy
from towpath.clock import SystemClock
from towpath.config import Config
from towpath.delivery import alone
from towpath.delivery.alone import MARK, refuse_before, refuse_others
from towpath.delivery.lanes import LaneLimits
from towpath.delivery.runner import LaneRunner
from towpath.errors import ConfigError
from towpath.kafka import KafkaSettings
from towpath.metrics import Metrics
from towpath.records import Record
from towpath.runtime.guardian import SILENT_SECONDS
from towpath.runtime.health import Health
from towpath.runtime.role import RoleContext
from towpath.testing.records import ScriptedHandler
from towpath.testing.waiting import until
from towpath.topic_setup import ensure
from towpath.topics import TopicSpec

ASKS_WHO = Path(__file__).parent / "frames" / "asks_who.py"
OURS, THEIRS = f"{MARK}ours", f"{MARK}theirs"


async def nothing(_record: Record, _attempt: int) -> None:
    return None


def a_runner(kafka: KafkaSettings, group: str, topic: str, client_id: str = OURS) -> LaneRunner:
    place = {"group": group, "topic": topic, "connection": "erp"}
    runner = LaneRunner(kafka, **place, handler=ScriptedHandler(nothing), clock=SystemClock(), limits=LaneLimits(), metrics=Metrics())
    runner.client_id = client_id
    return runner


@asynccontextmanager
async def working(runner: LaneRunner) -> AsyncIterator[LaneRunner]:
    stop = asyncio.Event()
    running = asyncio.create_task(runner.run(stop))
    try:
        yield runner
    finally:
        stop.set()
        await asyncio.wait_for(running, 30)


@pytest.fixture
def topic(kafka_settings: KafkaSettings, topic_name: Callable[[str], str]) -> str:
    name = topic_name("records")
    ensure(kafka_settings, [TopicSpec(name, 2, "delete", 3_600_000)])
    return name


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alone, "AGAIN_SECONDS", 0.05)


async def soon(check: Awaitable[object]) -> None:
    await asyncio.wait_for(check, 30)


async def test_workers_of_one_ledger_are_let_be_and_another_ledger_is_refused(kafka_settings: KafkaSettings, topic: str) -> None:
    group, go_on = f"{topic}.group", asyncio.Event()
    async with AsyncExitStack() as stack:
        for _ in range(2):
            runner = await stack.enter_async_context(working(a_runner(kafka_settings, group, topic)))
            await soon(refuse_others(kafka_settings, [runner], OURS, go_on))
            await soon(refuse_before(kafka_settings, [group], OURS, go_on))
        other = await stack.enter_async_context(working(a_runner(kafka_settings, group, topic, THEIRS)))
        with pytest.raises(ConfigError, match=rf"database\.url: {group} has members with 2 ledgers .* PostgreSQL"):
            await soon(refuse_others(kafka_settings, [other], THEIRS, go_on))


async def test_a_sink_that_starts_beside_one_of_another_ledger_is_refused_before_it_gets_a_record(
    kafka_settings: KafkaSettings, topic_name: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alone, "GONE_SECONDS", 0.0)
    shop, erp = (topic_name(word).replace(".", "-") for word in ("shop", "erp"))
    connection = {"system": "bng", "url": "http://127.0.0.1:1", "credentials": {"api_key": "k"}}
    flow = {"source": shop, "target": erp, "event": "OrderPlaced", "mapping": "nopcommerce-bng/orders"}
    config = Config.model_validate(
        {"data_dir": tmp_path, "kafka": kafka_settings, "connections": {shop: connection, erp: connection}, "flows": {"orders": flow}}
    )
    ensure(kafka_settings, [TopicSpec(f"deliver.{erp}", 2, "delete", 3_600_000)])
    theirs, turns = a_runner(kafka_settings, f"sink.{erp}", f"deliver.{erp}", f"{MARK}postgresql"), list[object]()
    theirs.on_assigned = lambda: turns.append(theirs)
    async with working(theirs):
        await soon(refuse_others(kafka_settings, [theirs], theirs.client_id, asyncio.Event()))
        with pytest.raises(ConfigError, match=rf"database\.url: sink\.{erp} has members with 2 ledgers"):
            await soon(SinkRole(config).run(RoleContext(config, Metrics(), asyncio.Event(), Health())))
    assert [theirs] == turns, "nobody joined the group, not even for a moment"


async def test_one_that_died_and_is_counted_on_for_a_while_is_waited_for(kafka_settings: KafkaSettings, topic: str) -> None:
    group = f"{topic}.group"
    with capture_logs() as logs:
        async with working(a_runner(kafka_settings, group, topic, THEIRS)) as theirs:
            await soon(refuse_others(kafka_settings, [theirs], THEIRS, asyncio.Event()))
            asking = asyncio.create_task(refuse_before(kafka_settings, [group], OURS, asyncio.Event()))

            async def waits() -> bool:
                return bool(logs)

            await until(waits, what="it says that it waits")
        await soon(asking)
    assert ["waiting for as long as members that died are counted on"] == [log["event"] for log in logs]


async def test_a_kafka_that_does_not_tell_is_asked_again_until_it_does(
    kafka_settings: KafkaSettings, topic: str, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alone, "SECONDS", 0.05)
    group, nowhere = f"{topic}.group", KafkaSettings(bootstrap_servers=f"127.0.0.1:{unused_tcp_port}")
    ours, reasons = a_runner(nowhere, group, topic), list[str]()
    ours.assigned.set()
    await soon(refuse_before(nowhere, [group], OURS, asyncio.Event()))
    async with working(a_runner(kafka_settings, group, topic, THEIRS)) as theirs:
        await soon(theirs.assigned.wait())
        with capture_logs() as logs:
            asking = asyncio.create_task(refuse_others(nowhere, [ours], OURS, asyncio.Event()))

            async def told() -> bool:
                reasons.extend(str(log["groups"][group]) for log in logs)
                return bool(reasons)

            await until(told, what="it says that it does not know")
            monkeypatch.setattr(alone, "SECONDS", 5.0)
            async with Proxy(unused_tcp_port, int(kafka_settings.bootstrap_servers.rpartition(":")[2])):
                with pytest.raises(ConfigError, match=rf"database\.url: {group} has members"):
                    await soon(asking)


async def test_a_sink_that_stops_before_it_has_partitions_is_not_waited_for() -> None:
    nowhere, stop = KafkaSettings(bootstrap_servers="127.0.0.1:1"), asyncio.Event()
    stop.set()
    await soon(refuse_before(nowhere, ["g"], OURS, stop))
    await soon(refuse_others(nowhere, [a_runner(nowhere, "g", "t")], OURS, stop))


def test_kafka_that_tells_too_late_who_is_in_a_group_does_no_harm(tmp_path: Path) -> None:
    broker = Broker.start(tmp_path / "kafka", free_port(), die_with_parent=True)
    try:
        ran = subprocess.run(
            [sys.executable, str(ASKS_WHO), str(broker.port), str(broker.pid)], capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        os.kill(broker.pid, signal.SIGCONT)
        broker.kill()
    assert 0 == ran.returncode, ran.stderr
    assert alone.OUTLASTING_SECONDS > SILENT_SECONDS + alone.SECONDS, "longer than a process may stand still"
