"""From an event to the deliveries of the flows that want it, and a dead letter for each flow that cannot map it. No I/O."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from processors.deliveries import Deliveries
from processors.mapping import Mapped, Model, Skipped
from processors.rules import check
from towpath.clock import Clock
from towpath.codec import Head
from towpath.delivery.deadletters import DEAD, Failure, Registrar, Subject
from towpath.errors import DataError
from towpath.events import Event, Version
from towpath.metrics import DEAD_LETTERS, DROPPED, ROUTED, Counted
from towpath.records import TRACEPARENT, Output, Record, Replay, is_trace_id

VERSION = ("ce_specversion", b"1.0")


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

    @property
    def told(self) -> dict[str, Any]:
        """Return what mappings are told of the flow."""
        return {"name": self.name, "reference_prefix": self.reference_prefix, "options": dict(self.options)}


@dataclass(slots=True)
class Routed:
    """What routing one event led to: outputs, the ids of dead letters among them, what is counted, and the operations that targets were asked for."""

    outputs: list[Output] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)
    counts: list[Counted] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Arrived:
    """An event with the record it came in, and whether that is a replay.

    `value` is the event as encoded, `known` what mappings get besides, `version` its deliveries'.
    """

    record: Record
    event: Event
    value: bytes | None
    replay: Replay | None
    known: Mapping[str, Any] = field(default_factory=dict)
    version: Version | None = None
    finish: Callable[[Route, Mapped], Mapped] | None = None
    """What is made of a mapped document before it is delivered."""
    head: Head | None = None
    """The event's own head, where it was read and the event is as it came."""

    _headers: list[tuple[str, bytes]] | None = field(default=None, init=False)

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """Return the CloudEvents headers of all that is sent of the event."""
        if self._headers is None:
            self._headers = cloud_event(self.event)
        return self._headers


