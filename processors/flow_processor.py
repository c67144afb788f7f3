"""The processor: deduplicates by key and version, applies the rules, maps, and routes to every flow that wants the event. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from processors.mapping import Mapped, Model, Skipped
from processors.port import ReadState, Step
from processors.rules import check
from towpath.clock import Clock
from towpath.codec import Codec
from towpath.delivery.deadletters import DEAD, Failure, Registrar, Subject
from towpath.errors import DataError
from towpath.events import AGGREGATES, Event, Version, is_newer, stable_id
from towpath.metrics import DEAD_LETTERS, DROPPED, ROUTED, Counted
from towpath.records import Output, Record, Replay, is_trace_id


@dataclass(frozen=True, slots=True)
class Route:
    """One flow as the processor needs it."""

    name: str
    source: str
    target: str
    event: str
    model: Model
    reference_prefix: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was last done with a (type, key): its version and digest, and the dead letters that are still open (none: it was routed)."""

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


class FlowProcessor:
    """Turns records of `received.*` into the public stream, deliveries and dead letters."""

    def __init__(self, routes: Sequence[Route], registrar: Registrar, clock: Clock) -> None:
        self._routes = routes
        self._registrar = registrar
        self._codec: Codec = registrar.codec
        self._clock = clock

    def process(self, record: Record, read: ReadState) -> Step:
        """Return what one record leads to: bad data is a dead letter among the outputs, never an exception."""
        replay = record.replay
        if replay is not None and replay.group != self._registrar.group:
            return Step()
        try:
            event = self._event(record)
        except DataError as error:
            _, letter = self._dead_letter(record, error, Subject(connection=_connection_of(record)))
            return Step([letter], counts=[_dead(letter)])
        state_key = f"{event.type}|{event.meta['key']}".encode()
        seen = Seen.load(read(state_key))
        dropped = self._drop_reason(event, seen) if replay is None else self._replay_too_old(event, seen)
        if dropped is None:
            return self._routed(record, event, seen, state_key)
        counts = [_dropped(event, dropped)]
        if replay is None:
            return Step(counts=counts)
        return Step([self._registrar.receipt(dropped, _subject(event), self._clock.now(), dead_letter_id=replay.dead_letter_id)], counts=counts)

    def _event(self, record: Record) -> Event:
        event = Event(*self._codec.decode(record.value))
        if record.topic != f"received.{AGGREGATES.get(event.type)}":
            raise DataError(f"{event.type} is no event of {record.topic}", field="value", value=event.type)
        return event

    def _drop_reason(self, event: Event, seen: Seen | None) -> str | None:
        if seen is None:
            return None
        if seen.digest == event.meta["digest"]:
            return "duplicate"
        return None if is_newer(event.meta["version"], seen.version) else "superseded"

    def _replay_too_old(self, event: Event, seen: Seen | None) -> str | None:
        return "superseded" if seen is not None and is_newer(seen.version, event.meta["version"]) else None

    def _routed(self, record: Record, event: Event, seen: Seen | None, state_key: bytes) -> Step:
        outputs, failed, counts = self._deliveries(record, event)
        before, replay = set(seen.dead_letters if seen else ()), record.replay
        if replay is None:
            outputs.append(Output(AGGREGATES[event.type], event.meta["key"].encode(), record.value, cloud_event(event)))
        else:
            before.add(replay.dead_letter_id)
        tried = {replay.dead_letter_id} if replay is not None and replay.flow else before
        now = self._clock.now()
        outputs += [self._registrar.receipt("resolved", _subject(event), now, dead_letter_id=letter) for letter in sorted(tried - failed)]
        left = tuple(sorted(before - tried | failed))
        return Step(outputs, {state_key: Seen(event.meta["version"], event.meta["digest"], left).dump()}, counts)

    def _wanted(self, event: Event, replay: Replay | None) -> list[Route]:
        """Return the flows that want the event; of a replay only the one whose dead letter is played again, where one flow failed."""
        wanted = [route for route in self._routes if (route.source, route.event) == (event.meta["connection"], event.type)]
        if replay is None or not replay.flow:
            return wanted
        return [route for route in wanted if route.name == replay.flow]

    def _deliveries(self, record: Record, event: Event) -> tuple[list[Output], set[str], list[Counted]]:
        """Return a delivery for each flow that could be mapped, a dead letter for each that could not, the ids of the latter, and all counted."""
        outputs: list[Output] = []
        failed: set[str] = set()
        counts: list[Counted] = []
        wanted, replay = self._wanted(event, record.replay), record.replay
        if not wanted and replay is not None and replay.flow:
            gone = DataError(f"no flow {replay.flow} takes {event.type} of {event.meta['connection']} any more", field="flow", value=replay.flow)
            letter_id, letter = self._dead_letter(record, gone, replace(_subject(event), flow=replay.flow))
            return [letter], {letter_id}, [_dead(letter)]
        if not wanted:
            counts.append(_dropped(event, "unrouted"))
        for route in wanted:
            try:
                check(event)
                delivery = self._delivery(record, event, route)
                counts.append(_dropped(event, "filtered") if delivery is None else Counted(ROUTED, {"flow": route.name, "event": event.type}))
                outputs += [delivery] if delivery is not None else []
            except DataError as error:
                subject = replace(_subject(event), flow=route.name, mapping_version=route.model.version)
                letter_id, letter = self._dead_letter(record, error, subject)
                failed.add(letter_id)
                outputs.append(letter)
                counts.append(_dead(letter))
        return outputs, failed, counts

    def _delivery(self, record: Record, event: Event, route: Route) -> Output | None:
        """Return the delivery of one flow, None where its mapping says that the event asks nothing of the target."""
        flow = {"name": route.name, "reference_prefix": route.reference_prefix, "options": dict(route.options)}
        mapped = route.model.apply(event, flow)
        if isinstance(mapped, Skipped):
            return None
        meta = event.meta
        value = {
            "delivery_id": stable_id(meta["event_id"], route.name, mapped.operation),
            "flow": route.name,
            "source": route.source,
            "target": route.target,
            "operation": mapped.operation,
            "effect_key": mapped.effect_key,
            "version": meta["version"],
            "event_type": event.type,
            "event_id": meta["event_id"],
            "key": meta["key"],
            "trace_id": meta["trace_id"],
            "occurred_at": meta["occurred_at"],
            "received_at": meta["received_at"],
            "mapping": route.model.name,
            "mapping_version": route.model.version,
            **_documents(mapped),
            "event": record.value,
        }
        return Output(f"deliver.{route.target}", mapped.write_unit.encode(), self._codec.encode("Delivery", value), cloud_event(event))

    def _dead_letter(self, record: Record, error: DataError, subject: Subject) -> tuple[str, Output]:
        return self._registrar.dead_letter(record, Failure.of(error), subject, self._clock.now())


