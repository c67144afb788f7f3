"""What a system adds to be read from: how to fetch what a webhook names, and how to decode what was fetched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from towpath.events import Event, Meta, Version, business_key
from towpath.http import ApiClient

KIND: Final = "towpath-kind"
WEBHOOK: Final = "webhook"
POLLED: Final = "polled"
BACKFILLED: Final = "backfilled"
ASKED: Final = "asked"
"""What an operator wants read again: the record's key names it, and its value says nothing."""
FETCHED: Final = "fetched"
ENTITY: Final = "towpath-entity"
PART: Final = "towpath-part"
"""Which part of an entity a record tells of, where it does not tell of all, such as its stock in one warehouse."""
READING: Final = "towpath-reading"
"""On an entity that was read as it then stood: the offset of the record for which it was read. What a webhook itself carried has none."""
RECEIVED_AT: Final = "towpath-received-at"
WEBHOOK_ID: Final = "webhook-id"


class Fetch(NamedTuple):
    """An entity to complete: its name, its id at the source, and what the sender gave of it already (JSON text, or empty).

    `as_of` is when a sender who gives nothing but the id says that it changed (ISO 8601, or empty). `part` tells which part of the entity the
    sender gave, where that is not all of it, as an Item's does.
    """

    entity: str
    id: int | str
    payload: str = ""
    as_of: str = ""
    part: str = ""


class Item(NamedTuple):
    """One entity of a list: its id at the source, its JSON text as listed, and when it last changed, by the source's clock.

    Where a list has several rows of one entity, such as its stock in each warehouse, `part` tells them apart.
    """

    id: int | str
    text: str
    changed_at: datetime
    part: str = ""


Listing = Callable[[ApiClient, datetime], AsyncIterator[Item]]


@dataclass(frozen=True, slots=True)
class Poll:
    """A list that the poller reads: `items` yields all that changed at or after a time, to the end or it raises; an item may come again.

    Where a list tells of creations only, `unfinished` yields every entity created at or after a time that may still change. One with an `event`
    is read again and again only where a flow takes that event from here, for it costs too much else, and one that is not `polled` never: it is
    there for a backfill. So is `open`, which yields what is not finished yet. One is `ordered` where its items come in the order of change.
    Where its rows are, to the letter, a `part` of what is fetched of an entity, one that says what was fetched last is not fetched again.
    """

    entity: str
    items: Listing
    unfinished: Listing | None = None
    event: str = ""
    polled: bool = True
    open: Listing | None = None
    ordered: bool = False
    part: str = ""


class References(Protocol):
    """What Towpath knows of a system's own ids."""

    async def key_of(self, entity: str, external_id: str) -> str | None:
        """Return the business key of what Towpath wrote to this connection under that id, None where it wrote none."""
        ...

    def customer_of(self, reference: str) -> str | None:
        """Return the business key of the shop's customer that a reference of ours at this connection names, None where it is none of ours."""
        ...

    def is_ours(self, order_reference: str) -> bool:
        """Tell whether a flow gives orders references of this kind here, so that one which is not known yet will be."""
        ...


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


class Source(Protocol):
    """One system as a source."""

    blanked: Sequence[str]
    polls: Sequence[Poll]

    def wanted(self, body: bytes) -> Fetch | list[Fetch] | None:
        """Return what a webhook is about, None for one that no flow can use; raises DataError naming the field.

        Of one that names several entities, each has the webhook as its payload that would name it alone: the inbox gets them one by one.
        """
        ...

    async def fetch(self, api: ApiClient, wanted: Fetch, references: References) -> str | None:
        """Return the entity with all that decoding it needs, as JSON text with the vendor's own bodies inside; None where it concerns no flow."""
        ...

    def decode(self, entity: str, payload: bytes, provenance: Provenance) -> list[Event]:
        """Return the canonical events of a fetched payload, without I/O; raises DataError naming the field."""
        ...
