"""The Faust engine: runs one processor inside a role's event loop, until it is stopped or can no longer be trusted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, cast

from processors.engines.faust_app import App, forget_other_state, make_app, quiet_logs, source
from processors.engines.faust_batch import BatchAgent
from processors.engines.faust_guard import Consumer
from processors.engines.sender import Sender, producer_config
from processors.engines.settings import EngineError, EngineSettings
from processors.engines.topics import make_changelog
from processors.engines.watchdog import Watchdog
from processors.port import Processor
from towpath.metrics import LAG, Metrics

log = logging.getLogger(__name__)

TICK = 0.5


class FaustEngine:
    """One processor on Faust; `run` once. `ready` is set while partitions are assigned and their state is restored."""

    def __init__(
        self, settings: EngineSettings, processor: Processor, metrics: Metrics | None = None, *, on_stall: Callable[[str], None] = lambda _: None
    ) -> None:
        self.settings = settings
        self.ready = asyncio.Event()
        self._processor = processor
        self._metrics = metrics or Metrics()
        self._on_stall = on_stall
        self._watchdog = Watchdog(settings.stall_after)
        self._sender: Sender | None = None
        self._reason: str | None = "not started"
        self._lagging: set[tuple[str, int]] = set()

    def healthy(self) -> str | None:
        """Return None while records flow, else why not; trouble with sending is a reason, but no cause to restart."""
        return self._reason or (self._sender.trouble if self._sender else None)

    async def run(self, stop: asyncio.Event) -> None:
        """Process until `stop` is set, then finish the batch in hand, commit and return within `stop_within` seconds.

        Raises ConfigError for topics that are not as declared, EngineError when it cannot go on: the processor raised, Faust ended, or the
        commit no longer follows what is acknowledged. What was not finished is then read again by the next process.
        """
        quiet_logs()
        changelog_id = await asyncio.to_thread(make_changelog, self.settings)
        app, table = make_app(self.settings)
        await asyncio.to_thread(forget_other_state, app.conf.appdir, changelog_id)
        self._sender = sender = Sender(producer_config(self.settings))
        agent = BatchAgent(self._processor, table, sender, self._metrics, limit=self.settings.batch, longest_sleep=self.settings.session_timeout / 2)
        app.agent(source(app, self.settings), name="processor", concurrency=1)(agent)
        starting = asyncio.ensure_future(self._start(app, agent))
        stopping: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
        try:
            await self._watch(app, agent, starting, stopping)
        finally:
            self._reason = "stopping"
            self.ready.clear()
            stopping.cancel()
            await self._end(app, agent, starting)
            sender.close()
            self._reason = "stopped"
            log.info("%s stopped", self.settings.group)

    async def _start(self, app: App, agent: BatchAgent) -> None:
        try:
            await app.start()
        except Exception as exc:
            raise EngineError(f"starting {self.settings.group}: {type(exc).__name__}: {exc}") from exc
        agent.opened.set()

    async def _watch(self, app: App, agent: BatchAgent, starting: asyncio.Future[None], stopping: asyncio.Future[Any]) -> None:
        log.info("%s reads %s", self.settings.group, ", ".join(self.settings.topics))
        waiting: set[asyncio.Future[Any]] = {agent.failure, starting, stopping}
        while not stopping.done():
            done, _ = await asyncio.wait(waiting, timeout=TICK, return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                future.result()
            waiting -= {starting} & done
            agent.tick()
            if app.should_stop:
                raise EngineError(f"Faust ended by itself: {app.crash_reason!r}")
            self._look(app, agent, started=starting.done())

    def _look(self, app: App, agent: BatchAgent, *, started: bool) -> None:
        flowing = started and not app.rebalancing
        (self.ready.set if flowing else self.ready.clear)()
        self._reason = None if flowing else "waiting for partitions and their state"
        consumer = cast("Consumer", app.consumer) if flowing else None
        self._tell_lag(consumer.lag() if consumer else {})
        hanging = not flowing and not app.in_recovery  # at the start too: a worker of another engine in the group keeps this one out for ever
        if stall := self._watchdog.look(consumer.behind() if consumer else {}, idle=agent.idle.is_set(), hanging=hanging):
            self._on_stall(stall)
            raise EngineError(stall)

    def _tell_lag(self, lag: Mapping[tuple[str, int], int]) -> None:
        for topic, partition in self._lagging - lag.keys():
            self._metrics.forget(LAG, topic=topic, partition=str(partition))
        for (topic, partition), records in lag.items():
            self._metrics.set(LAG, records, topic=topic, partition=str(partition))
        self._lagging = set(lag)

    async def _end(self, app: App, agent: BatchAgent, starting: asyncio.Future[None]) -> None:
        consumer, part = cast("Consumer", app.consumer), self.settings.stop_within / 3
        await _within(part, agent.drain())
        if starting.done():
            await _within(part, consumer.commit())
        consumer.abandon()
        starting.cancel()
        if not await _within(part, app.stop()):
            log.warning("%s: Faust did not stop in time; what it did not commit is read again", self.settings.group)
        await asyncio.wait({starting}, timeout=1)
        if agent.failure.done():
            agent.failure.exception()


async def _within(seconds: float, work: Coroutine[Any, Any, object]) -> bool:
    """Return whether `work` ended in time; if not it goes on alone (`wait_for` waits for a cancellation, and Faust swallows those)."""
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    return bool(done)
