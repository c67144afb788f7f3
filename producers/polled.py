"""What the poller does with one list: it reads it from where it was read to, and writes what is new there to the connection's inbox.

What it promises: whatever changes at the source comes into the inbox, also where no webhook ever tells of it. A cursor moves only after
the list was read to its end and Kafka has acknowledged every record, and each read goes back behind it by an overlap. So nothing is lost
that was listed late, or under an earlier time than what was seen already, by less than the overlap.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from producers.base import ENTITY, KIND, PART, POLLED, RECEIVED_AT, Item, Listing, Poll, Source
from producers.receiver import LONGEST_KEY
from towpath.acked import AckedProducer
from towpath.blanking import blank
from towpath.clock import Clock
from towpath.config import Connection
from towpath.delivery.cursors import Cursor, Cursors
from towpath.errors import DataError, RetryableError
from towpath.failpoints import Failpoints
from towpath.http import ApiClient, gather_all
from towpath.metrics import RECEIVED, Metrics
from towpath.records import new_trace

log = structlog.get_logger(__name__)

AT_ONCE = 500  # records on their way to Kafka
MOST_KNOWN = 100_000  # rows of a list whose content is remembered
MOST_UNFINISHED = 50_000  # entities that are read again each time
CUT_OFF = 1_000  # bytes of an item that Kafka does not take whole


class Row(NamedTuple):
    """One row of a list as it is written: the entity's id, what tells it from the list's others, its JSON text, a digest of that, and its part."""

    id: str
    name: str
    text: str
    digest: str
    part: str = ""

    @classmethod
    def of(cls, item: Item) -> Row:
        """Return an item's row."""
        name = f"{item.id}/{item.part}" if item.part else str(item.id)
        return cls(str(item.id), name, item.text, hashlib.sha256(item.text.encode("utf-8", "replace")).hexdigest()[:16], item.part)


class Inbox:
    """Writes one connection's items to its inbox."""

    def __init__(self, connection: str, source: Source, producer: AckedProducer, clock: Clock, metrics: Metrics) -> None:
        self._connection, self._source = connection, source
        self._producer, self._clock, self._metrics = producer, clock, metrics

    async def write(self, entity: str, row: Row, kind: str = POLLED) -> None:
        """Return once Kafka has the row; one that is too large for it is cut off, which the adapter tells of."""
        headers = [
            (KIND, kind.encode()),
            (ENTITY, entity.encode()),
            (RECEIVED_AT, self._clock.now().isoformat().encode()),
            new_trace(self._connection, entity, row.name, row.digest),
            *([(PART, row.part.encode("utf-8", "replace"))] if row.part else []),
        ]
        topic, key = f"inbox.{self._connection}", f"{entity}/{row.id}"[:LONGEST_KEY].encode("utf-8", "replace")
        body = blank(row.text.encode("utf-8", "replace"), self._source.blanked)
        try:
            await self._producer.send(topic, key, body, headers)
        except DataError:
            await self._producer.send(topic, key, body[:CUT_OFF], headers)
        self._metrics.add(RECEIVED, connection=self._connection, via="poll")


class Digests(OrderedDict[str, str]):
    """The digest of each row, or of what else has a name, of the latest 100,000."""

    def note(self, name: str, digest: str) -> None:
        """Keep the digest, as the latest one."""
        self[name] = digest
        self.move_to_end(name)
        if len(self) > MOST_KNOWN:
            self.popitem(last=False)


