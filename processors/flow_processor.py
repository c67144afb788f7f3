"""The processor: deduplicates by key and version, applies the rules, maps, and routes to every flow that wants the event. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from processors.ahead import Ahead
from processors.clientele import Clientele
from processors.fulfilment import REQUESTED, Fulfilment, concerns, fulfilment_key
from processors.holdings import Holdings
from processors.orders import Order, as_change, fact_key, state_key
from processors.port import ReadState, Step
from processors.routing import Arrived, Route, Routed, Router, dropped, subject_of
from processors.stockroom import HOLDS, Stockroom
from towpath.clock import Clock
from towpath.codec import Codec, Head
from towpath.delivery.deadletters import RECEIPTS, Registrar, dated, failed_last, fails_at
from towpath.errors import DataError
from towpath.events import AGGREGATES, PARTS, Event, Version, is_newer
from towpath.failpoints import Failpoints
from towpath.metrics import REPLAYED, ROUTED, Counted
from towpath.records import EPOCH, Output, Record, Replay

TOPICS: Final = {kind: f"received.{aggregate}" for kind, aggregate in AGGREGATES.items()}


class Seen(NamedTuple):
    """What was last done with a fact: its version and digest, and the dead letters that are still open, as `dated` (none: it was routed)."""

    version: Version
    digest: str
    dead_letters: tuple[str, ...] = ()

    @classmethod
    def load(cls, data: bytes | None) -> Seen | None:
        """Return what `dump` wrote, None where nothing was."""
        if data is None:
            return None
        major, minor, digest, *dead_letters = orjson.loads(data)
        return cls({"major": major, "minor": minor}, digest, tuple(dead_letters))

    def dump(self) -> bytes:
        """Return it as bytes for the state."""
        return orjson.dumps([self.version["major"], self.version["minor"], self.digest, *self.dead_letters])

    @property
    def open(self) -> dict[str, datetime]:
        """Return the dead letters that are still open, each with when it failed last."""
        return dict(map(failed_last, self.dead_letters))

    def is_news(self, event: Event) -> bool:
        """Tell whether an event says more than what was done last."""
        return self.digest != event.meta["digest"] and is_newer(event.meta["version"], self.version)

    def drops(self, event: Event, replay: Replay | None) -> str | None:
        """Return why an event ends here, None where it is to be routed; a replay only makes way for newer content.

        What is newer and says the same again, as a shop does on every save, is none; so while its dead letter is open here, for then nothing
        else was routed, and where the target refused what was routed (it is mapped anew).
        """
        if replay is not None:
            same = replay.dead_letter_id != "" and self.digest == event.meta["digest"]
            waits = same or replay.dead_letter_id in self.open
            return "superseded" if is_newer(self.version, event.meta["version"]) and not waits else None
        if self.digest == event.meta["digest"]:
            return "duplicate"
        return None if self.is_news(event) else "superseded"


class FlowProcessor:
    """Turns records of `received.*` into the public stream, deliveries and dead letters; `holds` and `receipts` tell it what stock is free."""

    def __init__(self, routes: Sequence[Route], registrar: Registrar, clock: Clock) -> None:
        self._registrar = registrar
        self._codec: Codec = registrar.codec
        self._clock = clock
        self._failpoints = Failpoints.from_environment()
        self._router = Router(routes, registrar, clock)
        self._stockroom = Stockroom(self._router, self._codec, clock)
        self._clientele = Clientele(self._router, self._codec, clock)
        self._holdings = Holdings(self._router, self._codec)
        self._is_fulfilled = any(route.event == REQUESTED for route in routes)
        self._ahead = Ahead(self._router, self._codec, self._is_free)

    def prepare(self, records: Sequence[Record], reader: Callable[[int], ReadState]) -> None:
        """Work out what can be said of records that will be processed next, for all of them at once; it changes nothing but the time that takes."""
        self._ahead.prepare(records, reader)

    def process(self, record: Record, read: ReadState) -> Step:
        """Return what one record leads to: bad data is a dead letter among the outputs, never an exception."""
        replay = record.replay
        step = self._process(record, replay, read)
        return step if replay is None else replace(step, counts=[_apart(counted) for counted in step.counts])

    def _process(self, record: Record, replay: Replay | None, read: ReadState) -> Step:
        try:
            if record.topic == RECEIPTS:
                return self._told(record, read)
            if replay is not None and replay.group not in ("", self._registrar.group):
                return Step()
            if record.topic == HOLDS:
                return self._stockroom.held(record, read)
            return self._event(record, replay, read)
        except DataError as error:
            found = self._router.unreadable(record, error, _connection_of(record))
            return Step(found.outputs, counts=found.counts)

    def _event(self, record: Record, replay: Replay | None, read: ReadState) -> Step:
        """Return what an event leads to; most that comes again is told by its head alone."""
        ready = self._ahead.take(record)
        head = ready.head if ready is not None else self._codec.peek(record.value) if replay is None else None
        if head is None or head.name in PARTS:  # which fact it is stands further on
            event = self._decoded(record, head)
            return self._arrived(record, event, head, replay, Seen.load(read(fact_key(event))), read)
        _require_topic(record, head.name)
        seen = Seen.load(read(fact_key(Event(head.name, {"meta": head.meta}))))
        if seen is not None and _is_repeat(head, seen, read):
            return Step(counts=[dropped(head.name, "duplicate")])
        if ready is None or ready.event is None:
            return self._arrived(record, Event(*self._codec.decode(record.value, head)), head, None, seen, read)
        return self._arrived(record, ready.event, head, None, seen, read, ready.routed)

    def _decoded(self, record: Record, head: Head | None) -> Event:
        event = Event(*self._codec.decode(record.value, head))
        _require_topic(record, event.type)
        return event

    def _arrived(
        self,
        record: Record,
        event: Event,
        head: Head | None,
        replay: Replay | None,
        seen: Seen | None,
        read: ReadState,
        ready: Routed | None = None,
    ) -> Step:
        """Return what an event leads to; `ready` is that of the event alone, where nothing is known of it."""
        value, placed = record.value, event
        order = Order.load(read(state_key(event.meta["key"])))
        if event.type == "OrderPlaced" and order is not None and seen is not None:
            changed = Seen.load(read(fact_key(Event("OrderChanged", event.value))))
            if self._is_change(event, seen, order, replay, changed):
                event, seen, head = as_change(event), changed, None
                value = self._codec.encode(event.type, event.value)
        if replay is not None and not replay.dead_letter_id and (seen is None or seen.is_news(event)):
            record, replay = record.as_new, None  # whatever it was read again for
        if seen is not None and (why := self._why_dropped(event, seen, order, replay)) is not None:
            step = self._dropped(event, why, replay)
            if seen.digest != event.meta["digest"] or not is_newer(event.meta["version"], seen.version):
                return step
            return replace(step, writes={fact_key(event): seen._replace(version=event.meta["version"]).dump()})  # what lies between is old news
        known, writes = self._fulfilled(event, replay, read)
        arrived = Arrived(record, event, value, replay, known | (order.known if order is not None else {}), head=head)
        if ready is not None and event is placed and not arrived.known:
            routed, kept = ready, dict[bytes, bytes]()
        else:
            routed, kept = self._kept(arrived, read) or (self._route(arrived, placed, order), {})
        writes |= kept
        if replay is None:
            writes |= self._holdings.remembered(event, order, routed)
        if event.type == "OrderStatusChanged":
            writes |= self._holdings.put_back(event, order, routed, read)
        return self._settled(arrived, seen, routed, writes)

    def _why_dropped(self, event: Event, seen: Seen, order: Order | None, replay: Replay | None) -> str | None:
        """Return why an event ends here of whose fact something was done before, None where it is to be routed."""
        why = seen.drops(event, replay)
        if (why == "superseded" and self._failpoints.off("processor.version")) or (why == "duplicate" and self._is_later_count(event, seen)):
            why = None
        if why is None and event.type == "OrderPlaced" and replay is None and order is not None and not seen.dead_letters:
            return "duplicate"  # what is newer, and yet no change, says nothing new but how far the order has come
        return why

    def _is_free(self, event: Event) -> bool:
        return self._stands_alone(event) and not (self._is_fulfilled and concerns(event))

    def _stands_alone(self, event: Event) -> bool:
        """Tell whether an event leads to deliveries by itself, whatever is kept of others."""
        return event.type != "CustomerChanged" and (event.type != "StockChanged" or event.meta["connection"] not in self._holdings.stocked)

    def _kept(self, arrived: Arrived, read: ReadState) -> tuple[Routed, dict[bytes, bytes]] | None:
        """Return what leads to deliveries by what is kept of it from its other events, None where each event stands alone."""
        if self._stands_alone(arrived.event):
            return None
        return self._stockroom.counted(arrived, read) if arrived.event.type == "StockChanged" else self._clientele.told(arrived, read)

    def _fulfilled(self, event: Event, replay: Replay | None, read: ReadState) -> tuple[dict[str, Any], dict[bytes, bytes]]:
        """Return what mappings are told of what somebody else ships, and what is remembered of it: a replay was told before."""
        if not self._is_fulfilled or not concerns(event):
            return {}, {}
        key = fulfilment_key(event.meta["key"])
        fulfilment = Fulfilment.load(read(key))
        fulfilment = fulfilment.told(event) if replay is None else fulfilment
        return fulfilment.known(event), {key: fulfilment.dump()} if replay is None else {}

    def _route(self, arrived: Arrived, placed: Event, order: Order | None) -> Routed:
        """Return the deliveries of an event; a change of an order that is not known to stand yet may be what makes it possible at all."""
        routed = self._router.route(arrived)
        if arrived.event is placed or order is None or arrived.replay is not None or self._router.targets(placed) <= order.standing:
            return routed
        first = self._router.route(replace(arrived, event=placed, value=arrived.record.value))
        return Routed([*first.outputs, *routed.outputs], first.failed | routed.failed, [*first.counts, *routed.counts])

    def _is_change(self, event: Event, seen: Seen, order: Order, replay: Replay | None, changed: Seen | None) -> bool:
        """Tell whether an order that was routed before comes with other content, or what failed was such a change."""
        if replay is not None and replay.dead_letter_id:
            return any(route.name == replay.flow for route in self._router.wanting(event.meta["connection"], "OrderChanged"))
        same = changed is None and seen.digest == event.meta["digest"]  # spares most repeats the digest below
        if same or seen.dead_letters or not is_newer(event.meta["version"], seen.version):
            return False
        return (replay is not None and changed is not None) or not order.is_as(event)

    def _is_later_count(self, event: Event, seen: Seen) -> bool:
        """Tell whether the source says of its stock again what stood before: an order that came and went in between waits to hear of it."""
        later = event.meta["version"]["major"] > seen.version["major"]
        return later and event.type == "StockChanged" and event.meta["connection"] in self._holdings.stocked

    def _dropped(self, event: Event, why: str, replay: Replay | None) -> Step:
        counts = [dropped(event.type, why)]
        if replay is None or not replay.dead_letter_id:
            return Step(counts=counts)
        at = max(self._clock.now(), replay.last_at)
        return Step([self._registrar.receipt(why, subject_of(event), at, dead_letter_id=replay.dead_letter_id)], counts=counts)

    def _settled(self, arrived: Arrived, seen: Seen | None, routed: Routed, writes: dict[bytes, bytes]) -> Step:
        """Return the step with the event on its public stream, the dead letters closed that it resolves, and what is remembered of it."""
        event, replay = arrived.event, arrived.replay
        meta, outputs = event.meta, routed.outputs
        if replay is None and not routed.failed and (seen is None or not seen.dead_letters):  # as nearly every event
            outputs.append(Output(AGGREGATES[event.type], event.record_key, arrived.value, arrived.headers))
            writes[fact_key(event)] = Seen(meta["version"], meta["digest"]).dump()
            return Step(outputs, writes, routed.counts)
        before, now = seen.open if seen else {}, self._clock.now()
        if replay is None:
            outputs.append(Output(AGGREGATES[event.type], event.record_key, arrived.value, arrived.headers))
        elif replay.dead_letter_id and not (replay.failed_at and routed.asked):  # where it failed is where it will be told to be done
            before[replay.dead_letter_id] = max(replay.last_at, before.get(replay.dead_letter_id, replay.last_at))
        tried = {replay.dead_letter_id} & {*before} if replay is not None and (replay.flow or not replay.dead_letter_id) else {*before}
        closed = sorted(tried - routed.failed)
        outputs += [self._registrar.receipt("resolved", subject_of(event), max(now, before[letter]), dead_letter_id=letter) for letter in closed]
        failed = {letter: max(fails_at(arrived.record, now), before.get(letter, EPOCH)) for letter in routed.failed}
        left = tuple(sorted(dated(letter, at) for letter, at in {**before, **failed}.items() if letter not in closed))
        newest = seen.version if seen is not None and is_newer(seen.version, meta["version"]) else meta["version"]
        writes[fact_key(event)] = Seen(newest, meta["digest"], left).dump()
        return Step(outputs, writes, routed.counts)

    def _told(self, record: Record, read: ReadState) -> Step:
        """Return what a receipt leads to."""
        receipt = self._codec.decode_as("Receipt", record.value)
        if self._clientele.knows(receipt["flow"]):
            return Step(writes=self._clientele.written(receipt, read))
        return self._holdings.told(receipt, read)


def _apart(counted: Counted) -> Counted:
    """Return the count of what a replay led to, so that the books of what arrived stay as they are."""
    outcome = counted.labels.get("reason") or ("routed" if counted.metric is ROUTED else "dead")
    return Counted(REPLAYED, {"hop": "processor", "outcome": outcome})


def _require_topic(record: Record, kind: str) -> None:
    if record.topic != TOPICS.get(kind):
        raise DataError(f"{kind} is no event of {record.topic}", field="value", value=kind)


def _is_repeat(head: Head, seen: Seen, read: ReadState) -> bool:
    """Tell by the head alone whether this very content was done last, as of most that comes again; else all of the event is to be asked."""
    if seen.digest != head.meta["digest"] or is_newer(head.meta["version"], seen.version):
        return False
    return head.name != "OrderPlaced" or read(fact_key(Event("OrderChanged", {"meta": head.meta}))) is None  # a change may be taken back


def _connection_of(record: Record) -> str:
    source = record.header("ce_source")
    return source or (record.key or b"").decode("utf-8", "replace").partition("/")[0]
