"""What a system adds to be read from: how to fetch what a webhook names, and how to decode what was fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from towpath.events import Event, Meta, Version, business_key, digest, stable_id
from towpath.http import ApiClient

KIND: Final = "towpath-kind"
WEBHOOK: Final = "webhook"
FETCHED: Final = "fetched"
ENTITY: Final = "towpath-entity"
RECEIVED_AT: Final = "towpath-received-at"
TRACEPARENT: Final = "traceparent"
WEBHOOK_ID: Final = "webhook-id"


class Fetch(NamedTuple):
    """An entity to fetch: its name and its id at the source."""

    entity: str
    id: int


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a payload came from, as an event's meta needs it."""

    connection: str
    received_at: datetime
    inbox_offset: int
    trace_id: str

    def meta(self, entity: str, natural_id: object, occurred_at: datetime, version: Version) -> Meta:
        """Return the meta of an event; `seal` fills in its id and digest once the content stands."""
        return {
            "event_id": "",
            "connection": self.connection,
            "key": business_key(self.connection, entity, natural_id),
            "version": version,
            "digest": "",
            "occurred_at": occurred_at,
            "received_at": self.received_at,
            "trace_id": self.trace_id,
        }


def seal(event: Event) -> Event:
    """Return the event with its digest and id; of a source without sequence or change time, the id rests on the digest."""
    meta = event.meta
    meta["digest"] = digest(event.value)
    meta["event_id"] = stable_id(meta["key"], event.type, meta["digest"])
    return event


class Source(Protocol):
    """One system as a source."""

    blanked: Sequence[str]

    def wanted(self, body: bytes) -> Fetch | None:
        """Return what a webhook asks to fetch, None for one that no flow can use; raises DataError naming the field."""
        ...

    async def fetch(self, api: ApiClient, wanted: Fetch) -> str:
        """Return the entity with all that decoding it needs, as JSON text with the vendor's own bodies inside."""
        ...

    def decode(self, entity: str, payload: bytes, provenance: Provenance) -> list[Event]:
        """Return the canonical events of a fetched payload, without I/O; raises DataError naming the field."""
        ...
