"""The native engine: a confluent-kafka loop in a thread of its own, watched from a role's event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from processors.engines.native_loop import Loop
from processors.engines.settings import EngineError, EngineSettings
from processors.engines.topics import check_topics, make_changelog
from processors.engines.watchdog import Watchdog
from processors.port import Processor
from towpath.metrics import LAG, Metrics

log = logging.getLogger(__name__)

TICK = 0.2


class NativeEngine:
    """One processor on the native loop; `run` once. `ready` is set while partitions are assigned and their state is restored."""

    def __init__(
        self, settings: EngineSettings, processor: Processor, metrics: Metrics | None = None, *, on_stall: Callable[[str], None] = lambda _: None
    ) -> None:
        self.settings = settings
        self.ready = asyncio.Event()
        self._processor = processor
        self._metrics = metrics or Metrics()
        self._on_stall = on_stall
        self._watchdog = Watchdog(settings.stall_after)
        self._loop: Loop | None = None
        self._reason: str | None = "not started"
        self._lagging: set[tuple[str, int]] = set()

    def healthy(self) -> str | None:
        """Return None while records flow, else why not; trouble with Kafka is a reason, but no cause to restart."""
        return self._reason or (self._loop.trouble if self._loop else None)

    async def run(self, stop: asyncio.Event) -> None:
        """Process until `stop` is set, then finish the batch in hand, commit and return within `stop_within` seconds.

        Raises ConfigError for topics that are not as declared, EngineError when it cannot go on: the processor raised, the state cannot be kept,
        or nothing moves any more. What was not finished is then read again by the next process.
        """
        changelog_id = await asyncio.to_thread(make_changelog, self.settings)
        self._loop = loop = Loop(self.settings, self._processor, self._metrics, changelog_id)
        ended = _in_thread(loop.run, f"engine-{self.settings.group}")
        stopping: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
        log.info("%s reads %s", self.settings.group, ", ".join(self.settings.topics))
        try:
            while not stopping.done():
                done, _ = await asyncio.wait({stopping, ended}, timeout=TICK, return_when=asyncio.FIRST_COMPLETED)
                if ended in done:
                    break
                await self._look(loop)
        finally:
            self._reason = "stopping"
            self.ready.clear()
            self._tell_lag({})
            stopping.cancel()
            loop.stop()
            await asyncio.wait({ended}, timeout=self.settings.stop_within)
            self._reason = "stopped"
        if not ended.done():
            log.warning("%s did not stop in time; what it did not commit is read again", self.settings.group)
        elif error := ended.exception():
            raise error if isinstance(error, EngineError) else EngineError(f"{type(error).__name__}: {error}") from error
        log.info("%s stopped", self.settings.group)

    async def _look(self, loop: Loop) -> None:
        flowing = loop.flowing
        (self.ready.set if flowing else self.ready.clear)()
        self._reason = None if flowing else "waiting for partitions and their state"
        self._tell_lag(loop.lag)
        if loop.trouble is not None:
            self._watchdog = Watchdog(self.settings.stall_after)
        elif stall := self._watchdog.look(loop.behind, idle=True, hanging=not flowing and not loop.restoring):
            await self._stalled(stall)

    async def _stalled(self, stall: str) -> None:
        """Raise EngineError, unless it is Kafka that does not answer."""
        try:
            await asyncio.to_thread(check_topics, self.settings, changelog_must_exist=True)
        except EngineError as error:
            log.warning("%s", error)
            self._reason = str(error)
            self._watchdog = Watchdog(self.settings.stall_after)
        else:
            self._on_stall(stall)
            raise EngineError(stall)

    def _tell_lag(self, lag: Mapping[tuple[str, int], int]) -> None:
        for topic, partition in self._lagging - lag.keys():
            self._metrics.forget(LAG, topic=topic, partition=str(partition))
        for (topic, partition), records in lag.items():
            self._metrics.set(LAG, records, topic=topic, partition=str(partition))
        self._lagging = set(lag)


def _in_thread(work: Callable[[], None], name: str) -> asyncio.Future[None]:
    """Return what tells the end of `work` in a thread that keeps no process alive."""
    asking = asyncio.get_running_loop()
    ended: asyncio.Future[None] = asking.create_future()

    def tell(error: BaseException | None) -> None:
        if not ended.done():
            ended.set_exception(error) if error is not None else ended.set_result(None)

    def run() -> None:
        error: BaseException | None = None
        try:
            work()
        except BaseException as raised:  # noqa: BLE001 (told to the loop)
            error = raised
        if not asking.is_closed():
            asking.call_soon_threadsafe(tell, error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return ended
