"""Each test runs Faust's own consumer and the guarded one over the same log: the first shows the defect, the second does not have it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from processors.engines import faust_guard

IN = TP("in", 0)
END = 10
PLAIN, GUARDED = driver.Transport, faust_guard.Transport


class Log:
    """What aiokafka's consumer does, over one partition with the offsets 0 to 9."""

    def __init__(self, *, position: int, committed: int | None) -> None:
        self.position = position
        self.kept = committed
        self.stopping = SimpleNamespace(_stopped=asyncio.Event(), should_stop=False)
        self._closed = False
        self._max_poll_records = 500
        self._fetcher = SimpleNamespace(_closed=False, _subscriptions=self, fetched_records=self.fetched_records)

    @contextmanager
    def fetch_context(self) -> Iterator[None]:
        yield

    async def fetched_records(self, _: object, **__: object) -> dict[Any, list[Any]]:
        offsets = range(self.position, END)
        self.position = END
        if not offsets:
            self.stopping._stopped.set()
            self.stopping.should_stop = True
        return {IN: [record(offset) for offset in offsets]} if offsets else {}

    async def committed(self, _: object) -> int | None:
        return self.kept

    async def beginning_offsets(self, partitions: list[Any]) -> dict[Any, int]:
        return dict.fromkeys(partitions, 0)

    def seek(self, _: object, offset: int) -> None:
        self.position = offset

    async def seek_to_committed(self) -> dict[Any, int | None]:
        if self.kept:  # aiokafka/consumer/consumer.py: no seek where nothing is committed
            self.position = self.kept
        return {IN: self.kept}

    def assignment(self) -> set[TP]:
        return {IN}

    def highwater(self, _: object) -> int:
        return END


def record(offset: int) -> SimpleNamespace:
    return SimpleNamespace(
        topic="in", partition=0, offset=offset, timestamp=1000, timestamp_type=0, headers=(), key=b"k", value=b"v",
        checksum=None, serialized_key_size=1, serialized_value_size=1,
    )  # fmt: skip


@asynccontextmanager
async def consuming(transport: type[Any], log: Log, callback: Callable[[Any], Awaitable[None]]) -> AsyncIterator[Any]:
    """Give a consumer that reads `log`; what it asks of its thread is done in place."""
    app = faust.App("guard", broker="kafka://nowhere", topic_disable_leader=True, web_enabled=False)
    app.finalize()

    async def nothing(*_: object) -> None: ...

    consumer = transport(app.conf.broker_consumer, app).create_consumer(
        callback=callback, on_partitions_revoked=nothing, on_partitions_assigned=nothing
    )

    async def call_thread(fun: Callable[..., Any], *args: object, **options: object) -> object:
        return await fun(*args, **options)

    app.consumer = consumer
    app.topics.acking_topics.add("in")
    app.flow_control.resume()
    consumer._thread._consumer, consumer._thread.call_thread = log, call_thread
    consumer._set_active_tps({IN})
    consumer._read_offset[IN] = consumer._committed_offset[IN] = log.kept
    try:
        yield consumer
    finally:
        consumer._thread.thread_loop.close()


def acknowledge(consumer: Any, messages: list[Any]) -> None:  # noqa: ANN401
    for message in messages:
        consumer.ack(message)


async def drain_with_a_seek_at(transport: type[Any], log: Log, offset: int) -> tuple[list[Any], Any]:
    """Return what is delivered for good, and the consumer, when a recovery rewinds while `offset` is on its way to the agent."""
    delivered: list[Any] = []
    sought = False

    async def callback(message: Any) -> None:  # noqa: ANN401
        nonlocal sought
        delivered.append(message)
        if message.offset == offset and not sought:
            sought = True
            await consumer.perform_seek()
            delivered.clear()  # `flow_control.resume()` empties the agents' queues
            consumer.resume_flow()

    async with consuming(transport, log, callback) as consumer:
        await asyncio.wait_for(consumer._drain_messages(log.stopping), 5)
        return delivered, consumer


def test_what_is_compared_is_the_release_that_is_installed_and_the_guard_over_it() -> None:
    assert ("0.15.3", True) == (version("faust-streaming"), issubclass(GUARDED, PLAIN))
    assert driver.Consumer is PLAIN.Consumer is not GUARDED.Consumer


