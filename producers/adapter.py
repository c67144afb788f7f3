"""The adapter: turns inbox records into canonical events; what a webhook only names is fetched and appended to the inbox first."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import importlib.util
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from producers.base import (
    ASKED,
    BACKFILLED,
    ENTITY,
    FETCHED,
    KIND,
    PART,
    POLLED,
    READING,
    RECEIVED_AT,
    WEBHOOK,
    WEBHOOK_ID,
    Fetch,
    Provenance,
    References,
    Source,
)
from producers.polled import Digests
from producers.references import LedgerReferences
from producers.unread import Unread
from producers.wire import text_of
from towpath.acked import AckedProducer
from towpath.blanking import blank
from towpath.clock import SystemClock
from towpath.config import Config
from towpath.delivery.books import Books
from towpath.delivery.budget import Priority
from towpath.delivery.database import open_engine
from towpath.delivery.deadletters import Failure, Registrar, Subject
from towpath.delivery.lane import State
from towpath.delivery.lanes import LaneLimits
from towpath.delivery.ledger import Ledger
from towpath.delivery.parking import Parking
from towpath.delivery.runner import LaneRunner, run_all
from towpath.errors import DataError
from towpath.events import AGGREGATES, business_key
from towpath.http import ApiClient
from towpath.metrics import DECODED, DROPPED, RECEIVED, REPLAYED, Counted, Metrics
from towpath.records import TRACEPARENT, Record
from towpath.registry.codec import ready_codec
from towpath.runtime.role import RoleContext
from towpath.systems.base import Clients

ARRIVALS: Final = {"ProductChanged": ("product", "sku")}
"""What dead letters may await: the event that tells of it, the entity's name, and the field that names one."""


