"""The indexer role: keeps the index up with the topics."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

import structlog

from towpath.config import Config
from towpath.errors import RetryableError
from towpath.index.indexer import Indexer
from towpath.runtime import RoleContext
from towpath.startup import in_daemon

_log = structlog.get_logger(__name__)

PAUSE_SECONDS = 1.0
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
        told = ""
        with Indexer(self.config, seconds=ANSWER_SECONDS) as indexer:
            while not context.stop.is_set():
                try:
                    await in_daemon(lambda: indexer.catch_up(context.stop.is_set))
                except RetryableError as error:
                    if str(error) != told:
                        _log.warning("the index does not get on", reason=str(error))
                    told = str(error)
                else:
                    told = ""
                context.health.set_ready("index", ok=not told, detail=told)
                with suppress(TimeoutError):
                    await asyncio.wait_for(context.stop.wait(), PAUSE_SECONDS)


def build(config: Config) -> IndexerRole:
    """Return the role."""
    return IndexerRole(config)
