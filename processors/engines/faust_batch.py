"""The agent of the Faust engine: takes what its queue holds, and acknowledges only what is sent and written.

An agent that raises, and `take_events` whose generator is closed, acknowledge what they had in hand (faust/streams.py: `finally` in
`_c_aiter` and `take_events`), and the next commit loses it. So this one does not iterate over its stream: it reads the queue of the
stream's channel, never raises, and acknowledges message by message at the very end.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, cast

from faust.types import TP

from processors.engines.faust_guard import Consumer, Message
from processors.engines.faust_state import StateTable
from processors.engines.plan import Plan
from processors.engines.sender import Send, Sender
from processors.engines.settings import EngineError
from processors.port import Output, Processor, Record
from towpath.errors import RetryableError
from towpath.failpoints import Failpoints
from towpath.metrics import Metrics

log = logging.getLogger(__name__)

PAUSE_EVERY = 50


class BatchAgent:
    """Runs batches until it is told to drain or cannot go on; then `failure` holds why, and the message stays unacknowledged."""

    def __init__(
        self, processor: Processor, table: StateTable, sender: Sender, metrics: Metrics, *, limit: int, longest_sleep: float = math.inf
    ) -> None:
        self._processor = processor
        self._metrics = metrics
        self._table = table
        self._sender = sender
        self._limit = limit
        self._failpoints = Failpoints.from_environment()
        self._longest_sleep = longest_sleep
        self._awake, self._slept = time.monotonic(), 0.0
        self._draining = False
        self.opened = asyncio.Event()
        self.idle = asyncio.Event()
        self.idle.set()
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __call__(self, stream: Any) -> None:  # noqa: ANN401 (Faust's stream)
        """Take batches off the queue of `stream` until told to drain; an agent that returns is not started again."""
        queue, consumer = stream.channel.queue, stream.app.consumer
        await self.opened.wait()
        while not self._draining:
            events = [await queue.get()]
            events += [queue.get_nowait() for _ in range(min(queue.qsize(), self._limit - 1))]
            messages = [event.message for event in events if consumer.current(event.message)]
            if not self._draining:
                await self._guarded(consumer, messages)

    def tick(self) -> None:
        """Tell that the process is awake; raises EngineError where it slept so long that its partitions may be another worker's."""
        now = time.monotonic()
        self._slept, self._awake = max(self._slept, now - self._awake), now
        if self._slept > self._longest_sleep:
            raise EngineError(f"the process was held up for {self._slept:.0f} s: its partitions may be another worker's, so it must not write state")

    async def drain(self) -> None:
        """Take nothing more, and return when the batch in hand is acknowledged."""
        self._draining = True
        await self.idle.wait()

    async def _guarded(self, consumer: Consumer, messages: Sequence[Message]) -> None:
        for message in messages:
            consumer.track_message(message)  # a rebalance waits for these (`wait_empty`)
        self.idle.clear()
        try:
            await self._run(consumer, messages)
        except Exception as exc:  # noqa: BLE001 (the last resort: end without acknowledging)
            self._draining = True
            if not self.failure.done():
                self.failure.set_exception(exc if isinstance(exc, EngineError) else EngineError(f"{type(exc).__name__}: {exc}"))
        finally:
            self.idle.set()

    async def _run(self, consumer: Consumer, messages: Sequence[Message]) -> None:
        plan = Plan(self._processor, lambda partition: partial(self._table.store.read, partition))
        done, broken = 0, None
        for message, record in zip(messages, plan.ahead([_record(message) for message in messages]), strict=True):
            try:
                await self._add(plan, record)
            except Exception as exc:
                log.exception("processing %s[%d] offset %d", message.topic, message.partition, message.offset)
                broken = EngineError(f"processing {message.topic}[{message.partition}] offset {message.offset}: {type(exc).__name__}: {exc}")
                broken.__cause__ = exc
                break
            done += 1
            if not done % PAUSE_EVERY:
                await asyncio.sleep(0)
        await self._finish(consumer, plan, messages[:done])
        if broken:
            raise broken

    async def _add(self, plan: Plan, record: Record) -> None:
        pause = 0.1
        while True:
            try:
                plan.add(record)
                return
            except RetryableError as exc:
                wait = exc.retry_after or pause
                log.warning("processing %s[%d] offset %d: %s; trying again in %.1f s", record.topic, record.partition, record.offset, exc, wait)
                await asyncio.sleep(wait)
                pause = min(pause * 2, 5.0)

    async def _finish(self, consumer: Consumer, plan: Plan, messages: Iterable[Message]) -> None:
        late = self._failpoints.off("processor.outputs_first")  # what `towpath chaos --controls` must find out
        if not late:
            await self._sender.send([Send(output) for output in plan.outputs])
            self._failpoints.hit("processor.after_outputs")
        self.tick()
        topic = self._table.changelog_topic_name
        rows = [(partition, key, value) for partition, writes in plan.writes.items() for key, value in writes.items()]
        offsets = await self._sender.send([Send(Output(topic, key, value), partition) for partition, key, value in rows])
        self._failpoints.hit("processor.after_changelog")
        for partition, writes in plan.writes.items():
            places = [offset for (p, _, _), offset in zip(rows, offsets, strict=True) if p == partition]
            if writes:
                self._table.store.write(TP(topic, partition), writes, places)
        self._failpoints.hit("processor.after_state")
        if late:
            await self._sender.send([Send(output) for output in plan.outputs])
        for message in messages:
            message.ack(consumer)
        plan.count(self._metrics)


def _record(message: Message) -> Record:
    headers = list(cast("Sequence[tuple[str, bytes]]", message.headers or ()))  # `event.headers` is a dict and drops repeated names
    return Record(message.topic, message.partition, message.offset, message.timestamp, message.key, message.value, headers)