class PolledList:
    """One list of one connection; `trouble` says why it could not be read the last time, empty where it could."""

    def __init__(self, name: str, connection: Connection, *, poll: Poll, api: ApiClient, inbox: Inbox, cursors: Cursors, clock: Clock) -> None:
        self.name, self.entity, self.trouble = name, poll.entity, ""
        self._poll, self._api, self._inbox, self._cursors, self._clock = poll, api, inbox, cursors, clock
        self._from, self._overlap = connection.poll_from, timedelta(seconds=connection.poll_overlap_seconds)
        self._written = Digests()
        self._complete_at = clock.monotonic()
        self._failpoints = Failpoints.from_environment()

    def age(self) -> float:
        """Return the seconds since the last complete read, or since the start where there was none."""
        return self._clock.monotonic() - self._complete_at

    async def attempt(self) -> None:
        """Read the list; where it cannot be read, that is told once, until it can be again."""
        try:
            await self.read()
        except (RetryableError, DataError) as error:
            if not self.trouble:
                log.warning("reading a list", connection=self.name, entity=self.entity, reason=str(error))
            self.trouble = str(error)
            return
        if self.trouble:
            log.info("a list can be read again", connection=self.name, entity=self.entity)
        self.trouble, self._complete_at = "", self._clock.monotonic()

    async def read(self) -> None:
        """Write what is new to the inbox, then move the cursor; raises RetryableError or DataError, and the cursor is where it was."""
        cursor = await self._cursors.find(self.name, self.entity) or await self._begin()
        self._written = Digests({**cursor.unfinished, **self._written})
        listed, reached = await self._take(self._poll.items(self._api, self._since(cursor)), cursor.reached)
        reached = min(reached, self._api.source_time or self._clock.now())  # a change dated in the future must not hide those until then
        self._failpoints.hit("poller.before_cursor")
        await self._cursors.move(self.name, self.entity, reached)
        unfinished = await self._unfinished(self._poll.unfinished, cursor) if self._poll.unfinished else {}
        self._written = Digests({**listed, **unfinished})

    async def _begin(self) -> Cursor:
        """Return the cursor of a list that was never read: now, less the overlap, by the clock that the source's answer shows."""
        if self._from != "now":
            return await self._cursors.begin(self.name, self.entity, self._from)
        now = self._clock.now()
        async for _ in self._poll.items(self._api, now):
            pass
        return await self._cursors.begin(self.name, self.entity, (self._api.source_time or now) - self._overlap)

    def _since(self, cursor: Cursor) -> datetime:
        """Return where to read from; a source whose clock was set back is read from its own new time."""
        reached = min(cursor.reached, self._api.source_time or cursor.reached)
        return max(cursor.began, reached - self._overlap)

    async def _unfinished(self, unfinished: Listing, cursor: Cursor) -> dict[str, str]:
        """Return the digest of each entity that may still change, by id; one that no longer may is written once more."""
        found, _ = await self._take(_bounded(unfinished(self._api, cursor.began)), cursor.began)
        gone = [Row(one, one, json.dumps({"id": one}), f"gone/{digest}") for one, digest in cursor.unfinished.items() if one not in found]
        await gather_all(*(self._inbox.write(self.entity, row) for row in gone))
        if found != cursor.unfinished:
            await self._cursors.keep(self.name, self.entity, found)
        return found

    async def _take(self, items: AsyncIterator[Item], reached: datetime) -> tuple[Digests, datetime]:
        """Write those items that are not as they were last written; return the digest of each that is listed, and the newest change or `reached`."""
        listed = Digests()
        async for batch in _batches(items):
            changed = []
            for item in batch:
                row, reached = Row.of(item), max(reached, item.changed_at)
                if listed.get(row.name, self._written.get(row.name)) != row.digest:
                    changed.append(row)
                listed.note(row.name, row.digest)
            await self._write(changed)
        return listed, reached

    async def _write(self, changed: Sequence[Row]) -> None:
        await gather_all(*(self._inbox.write(self.entity, row) for row in changed))
        for row in changed:
            self._written.note(row.name, row.digest)


async def _batches(items: AsyncIterator[Item]) -> AsyncIterator[list[Item]]:
    """Yield the items many at a time; those that came before an error come before it here, too."""
    batch: list[Item] = []
    try:
        async for item in items:
            batch.append(item)
            if len(batch) == AT_ONCE:
                yield batch
                batch = []
    except (RetryableError, DataError):
        yield batch
        raise
    yield batch


async def _bounded(items: AsyncIterator[Item]) -> AsyncIterator[Item]:
    count = 0
    async for item in items:
        count += 1
        if count > MOST_UNFINISHED:
            raise DataError(f"more than {MOST_UNFINISHED} are unfinished: too many to read again and again", field="items")
        yield item