def cloud_event(event: Event) -> list[tuple[str, bytes]]:
    """Return the CloudEvents 1.0 binary headers of an event, and its W3C traceparent."""
    meta = event.meta
    headers = {
        "ce_specversion": "1.0",
        "ce_id": meta["event_id"],
        "ce_type": f"towpath.{event.type}",
        "ce_source": meta["connection"],
        "ce_subject": meta["key"],
        "ce_time": meta["occurred_at"].isoformat(),
    }
    if is_trace_id(meta["trace_id"]):
        headers["traceparent"] = f"00-{meta['trace_id']}-{meta['trace_id'][:15]}1-01"
    return [(name, text.encode()) for name, text in headers.items()]


def _documents(mapped: Mapped) -> dict[str, Any]:
    related = {key: orjson.dumps(document).decode() for key, document in mapped.related.items()}
    return {"document": orjson.dumps(mapped.document).decode(), "related": related}


def _dropped(event: Event, reason: str) -> Counted:
    return Counted(DROPPED, {"event": event.type, "reason": reason})


def _dead(letter: Output) -> Counted:
    return Counted(DEAD_LETTERS, {"connection": letter.topic.partition(".")[2], "state": DEAD, "error_class": "data"})


def _subject(event: Event) -> Subject:
    meta = event.meta
    return Subject(connection=meta["connection"], key=meta["key"], event_id=meta["event_id"], trace_id=meta["trace_id"])


def _connection_of(record: Record) -> str:
    source = record.header("ce_source")
    return source or (record.key or b"").decode("utf-8", "replace").partition("/")[0]