@pytest.mark.parametrize(("transport", "expected"), [(PLAIN, [6, 7, 8, 9]), (GUARDED, [2, 3, 4, 5, 6, 7, 8, 9])])
async def test_a_rewind_amid_a_batch_delivers_everything_again(transport: type[Any], expected: list[int]) -> None:
    delivered, _ = await drain_with_a_seek_at(transport, Log(position=2, committed=2), 5)
    assert sorted({message.offset for message in delivered}) == expected


@pytest.mark.parametrize(("transport", "expected"), [(PLAIN, None), (GUARDED, 10)])
async def test_after_a_rewind_amid_a_batch_the_commit_reaches_the_end(transport: type[Any], expected: int | None) -> None:
    delivered, consumer = await drain_with_a_seek_at(transport, Log(position=2, committed=2), 5)
    acknowledge(consumer, delivered)
    assert consumer._new_offset(IN) == expected


@pytest.mark.parametrize(("transport", "expected"), [(PLAIN, 10), (GUARDED, None)])
async def test_with_nothing_committed_a_commit_does_not_pass_a_hole(transport: type[Any], expected: int | None) -> None:
    delivered, consumer = await drain_with_a_seek_at(transport, Log(position=0, committed=None), 3)
    acknowledge(consumer, [message for message in delivered if message.offset > 3])
    assert consumer._new_offset(IN) == expected


@pytest.mark.parametrize(("transport", "expected"), [(PLAIN, [4, 5, 6, 7, 8, 9]), (GUARDED, list(range(10)))])
async def test_with_nothing_committed_a_rewind_goes_to_the_beginning(transport: type[Any], expected: list[int]) -> None:
    delivered, _ = await drain_with_a_seek_at(transport, Log(position=0, committed=None), 3)
    assert [message.offset for message in delivered] == expected


@pytest.mark.parametrize(("transport", "expected"), [(PLAIN, 8), (GUARDED, None)])
async def test_a_commit_does_not_pass_a_message_that_is_still_in_flight(transport: type[Any], expected: int | None) -> None:
    """The first of three is with its agent still, as where a second one was faster: plain Faust commits past it, and a crash loses it."""
    delivered, consumer = await drain_with_a_seek_at(transport, Log(position=5, committed=5), -1)
    acknowledge(consumer, delivered[1:3])
    assert consumer._new_offset(IN) == expected


@pytest.mark.parametrize(("transport", "expected", "commit"), [(PLAIN, [6, 7, 8, 9], 7), (GUARDED, [2, 3, 4, 5, 6, 7, 8, 9], 10)])
async def test_a_batch_fetched_before_a_rewind_that_arrives_after_it_is_dropped(transport: type[Any], expected: list[int], commit: int) -> None:
    log = Log(position=6, committed=2)
    delivered: list[Any] = []

    async def callback(message: Any) -> None:  # noqa: ANN401
        delivered.append(message)

    async with consuming(transport, log, callback) as consumer:
        fetch = consumer._getmany

        async def late(*args: object, **options: object) -> object:
            records = await fetch(*args, **options)
            consumer._getmany = fetch
            await consumer.perform_seek()
            consumer.resume_flow()
            return records

        consumer._getmany = late
        await asyncio.wait_for(consumer._drain_messages(log.stopping), 5)
    acknowledge(consumer, delivered)
    assert sorted({message.offset for message in delivered}) == expected
    assert consumer._new_offset(IN) == commit  # plain Faust takes the lost 2 to 5 for a compacted gap, and commits past them


@pytest.mark.parametrize(("transport", "expected"), [(PLAIN, 8), (GUARDED, 5)])
async def test_a_refused_commit_is_not_noted_as_done(transport: type[Any], expected: int) -> None:
    async def callback(_: object) -> None: ...

    async with consuming(transport, Log(position=5, committed=5), callback) as consumer:

        async def refused(_: object) -> bool:
            return False

        consumer._commit = refused
        consumer.app.producer.flush = lambda: asyncio.sleep(0)
        await consumer._commit_offsets({IN: 8})
        assert consumer._committed_offset[IN] == expected