class Router:
    """Routes events of one deployment."""

    def __init__(self, routes: Sequence[Route], registrar: Registrar, clock: Clock) -> None:
        self.routes = routes
        self._flows = {route.name: route.told for route in routes}
        self._wanting: dict[tuple[str, str], list[Route]] = {}
        for route in routes:
            self._wanting.setdefault((route.source, route.event), []).append(route)
        self._registrar, self._deliveries, self._clock = registrar, Deliveries(registrar.codec), clock

    def wanting(self, source: str, kind: str) -> list[Route]:
        """Return the flows that take this type of event from this connection."""
        return self._wanting.get((source, kind), [])

    def targets(self, event: Event) -> frozenset[str]:
        """Return the connections that the orders of the event's shop go to."""
        return frozenset(route.target for route in self.wanting(event.meta["connection"], "OrderPlaced"))

    def route(self, arrived: Arrived) -> Routed:
        """Return a delivery for each flow that wants the event; of a replay only for the flow that failed, where one did."""
        event, replay = arrived.event, arrived.replay
        wanted = self.wanting(event.meta["connection"], event.type)
        if replay is not None and replay.flow:
            wanted = [route for route in wanted if route.name == replay.flow]
            if not wanted:
                return self._lost_flow(arrived, replay)
        found = self._begun(arrived, wanted)
        for route in wanted:
            self.take(arrived, route, found)
        return found

    def _begun(self, arrived: Arrived, wanted: Sequence[Route]) -> Routed:
        """Return what an event leads to before any flow is asked."""
        return Routed() if wanted else Routed(counts=[dropped(arrived.event.type, "unrouted")])

    def ahead(self, arrived: Sequence[Arrived]) -> list[Routed | None]:
        """Return what `route` returns of each new event, one kind of work for all before the next; None where `route` has to tell what is wrong."""
        wanted = [self.wanting(one.event.meta["connection"], one.event.type) for one in arrived]
        found = [self._begun(one, routes) if _is_sound(one.event) else None for one, routes in zip(arrived, wanted, strict=True)]
        pairs = [(number, one, route) for number, one in enumerate(arrived) if found[number] is not None for route in wanted[number]]
        answers = [self._tried(one, route) for _, one, route in pairs]
        for (number, one, route), mapped in zip(pairs, answers, strict=True):
            routed = found[number]
            if routed is not None and (mapped is None or not self._is_added(one, route, mapped, routed)):
                found[number] = None
        return found

    def unreadable(self, record: Record, error: DataError, connection: str) -> Routed:
        """Return the dead letter of a record that is no event."""
        found = Routed()
        self._fail(record, error, Subject(connection=connection), found)
        return found

    def take(self, arrived: Arrived, route: Route, found: Routed) -> None:
        """Add the delivery of one flow, or the dead letter of what it cannot map."""
        try:
            check(arrived.event)
            self._add(arrived, route, self._mapped(arrived, route), found)
        except DataError as error:
            self.refuse(arrived, route, error, found)

    def refuse(self, arrived: Arrived, route: Route, error: DataError, found: Routed) -> None:
        """Add the dead letter of what one flow cannot take."""
        self._fail(arrived.record, error, replace(subject_of(arrived.event), flow=route.name, mapping_version=route.model.version), found)

    def _lost_flow(self, arrived: Arrived, replay: Replay) -> Routed:
        event, found = arrived.event, Routed()
        reason = f"no flow {replay.flow} takes {event.type} of {event.meta['connection']} any more"
        self._fail(arrived.record, DataError(reason, field="flow", value=replay.flow), replace(subject_of(event), flow=replay.flow), found)
        return found

    def _fail(self, record: Record, error: DataError, subject: Subject, found: Routed) -> None:
        letter_id, letter = self._registrar.dead_letter(record, Failure.of(error), subject, self._clock.now())
        found.failed.add(letter_id)
        found.outputs.append(letter)
        labels = {"connection": letter.topic.partition(".")[2], "state": DEAD, "error_class": "data"}
        found.counts.append(Counted(DEAD_LETTERS, labels))

    def _mapped(self, arrived: Arrived, route: Route) -> Mapped | Skipped:
        """Return what one flow makes of an event, or that its mapping asks nothing of the target."""
        mapped = route.model.apply(arrived.event, self._flows[route.name], arrived.known, decoded=True)
        return mapped if arrived.finish is None or isinstance(mapped, Skipped) else arrived.finish(route, mapped)

    def _add(self, arrived: Arrived, route: Route, mapped: Mapped | Skipped, found: Routed) -> None:
        """Add the delivery of what one flow made of an event."""
        if isinstance(mapped, Skipped):
            found.counts.append(dropped(arrived.event.type, "filtered"))
            return
        headers = arrived.headers if arrived.replay is None else [*arrived.headers, *arrived.replay.onward]
        value = self._deliveries.encode(arrived, route, mapped)
        found.outputs.append(Output(f"deliver.{route.target}", mapped.write_unit.encode(), value, headers))
        found.asked.add(mapped.operation)
        found.counts.append(_routed(route.name, arrived.event.type))

    def _tried(self, arrived: Arrived, route: Route) -> Mapped | Skipped | None:
        try:
            return self._mapped(arrived, route)
        except DataError:
            return None

    def _is_added(self, arrived: Arrived, route: Route, mapped: Mapped | Skipped, found: Routed) -> bool:
        try:
            self._add(arrived, route, mapped, found)
        except DataError:
            return False
        return True


def _is_sound(event: Event) -> bool:
    try:
        check(event)
    except DataError:
        return False
    return True


def cloud_event(event: Event) -> list[tuple[str, bytes]]:
    """Return the CloudEvents 1.0 binary headers of an event, and its W3C traceparent."""
    meta = event.meta
    headers = [
        VERSION,
        ("ce_id", meta["event_id"].encode()),
        _typed(event.type),
        ("ce_source", meta["connection"].encode()),
        ("ce_subject", meta["key"].encode()),
        ("ce_time", meta["occurred_at"].isoformat().encode()),
    ]
    trace = meta["trace_id"]
    if is_trace_id(trace):
        headers.append((TRACEPARENT, f"00-{trace}-{trace[:15]}1-01".encode()))
    return headers


@functools.cache
def _typed(kind: str) -> tuple[str, bytes]:
    return "ce_type", f"towpath.{kind}".encode()


def subject_of(event: Event) -> Subject:
    """Return what a dead letter or receipt of this event is about."""
    meta = event.meta
    return Subject(connection=meta["connection"], key=meta["key"], event_id=meta["event_id"], trace_id=meta["trace_id"])


@functools.cache
def dropped(kind: str, reason: str) -> Counted:
    """Return the count of an event of this type that ends here on purpose."""
    return Counted(DROPPED, {"event": kind, "reason": reason})


@functools.cache
def _routed(flow: str, kind: str) -> Counted:
    return Counted(ROUTED, {"flow": flow, "event": kind})
