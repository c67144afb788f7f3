"""What a list held from one time to another, written to the connection's inbox behind live traffic; and single entities, read again when asked for.

Whatever is written goes the usual way: ids of events come from their content, so what was told before makes no effect once more.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from producers.adapter import find_source
from producers.base import ASKED, BACKFILLED, ENTITY, KIND, RECEIVED_AT, Item, Listing, Poll
from producers.polled import Digests, Inbox, Row
from towpath.acked import AckedProducer
from towpath.clock import Clock, SystemClock
from towpath.config import Config
from towpath.delivery.budget import Priority
from towpath.delivery.budgets import Budgets
from towpath.delivery.cursors import Cursors
from towpath.delivery.database import open_engine
from towpath.errors import ConfigError
from towpath.http import ApiClient, gather_all
from towpath.lag import behind, pipeline
from towpath.metrics import Metrics
from towpath.records import new_trace
from towpath.startup import in_daemon
from towpath.systems.base import connect
from towpath.topic_reader import TopicReader

AT_ONCE: Final = 100
"""Records on their way to Kafka, after which it is asked whether anybody is behind."""
MOST_WAITING: Final = 200
"""Records that all roles together may be behind by before a backfill goes on."""
PAUSE_SECONDS: Final = 1.0
NOTED_EVERY: Final = 10.0
"""Seconds after which it is noted once more what of a list without order is written: one note has all of it."""


@dataclass(frozen=True, slots=True)
class Span:
    """Which entities: those that changed from `start` on and before `end`; where `only_open`, of those only what is not finished yet."""

    entity: str
    start: datetime
    end: datetime
    only_open: bool = False

    @property
    def name(self) -> str:
        """Return what its cursor is called."""
        said = f"{self.entity} {self.start.isoformat()} {self.end.isoformat()} {self.only_open}"
        return f"backfill/{self.entity[:20]}/{hashlib.sha256(said.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class Progress:
    """How many were written, up to which change, and whether it waits for live traffic."""

    written: int
    reached: datetime
    waits: bool = False


class Backfill:
    """One list of one connection; `waiting` tells how many records the roles are behind by, `tell` hears how far it is."""

    def __init__(
        self,
        name: str,
        *,
        poll: Poll,
        api: ApiClient,
        inbox: Inbox,
        cursors: Cursors,
        clock: Clock,
        waiting: Callable[[], Awaitable[int]],
        tell: Callable[[Progress], object] = lambda _: None,
    ) -> None:
        self._name, self._poll, self._api, self._inbox, self._cursors = name, poll, api, inbox, cursors
        self._clock, self._waiting, self._tell = clock, waiting, tell
        self._noted_at = clock.monotonic()

    async def run(self, span: Span) -> int:
        """Return how many entities were written; where it ends before its end, the same span goes on from there.

        A list that does not come in the order of change is read from its beginning each time; what of it was written is not written again.
        """
        listing = self._poll.open if span.only_open else self._poll.items
        if listing is None:
            raise ConfigError(f"backfill: {self._name} has no list of open {span.entity}; leave --open out")
        cursor = await self._cursors.begin(self._name, span.name, span.start)
        known, written, reached = Digests(cursor.unfinished), 0, cursor.reached
        try:
            async with contextlib.aclosing(self._batches(listing, span, cursor.reached)) as batches:
                async for batch in batches:
                    await self._when_nobody_waits(written, reached)
                    rows = [row for row in map(Row.of, batch) if known.get(row.name) != row.digest]  # pages of a list overlap
                    await gather_all(*(self._inbox.write(span.entity, row, BACKFILLED) for row in rows))
                    for row in rows:
                        known.note(row.name, row.digest)
                    written, reached = written + len(rows), max(reached, *(item.changed_at for item in batch))
                    await self._note(span, known, reached)
                    self._tell(Progress(written, reached))
        except BaseException:  # it is ended, or breaks off
            await self._note(span, known, reached, is_last=True)
            raise
        await self._cursors.forget(self._name, span.name)
        return written

    async def _note(self, span: Span, known: Digests, reached: datetime, *, is_last: bool = False) -> None:
        """Note how far it is: up to which change, or where the list has no order now and then which of it are written."""
        if self._poll.ordered and not span.only_open:
            await self._cursors.move(self._name, span.name, reached)
        elif is_last or self._clock.monotonic() >= self._noted_at + NOTED_EVERY:
            await self._cursors.keep(self._name, span.name, known)
            self._noted_at = self._clock.monotonic()

    async def _when_nobody_waits(self, written: int, reached: datetime) -> None:
        while await self._waiting() > MOST_WAITING:
            self._tell(Progress(written, reached, waits=True))
            await self._clock.sleep(PAUSE_SECONDS)

    async def _batches(self, listing: Listing, span: Span, start: datetime) -> AsyncGenerator[list[Item], None]:
        batch: list[Item] = []
        async for item in listing(self._api, start):
            if item.changed_at >= span.end and self._poll.ordered and not span.only_open:
                break
            if item.changed_at < span.end:
                batch.append(item)
            if len(batch) == AT_ONCE:
                yield batch
                batch = []
        if batch:
            yield batch


def find_poll(config: Config, name: str, entity: str) -> Poll:
    """Return the list of an entity; raises ConfigError that says which there are."""
    if name not in config.connections:
        raise ConfigError(f"there is no connection {name}; known: {', '.join(config.connections)}")
    source = find_source(config.connections[name].system)
    polls = {poll.entity: poll for poll in (() if source is None else source.polls)}
    if entity not in polls:
        raise ConfigError(f"{name} has no list of {entity}; known: {', '.join(polls) or 'none'}")
    return polls[entity]


async def backfill(config: Config, name: str, span: Span, tell: Callable[[Progress], object]) -> int:
    """Return how many entities were written to the inbox of a connection; raises ConfigError, RetryableError or DataError."""
    poll, clock, metrics = find_poll(config, name, span.entity), SystemClock(), Metrics()
    budgets, cursors = Budgets(config.database_url(), clock), Cursors(open_engine(config.database_url()), clock)
    client, producer = connect(name, config.connections[name], clock, metrics, budgets), AckedProducer(config.kafka)
    source = find_source(config.connections[name].system)
    assert source is not None  # noqa: S101 - it has a poll

    def count() -> int:
        with contextlib.closing(TopicReader(config.kafka)) as reader:
            return sum(behind(reader, pipeline(config)).values())

    async def waiting() -> int:
        return await in_daemon(count)

    try:
        api, inbox = client.at(Priority.BACKFILL), Inbox(name, source, producer, clock, metrics)
        return await Backfill(name, poll=poll, api=api, inbox=inbox, cursors=cursors, clock=clock, waiting=waiting, tell=tell).run(span)
    finally:
        await asyncio.gather(client.close(), producer.close(10), return_exceptions=True)
        await asyncio.gather(cursors.close(), budgets.close(), return_exceptions=True)


def asking(config: Config, entity: str, name: str = "") -> list[str]:
    """Return the connections that an entity is read from; raises ConfigError where there is none, or no such connection."""
    if name:
        if name not in config.connections or find_source(config.connections[name].system) is None:
            raise ConfigError(f"--connection {name}: nothing is read from there; known: {', '.join(config.connections)}")
        return [name]
    found = {one: find_source(connection.system) for one, connection in config.connections.items()}
    asked = [one for one, source in found.items() if source is not None and entity in {poll.entity for poll in source.polls}]
    if not asked:
        known = sorted({poll.entity for source in found.values() if source is not None for poll in source.polls})
        raise ConfigError(f"no connection has a list of {entity}; known: {', '.join(known)}; name the --connection of anything else")
    return asked


async def resync(config: Config, name: str, entity: str, number: str) -> None:
    """Have an entity read again; returns once Kafka has the question."""
    clock, producer = SystemClock(), AckedProducer(config.kafka)
    asked_at = clock.now().isoformat()
    headers = [(KIND, ASKED.encode()), (ENTITY, entity.encode()), (RECEIVED_AT, asked_at.encode()), new_trace(name, entity, number, asked_at)]
    try:
        await producer.send(f"inbox.{name}", f"{entity}/{number}".encode(), b"", headers)
    finally:
        await producer.close(10)