@pytest.mark.parametrize(("transport", "expected"), [(PLAIN, 7), (GUARDED, END)])
async def test_a_commit_has_what_was_acknowledged_while_another_was_under_way(transport: type[Any], expected: int) -> None:
    delivered: list[Any] = []

    async def callback(message: Any) -> None:  # noqa: ANN401
        delivered.append(message)

    async with consuming(transport, log := Log(position=5, committed=5), callback) as consumer:
        await asyncio.wait_for(consumer._drain_messages(log.stopping), 5)
        begun, answered = asyncio.Event(), asyncio.Event()

        async def slow(offsets: dict[TP, int]) -> bool:
            begun.set()
            await answered.wait()
            log.kept = offsets[IN]
            return True

        consumer._commit, consumer.app.producer.flush = slow, lambda: asyncio.sleep(0)
        acknowledge(consumer, delivered[:2])
        first = asyncio.create_task(consumer.commit())
        await begun.wait()
        acknowledge(consumer, delivered[2:])
        last = asyncio.create_task(consumer.commit())  # as at the end, when the last batch is done
        await asyncio.sleep(0)
        answered.set()
        await asyncio.gather(first, last)
        assert log.kept == expected


async def test_a_message_of_before_a_rewind_is_not_current() -> None:
    async def callback(message: Any) -> None:  # noqa: ANN401
        messages.append(message)

    messages: list[Any] = []
    log = Log(position=2, committed=2)
    async with consuming(GUARDED, log, callback) as consumer:
        await asyncio.wait_for(consumer._drain_messages(log.stopping), 5)
        before = [consumer.current(message) for message in messages]
        await consumer.perform_seek()
        assert (before, [consumer.current(message) for message in messages]) == ([True] * 8, [False] * 8)


async def test_nothing_is_delivered_between_a_rewind_and_the_resume() -> None:
    delivered: list[int] = []

    async def callback(message: Any) -> None:  # noqa: ANN401
        delivered.append(message.offset)

    log = Log(position=2, committed=2)
    async with consuming(GUARDED, log, callback) as consumer:
        await consumer.perform_seek()
        drain = asyncio.create_task(consumer._drain_messages(log.stopping))
        for _ in range(50):
            await asyncio.sleep(0)
        held = list(delivered)
        consumer.resume_flow()
        await asyncio.wait_for(drain, 5)
    assert (held, delivered) == ([], [2, 3, 4, 5, 6, 7, 8, 9])


async def test_behind_names_the_first_uncommitted_offset_until_the_commit_reaches_it() -> None:
    delivered, consumer = await drain_with_a_seek_at(GUARDED, Log(position=5, committed=5), -1)
    before = consumer.behind()
    acknowledge(consumer, delivered[:3])
    acknowledged = consumer.behind()
    consumer._finish(IN, 8)
    assert (before, acknowledged, consumer.behind()) == ({IN: (5, False)}, {IN: (5, True)}, {IN: (8, False)})


@pytest.mark.parametrize(("transport", "expected"), [(PLAIN, 1.0), (GUARDED, faust_guard.FULL)], ids=["faust", "guarded"])
async def test_while_the_queue_of_one_partition_is_full_the_others_are_not_waited_for(transport: type[Any], expected: float) -> None:
    asked: list[float] = []
    log = Log(position=END, committed=0)

    async def fetched_records(_: object, *, timeout: float, **__: object) -> dict[Any, list[Any]]:  # noqa: ASYNC109 - as aiokafka has it
        asked.append(timeout)
        return {}

    log._fetcher.fetched_records = fetched_records

    async def nothing(_: object) -> None: ...

    async with consuming(transport, log, nothing) as consumer:
        consumer._set_active_tps({IN, TP("in", 1)})
        consumer.on_buffer_full(IN)
        assert [] == [message async for message in consumer.getmany(timeout=1.0)]
        consumer.on_buffer_drop(IN)
        assert [] == [message async for message in consumer.getmany(timeout=1.0)]
    assert asked == [expected, 1.0]


@pytest.mark.parametrize(("transport", "expected"), [(PLAIN, 1500), (GUARDED, faust_guard.FETCH_MS)], ids=["faust", "guarded"])
async def test_a_fetch_of_empty_partitions_holds_up_the_others_for_a_moment(transport: type[Any], expected: int) -> None:
    async def nothing(_: object) -> None: ...

    async with consuming(transport, Log(position=0, committed=0), nothing) as consumer:
        made = consumer._thread._create_worker_consumer(consumer.transport)
        assert made._fetch_max_wait_ms == expected
        made._closed = True  # it was never opened
