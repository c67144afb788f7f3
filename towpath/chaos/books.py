"""The books of each hop: every record that it read ended in exactly one outcome. No I/O.

Only what the topics hold is believed. What a hop drops on purpose leaves no record, so it must be explained by one that stands there: a repeat by
what it repeats, an older version by the newer one that came before it. A replay is no record more, but what becomes of it counts: a sink
that drops a delivery which is replayed later is not seen here.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Container, Iterator
from typing import Any, Final

from towpath.chaos.evidence import Asked, Evidence, Fact, Kind, Place, Row, Stored
from towpath.demo.pairs import SHOP

ONE_SHOT: Final = frozenset({"OrderPlaced", "OrderCancelled", "ShipmentConfirmed", "InvoiceIssued", "PaymentReceived", "RefundIssued"})
ROUTED: Final = frozenset({"OrderPlaced", "ShipmentConfirmed"})
"""Of those that a flow wants, the events that no mapping passes over, whatever they say."""
NAMING: Final = frozenset({SHOP})
"""The connections whose webhooks name an entity and say nothing of it, so that of several the last one does for all."""


def out_of_balance(evidence: Evidence, lost: Container[Fact] = ()) -> Iterator[str]:
    """Yield the records of which no outcome is told, hop by hop; `lost` are the facts of which that was said already."""
    yield from unadapted(evidence)
    for fact in unprocessed(evidence):
        if fact not in lost:
            yield f"{fact.type} of {fact.key} at {fact.place} said something new, and was neither published nor is it a dead letter"
    yield from unrouted(evidence)
    yield from undelivered(evidence)


def unadapted(evidence: Evidence) -> Iterator[str]:
    """Yield what stands in an inbox and was neither fetched nor decoded, is no dead letter, and was not dropped for a reason that shows."""
    dead, inboxes = dead_places(evidence), defaultdict[str, list[Stored]](list)
    for one in evidence.inbox:
        inboxes[one.connection].append(one)
    for connection, stored in inboxes.items():
        shelf = _Shelf(stored, [fact for fact in evidence.received if fact.connection == connection], evidence.twins)
        for one in stored:
            if not one.replayed and one.place not in dead and not (shelf.is_decoded(one) if one.kind == Kind.FETCHED else shelf.is_carried_on(one)):
                what = "decoded" if one.kind == Kind.FETCHED else "fetched"
                yield f"{one.kind} {one.key} at {one.place} was neither {what} nor dropped for a reason, and is no dead letter"


class _Shelf:
    """The inbox of one connection, and the events that came of it."""

    def __init__(self, stored: list[Stored], received: list[Fact], twins: frozenset[str]) -> None:
        self._twins = twins
        self._told = {(fact.trace, fact.version[1]) for fact in received}
        self._by_trace, self._last = defaultdict[str, list[Stored]](list), dict[tuple[int, str], int]()
        self._fetched = defaultdict[str, list[Stored]](list)
        for one in stored:
            self._by_trace[one.trace].append(one)
            if one.kind == Kind.WEBHOOK:
                self._last[one.place[1], one.key] = max(one.place[2], self._last.get((one.place[1], one.key), -1))
            if one.kind == Kind.FETCHED:
                self._fetched[one.key].append(one)

    def is_decoded(self, one: Stored) -> bool:
        """Tell whether an event says that it was read from this record: by its place, or where the source counts, by the trace that began it."""
        return (one.trace, one.place[2]) in self._told or (one.trace, 0) in self._told

    def is_carried_on(self, one: Stored) -> bool:
        """Tell whether something was fetched of what is named here, or why not."""
        followers = (other for other in self._by_trace[one.trace] if one.trace and other.place[2] > one.place[2])
        if any(other.kind == Kind.FETCHED or other.key != one.key for other in followers):
            return True
        if one.key in self._twins:
            return True
        return self._is_as_fetched(one) if one.kind == Kind.POLLED else self._names_nothing(one) or self._is_made_needless(one)

    def _is_made_needless(self, one: Stored) -> bool:
        """Tell whether a later webhook names the same entity."""
        return one.kind == Kind.WEBHOOK and one.connection in NAMING and self._last[one.place[1], one.key] > one.place[2]

    def _names_nothing(self, one: Stored) -> bool:
        """Tell whether it is a webhook of a type that nothing is known of, as its key is its own id."""
        content = _json(one.content)
        return one.key == one.webhook_id and isinstance(content, dict) and isinstance(content.get("type"), str)

    def _is_as_fetched(self, one: Stored) -> bool:
        """Tell whether a list says of an entity what was fetched of it."""
        row = _json(one.content)
        return any(row in content.values() for other in self._fetched[one.key] if isinstance(content := _json(other.content), dict))


def unprocessed(evidence: Evidence) -> Iterator[Fact]:
    """Yield what the processor had to publish and did not: each event that said more than those before it, in the order of its partition."""
    dead, known = dead_places(evidence), dict[tuple[str, str], tuple[tuple[int, int], str]]()
    stands = {(*_what(fact), fact.version, fact.digest) for fact in evidence.public}
    digests = {(*_what(fact), fact.digest) for fact in evidence.public}
    again = {_what(fact) for fact in evidence.received if fact.replayed}
    for fact in evidence.received:
        what = _what(fact)
        version, digest = known.get(what, ((-1, -1), ""))
        if fact.replayed or fact.version <= version or (fact.type == "OrderPlaced" and what in known):
            continue  # replayed, superseded, or an order that is known: what changed of it is an OrderChanged, if anything did
        known[what] = fact.version, fact.digest
        is_public = (*what, fact.version, fact.digest) in stands or (what in again and (*what, fact.digest) in digests)
        if fact.digest != digest and not is_public and fact.place not in dead:
            yield fact


def unrouted(evidence: Evidence) -> Iterator[str]:
    """Yield the orders and shipments that are public, that a flow wants, and of which nothing was asked for."""
    dead = dead_places(evidence)
    given_up = {fact.event_id for fact in evidence.received if fact.place in dead}
    asked = {one.row["event_id"] for one in evidence.deliveries}
    for event_id, fact in {fact.event_id: fact for fact in evidence.public}.items():
        if fact.type in ROUTED and (fact.connection, fact.type) in evidence.flows and event_id not in asked | given_up:
            yield f"{fact.type} of {fact.key} is public, and no delivery of it was made"


def undelivered(evidence: Evidence) -> Iterator[str]:
    """Yield the effects that were asked for more often than anything tells what became of them."""
    dead = dead_places(evidence)
    asked = Counter(name_of(one) for one in evidence.deliveries if not one.replayed and one.place not in dead)
    told = Counter(told_of(one) for one in evidence.receipts if one["hop"] == "sink")
    for name, count in asked.items():
        if 0 < told[name] < count:
            yield f"{name[1]} {name[2]} was asked of {name[0]} {count} times, and {told[name]} receipts tell of it"


def name_of(asked: Asked) -> tuple[str, str, str, str]:
    """Return what a delivery and its receipt have in common, by the delivery."""
    row = asked.row
    return row["target"], row["operation"], row["effect_key"], row["event_id"]


def told_of(receipt: Row) -> tuple[str, str, str, str]:
    """Return what a delivery and its receipt have in common, by the receipt."""
    return receipt["connection"], receipt["operation"], receipt["effect_key"], receipt["event_id"]


def dead_places(evidence: Evidence) -> frozenset[Place]:
    """Return the places of which a dead letter or a parked record tells."""
    return frozenset((row["topic"], row["partition"], row["offset"]) for row, _ in evidence.letters)


def _what(fact: Fact) -> tuple[str, str]:
    return fact.type, fact.identity


def _json(content: bytes) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(content)
    except ValueError:
        return None
