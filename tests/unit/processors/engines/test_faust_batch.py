from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from processors.engines.faust_batch import BatchAgent
from processors.engines.sender import Send
from processors.engines.settings import EngineError
from processors.port import Output, ReadState, Record, Step
from towpath.errors import RetryableError
from towpath.metrics import ROUTED, Counted, Metrics

ROUTED_ONE = Counted(ROUTED, {"flow": "orders", "event": "OrderPlaced"})


class World:
    """The queue, consumer, sender and store of an agent; `events` tells what happened, in order."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.state: dict[bytes, bytes] = {}
        self.refuse: Exception | None = None
        self.held: asyncio.Event | None = None
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.stream = SimpleNamespace(channel=self, app=SimpleNamespace(consumer=self))
        self.store = self
        self.changelog_topic_name = "log"
        self.metrics = Metrics()

    def put(self, *values: bytes) -> None:
        for offset, value in enumerate(values):
            self.queue.put_nowait(SimpleNamespace(message=FakeMessage(self, offset, value)))

    def current(self, message: FakeMessage) -> bool:
        return message.value != b"stale"

    def track_message(self, message: object) -> None: ...

    async def send(self, sends: Sequence[Send]) -> list[int]:
        if self.held:
            await self.held.wait()
        if self.refuse and sends:
            raise self.refuse
        self.events += [(send.output.topic, send.output.value) for send in sends]
        return list(range(len(sends)))

    def read(self, _: int, key: bytes) -> bytes | None:
        return self.state.get(key)

    def write(self, _: object, writes: dict[bytes, bytes], __: object) -> None:
        self.state |= writes
        self.events.append(("state", dict(writes)))

    def counted(self) -> float:
        return self.metrics.registry.get_sample_value("towpath_routed_total", dict(ROUTED_ONE.labels)) or 0

    def acked(self) -> list[int]:
        return [what for name, what in self.events if name == "ack"]


class FakeMessage:
    topic, partition, timestamp, key, headers = "in", 0, 1.0, b"k", ()

    def __init__(self, world: World, offset: int, value: bytes) -> None:
        self.world, self.offset, self.value = world, offset, value
        self.tp = ("in", 0)

    def ack(self, _: object) -> None:
        self.world.events.append(("ack", self.offset))


class Chain:
    """Sends the value with the one before it, which it keeps as the state; `poison` raises, `later` is refused once."""

    refused = False

    def process(self, record: Record, read: ReadState) -> Step:
        if record.value == b"poison":
            raise ZeroDivisionError
        if record.value == b"later" and not self.refused:
            self.refused = True
            raise RetryableError("registry away", retry_after=0.001)
        value = record.value or b""
        return Step([Output("out", record.key, (read(b"last") or b"") + value)], {b"last": value}, [ROUTED_ONE])


@pytest.fixture
def world() -> World:
    return World()


async def run(world: World, until: int | None = None) -> BatchAgent:
    """Run an agent until `until` events happened or it failed, then take it away as Faust does."""
    agent = BatchAgent(Chain(), world, world, world.metrics, limit=100)  # type: ignore[arg-type]
    agent.opened.set()
    task = asyncio.create_task(agent(world.stream))
    async with asyncio.timeout(5):
        while not agent.failure.done() and (until is None or len(world.events) < until):  # noqa: ASYNC110
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return agent


async def test_outputs_then_changelog_then_state_then_acknowledgements(world: World) -> None:
    world.put(b"a", b"b")
    await run(world, until=6)
    assert world.events == [("out", b"a"), ("out", b"ab"), ("log", b"b"), ("state", {b"last": b"b"}), ("ack", 0), ("ack", 1)]


async def test_a_processor_that_raises_leaves_its_record_unacknowledged_and_finishes_those_before(world: World) -> None:
    world.put(b"a", b"poison", b"b")
    agent = await run(world)
    assert world.acked() == [0]
    with pytest.raises(EngineError, match=r"in\[0\] offset 1: ZeroDivisionError"):
        agent.failure.result()


async def test_refused_outputs_leave_state_and_records_as_they_were(world: World) -> None:
    world.put(b"a")
    world.refuse = EngineError("too large")
    agent = await run(world)
    assert (world.events, world.state, world.counted()) == ([], {}, 0)
    with pytest.raises(EngineError, match="too large"):
        agent.failure.result()


async def test_an_agent_that_is_cancelled_amid_a_batch_acknowledges_nothing(world: World) -> None:
    world.held = asyncio.Event()
    world.put(b"a", b"b")
    agent = BatchAgent(Chain(), world, world, world.metrics, limit=100)  # type: ignore[arg-type]
    agent.opened.set()
    task = asyncio.create_task(agent(world.stream))
    async with asyncio.timeout(5):
        while agent.idle.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (world.events, agent.failure.done()) == ([], False)


async def test_a_passing_failure_tries_the_same_record_again(world: World) -> None:
    world.put(b"a", b"later", b"b")
    await run(world, until=8)
    assert [what for name, what in world.events if name == "out"] == [b"a", b"alater", b"laterb"]
    assert world.counted() == 3


async def test_a_record_of_before_a_rewind_is_neither_processed_nor_acknowledged(world: World) -> None:
    world.put(b"stale", b"a")
    await run(world, until=4)
    assert world.events == [("out", b"a"), ("log", b"a"), ("state", {b"last": b"a"}), ("ack", 1)]


async def test_a_drained_agent_takes_nothing_more(world: World) -> None:
    agent = BatchAgent(Chain(), world, world, world.metrics, limit=100)  # type: ignore[arg-type]
    agent.opened.set()
    task = asyncio.create_task(agent(world.stream))
    await asyncio.sleep(0)
    await agent.drain()
    world.put(b"a")
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert world.events == []


async def test_a_process_that_slept_long_writes_no_state_for_what_it_had_in_hand(world: World) -> None:
    agent = BatchAgent(Chain(), world, world, world.metrics, limit=100, longest_sleep=0.05)  # type: ignore[arg-type]
    agent.opened.set()
    world.held = asyncio.Event()
    world.put(b"a")
    task = asyncio.create_task(agent(world.stream))
    async with asyncio.timeout(5):
        while agent.idle.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0)
        time.sleep(0.1)  # noqa: ASYNC251 (the whole process sleeps)
        with pytest.raises(EngineError, match="must not write state"):
            agent.tick()
        world.held.set()
        with pytest.raises(EngineError, match="must not write state"):
            await agent.failure
    await task
    assert (world.events, world.acked(), world.state) == ([("out", b"a")], [], {})