class InboxHandler:
    """Handles the inbox of one connection."""

    def __init__(
        self,
        connection: str,
        *,
        source: Source,
        api: ApiClient,
        references: References,
        books: Books,
        producer: AckedProducer,
        metrics: Metrics,
        unread: Unread,
    ) -> None:
        self._connection, self._source, self._api, self._references = connection, source, api, references
        self._books, self._producer, self._metrics, self._unread = books, producer, metrics, unread
        self._parts = {poll.entity: poll.part for poll in source.polls if poll.part}
        self._fetched = Digests()

    async def handle(self, record: Record) -> None:
        """Fetch what a webhook names or a list told, or decode what was fetched; returns once Kafka has what came of it."""
        ended = await self._unread.ended(record)  # first: while the database is away, nothing is fetched again and again
        if record.header(KIND) == FETCHED:
            await self._decode(record)
        else:
            await self._fetch(record)
        if ended:
            await self._books.tell("resolved", self._subject(record), ended)
            await self._unread.forgive(record, ended)  # not before it was told: who dies in between must find them when it comes again

    async def give_up(self, record: Record, failure: Failure) -> None:
        """Store the record as a dead letter or parked, noted before that, so that a later reading closes it whatever crashes here."""
        draft = self._books.draft(record, failure, self._subject(record))
        await self._unread.blame(record, draft)
        await self._books.give_up(draft, failure)

    def state_of(self, record: Record) -> State | None:
        """Return what a webhook names where it is fetched: of those that wait only the newest is, for it fetches the entity as it then stands."""
        if record.header(KIND) != WEBHOOK or record.replay is not None:
            return None
        try:
            wanted = self._source.wanted(record.value or b"")
        except DataError:
            return None
        return None if wanted is None or isinstance(wanted, list) or wanted.payload else State(f"{wanted.entity}/{wanted.id}", (record.offset, 0))

    async def supersede(self, record: Record) -> None:
        """Count a webhook that a later one of the same entity made needless."""
        entity = (record.key or b"").decode("utf-8", "replace").partition("/")[0]
        self._metrics.add(DROPPED, event=entity, reason="superseded")

    async def _fetch(self, record: Record) -> None:
        wanted = self._wanted(record)
        if wanted is None:
            return
        if isinstance(wanted, list):
            await self._split(record, wanted)
            return
        if record.header(KIND) == POLLED and record.replay is None and self._is_as_fetched(wanted):
            self._metrics.add(DROPPED, event=wanted.entity, reason="duplicate")
            return
        api = self._api.at(Priority.BACKFILL) if record.header(KIND) == BACKFILLED else self._api
        text = await self._source.fetch(api, wanted, self._references)
        if text is None:
            self._count(record, "filtered", Counted(DROPPED, {"event": wanted.entity, "reason": "filtered"}))
            return
        kept = [(name, value) for name, value in record.headers if name in {RECEIVED_AT, TRACEPARENT, WEBHOOK_ID}]
        headers = [*kept, (KIND, FETCHED.encode()), (ENTITY, wanted.entity.encode()), *_read_as(record, wanted), *_onward(record)]
        key, body = f"{wanted.entity}/{wanted.id}".encode(), blank(text.encode(), self._source.blanked)
        await self._producer.send(f"inbox.{self._connection}", key, body, headers)
        self._note(wanted, body)
        self._count(record, "fetched", Counted(RECEIVED, {"connection": self._connection, "via": "fetch"}))

    def _is_as_fetched(self, wanted: Fetch) -> bool:
        """Tell whether a list says of an entity just what was fetched last, as of what webhooks told a minute ago."""
        known = self._fetched.get(f"{wanted.entity}/{wanted.id}")
        return known is not None and known == _content(wanted.payload)

    def _note(self, wanted: Fetch, body: bytes) -> None:
        """Note what was fetched, once it is in the inbox."""
        if (part := self._parts.get(wanted.entity)) and (content := _content(body, part)):
            self._fetched.note(f"{wanted.entity}/{wanted.id}", content)

    def _wanted(self, record: Record) -> Fetch | list[Fetch] | None:
        """Return what a record of the inbox names."""
        kind = record.header(KIND)
        if kind in {POLLED, BACKFILLED}:
            return _listed(record, text_of(record.value or b""))
        return _listed(record, "") if kind == ASKED else self._source.wanted(record.value or b"")

    async def _split(self, record: Record, several: list[Fetch]) -> None:
        """Append a webhook of its own to the inbox for each entity that one webhook names."""
        kept = [(name, value) for name, value in record.headers if name in {KIND, RECEIVED_AT, TRACEPARENT, WEBHOOK_ID}]
        for one in several:
            key = f"{one.entity}/{one.id}".encode()
            await self._producer.send(f"inbox.{self._connection}", key, one.payload.encode(), [*kept, *_onward(record)])

    def _count(self, record: Record, outcome: str, counted: Counted) -> None:
        if record.replay is None:
            self._metrics.add(counted.metric, 1, **counted.labels)
        else:
            self._metrics.add(REPLAYED, hop="adapter", outcome=outcome)

    async def _decode(self, record: Record) -> None:
        provenance = Provenance(self._connection, _received_at(record), record.origin, record.trace_id)
        for event in self._source.decode(record.header(ENTITY) or "", record.value or b"", provenance):
            value = self._books.codec.encode(event.type, event.value)
            traceparent = [pair for pair in record.headers if pair[0] == TRACEPARENT][-1:] if provenance.trace_id else []
            headers = [("ce_source", self._connection.encode()), ("ce_id", event.meta["event_id"].encode()), *traceparent, *_onward(record)]
            await self._producer.send(f"received.{AGGREGATES[event.type]}", event.record_key, value, headers)
            if arrives := ARRIVALS.get(event.type):
                await self._books.wake(f"{arrives[0]} {event.value[arrives[1]]}")
            self._count(record, "decoded", Counted(DECODED, {"connection": self._connection, "event": event.type}))

    def _subject(self, record: Record) -> Subject:
        entity, _, natural_id = (record.key or b"").decode("utf-8", "replace").partition("/")
        key = business_key(self._connection, entity, natural_id) if natural_id else ""
        return Subject(self._connection, key, trace_id=record.trace_id)


