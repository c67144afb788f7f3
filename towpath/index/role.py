"""The indexer role: keeps the index up with the topics."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from towpath.config import Config
from towpath.errors import RetryableError
from towpath.events import micros
from towpath.index.indexer import Indexer
from towpath.index.queries import open_letters
from towpath.index.restoring import restore_parked
from towpath.index.store import FORGOTTEN_AT_ONCE, forget_before
from towpath.metrics import OLDEST_LETTER, OPEN_LETTERS, Metrics
from towpath.runtime.role import RoleContext
from towpath.startup import in_daemon

_log = structlog.get_logger(__name__)

PAUSE_SECONDS = 1.0
TELL_SECONDS = 10.0
"""How old the figures of the open dead letters may be that another process read in or closed."""
SWEEP_SECONDS = 6 * 3600.0
ANSWER_SECONDS = 5.0
"""How long Kafka may take to answer: less than a role has to end in."""


@dataclass(slots=True)
class IndexerRole:
    """Reads every topic into the index, and looks again after a pause."""

    config: Config
    name: str = "indexer"

    async def run(self, context: RoleContext) -> None:
        """Index until asked to stop; ready while the last look came to the end of the topics."""
        context.health.set_ready("index", ok=False, detail="reading the topics")
        told, looked_at, swept_at = "", -math.inf, -math.inf
        with Indexer(self.config, seconds=ANSWER_SECONDS) as indexer:
            while not context.stop.is_set():
                try:
                    added = await in_daemon(lambda: indexer.catch_up(context.stop.is_set))
                    if time.monotonic() - swept_at > SWEEP_SECONDS and await self._sweep(indexer) < FORGOTTEN_AT_ONCE:
                        swept_at = time.monotonic()
                    if added or time.monotonic() - looked_at > TELL_SECONDS:
                        await in_daemon(lambda: self._tell(indexer, context.metrics))
                        looked_at = time.monotonic()
                except RetryableError as error:
                    if str(error) != told:
                        _log.warning("the index does not get on", reason=str(error))
                    told = str(error)
                else:
                    told = ""
                context.health.set_ready("index", ok=not told, detail=told)
                with suppress(TimeoutError):
                    await asyncio.wait_for(context.stop.wait(), PAUSE_SECONDS)

    async def _sweep(self, indexer: Indexer) -> int:
        """Do what is due every few hours; return how many rows of the index were forgotten."""
        if restored := await restore_parked(self.config, indexer):
            _log.warning("what is parked had no rows any more and is tried again by the clock", records=restored)
        return await in_daemon(lambda: self._forget(indexer))

    def _forget(self, indexer: Indexer) -> int:
        before = datetime.now(UTC) - timedelta(days=self.config.retention.index_days)
        with indexer.transaction() as connection:
            return forget_before(connection, micros(before))

    def _tell(self, indexer: Indexer, metrics: Metrics) -> None:
        with indexer.transaction() as connection:
            found = open_letters(connection, self.config.connections)
        for name, states in found.items():
            for state, one in states.items():
                metrics.set(OPEN_LETTERS, one.records, connection=name, state=state)
                metrics.set(OLDEST_LETTER, one.since.timestamp() if one.since else 0, connection=name, state=state)


def build(config: Config) -> IndexerRole:
    """Return the role."""
    return IndexerRole(config)