def _content(text: str | bytes, part: str = "") -> str | None:
    """Return a digest of what JSON says, or a part of it, whatever the order of its fields; None for what is no JSON."""
    try:
        content = orjson.loads(text)
        return hashlib.sha256(orjson.dumps(content[part] if part else content, option=orjson.OPT_SORT_KEYS)).hexdigest()
    except (ValueError, TypeError, KeyError):
        return None


def _onward(record: Record) -> list[tuple[str, bytes]]:
    return [] if record.replay is None else record.replay.onward


def _read_as(record: Record, wanted: Fetch) -> list[tuple[str, bytes]]:
    """Return the headers that say for which record an entity was read, and which part of it.

    What a webhook carries was not read then; nor was what waited in a backfill until nothing else was to be done.
    """
    kind, part = record.header(KIND), wanted.part or record.header(PART)
    is_read = kind == POLLED or not wanted.payload
    headers = [(READING, str(record.origin).encode())] if is_read else []
    return [*headers, (PART, part.encode("utf-8", "replace"))] if part else headers


def _listed(record: Record, text: str) -> Fetch:
    """Return the entity that the record's key names, `entity/id`, with what a list says of it."""
    entity, _, natural_id = (record.key or b"").decode("utf-8", "replace").partition("/")
    if not natural_id:
        raise DataError("the record's key names no entity and id", field="key", value=entity)
    return Fetch(entity, natural_id, text)


def _received_at(record: Record) -> datetime:
    try:
        return datetime.fromisoformat(record.header(RECEIVED_AT) or "").astimezone(UTC)
    except (ValueError, OverflowError):
        return record.written_at


def find_source(system: str) -> Source | None:
    """Return the source of the package `producers.<system>`, None where that system is none."""
    if importlib.util.find_spec(f"producers.{system}") is None:
        return None
    source: Source = importlib.import_module(f"producers.{system}").SOURCE
    return source


@dataclass(slots=True)
class AdapterRole:
    """Adapts every connection whose system can be read from."""

    config: Config
    name: str = "adapter"

    async def run(self, context: RoleContext) -> None:
        """Adapt until asked to stop."""
        clock, config, codec = SystemClock(), self.config, await ready_codec(self.config, context)
        ledger = await asyncio.to_thread(lambda: Ledger(open_engine(config.database_url(), reading=True), clock, self.name))
        notes = await asyncio.to_thread(lambda: Ledger(open_engine(config.database_url()), clock, self.name))
        parking = Parking(open_engine(config.database_url()), clock, timedelta(seconds=config.defaults.park_retry_seconds))
        producer = AckedProducer(config.kafka)
        runners, clients = [], Clients(context, clock)
        for name, connection in config.here.items():
            source = find_source(connection.system)
            if source is None:
                continue
            registrar = Registrar(codec, self.name, f"adapter.{name}", frozenset(config.connections))
            unread = Unread(name, notes)
            handler = InboxHandler(
                name,
                source=source,
                api=clients.connect(name),
                references=LedgerReferences(config, name, ledger),
                books=Books(name, registrar, parking, producer, clock, context.metrics),
                producer=producer,
                metrics=context.metrics,
                unread=unread,
            )
            limits = LaneLimits(connection.limits.in_flight, config.defaults.lane_retry_seconds)
            place = {"group": f"adapter.{name}", "topic": f"inbox.{name}", "connection": name}
            runners.append(LaneRunner(config.kafka, **place, handler=handler, clock=clock, limits=limits, metrics=context.metrics))
            runners[-1].on_assigned = unread.moved
        try:
            await run_all(runners, producer, context.stop, context.health)
        finally:
            await asyncio.gather(clients.close(), producer.close(2), ledger.close(), notes.close(), parking.close(), return_exceptions=True)


def build(config: Config) -> AdapterRole:
    """Return the role."""
    return AdapterRole(config)
