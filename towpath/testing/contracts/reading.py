"""What a source makes of what its system tells and lists, by way of the real client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from producers.adapter import find_source
from producers.base import Fetch, Item, Poll, Provenance, Source
from towpath.codec import default_codec
from towpath.errors import DataError
from towpath.events import Event
from towpath.http import ApiClient
from towpath.testing.contracts.bench import NAME, Bench

Json = Any
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Ours:
    """Whatever a system tells of was written there by Towpath: an order under the key `shop/order/<its id>`."""

    async def key_of(self, entity: str, external_id: str) -> str | None:
        """Return the business key of what has this id."""
        order = f"shop/order/{external_id}"
        return f"{order}/request/{external_id}" if entity == "request" else order

    def customer_of(self, reference: str) -> str | None:
        """Return the business key of the customer that a reference names."""
        return f"shop/customer/{reference}"

    def is_ours(self, _order_reference: str) -> bool:
        """Say yes."""
        return True


class Reader:
    """One source and one client of it."""

    def __init__(self, bench: Bench, api: ApiClient) -> None:
        source = find_source(bench.example.system)
        assert source is not None, f"producers/{bench.example.system} has no SOURCE"
        self.source: Source = source
        self.bench, self.api = bench, api
        self._heard = len(bench.hooks)

    def poll(self, entity: str) -> Poll | None:
        """Return the poll of an entity, None where no list tells of it."""
        return next((poll for poll in self.source.polls if poll.entity == entity), None)

    async def make(self, entity: str) -> str:
        """Make one, and return its id; webhooks from before are not looked at any more."""
        self._heard = len(self.bench.hooks)
        return await self.bench.example.emits[entity].make(self.bench, self.bench.next())

    async def named(self, entity: str, number: str) -> list[Fetch]:
        """Return what each webhook of late that names this entity wants to be fetched, the oldest first."""
        return [one for one in await self.told() if (one.entity, str(one.id)) == (entity, number)]

    async def told(self) -> list[Fetch]:
        """Return what each webhook of late wants to be fetched, the oldest first."""
        return [one for hook in (await self.bench.told())[self._heard :] for one in self.wanted(hook.body)]

    def wanted(self, body: bytes) -> list[Fetch]:
        """Return what a webhook names; of one that names several, as the inbox gets them one by one."""
        wanted = self.source.wanted(body)
        if isinstance(wanted, list):
            return [each for one in wanted for each in self.wanted(one.payload.encode())]
        return [] if wanted is None else [wanted]

    async def items(self, entity: str, since: datetime = LONG_AGO) -> list[Item]:
        """Return all that the entity's list tells of."""
        poll = self.poll(entity)
        assert poll is not None
        return await self.bench.clock.run(_all(poll.items(self.api, since)))

    async def listed(self, entity: str, number: str) -> Fetch:
        """Return what the list wants to be fetched of one entity, as the poller and the adapter hand it on."""
        item = next((item for item in await self.items(entity) if str(item.id) == number), None)
        assert item is not None, f"the list of {entity} does not tell of {number}"
        return Fetch(entity, str(item.id), item.text)

    async def any_of(self, entity: str, number: str) -> Fetch:
        """Return what is wanted of an entity, by whichever way its source tells of it."""
        if self.bench.example.emits[entity].hooked:
            found = await self.named(entity, number)
            others = ", ".join(f"{one.entity}/{one.id}" for one in await self.told()) or "nothing"
            assert found, f"no webhook tells of {entity}/{number}, but of {others}; say `hooked=False` in its example where none does"
            return found[-1]
        return await self.listed(entity, number)

    async def text(self, wanted: Fetch) -> str | None:
        """Return what is fetched of an entity."""
        return await self.bench.clock.run(self.source.fetch(self.api, wanted, Ours()))

    async def events(self, wanted: Fetch, provenance: Provenance | None = None) -> list[Event]:
        """Return what an entity becomes."""
        text = await self.text(wanted)
        return [] if text is None else self.decoded(wanted.entity, text, provenance)

    def decoded(self, entity: str, text: str, provenance: Provenance | None = None) -> list[Event]:
        """Return the events of what was fetched, each of which can be written."""
        events = self.source.decode(entity, text.encode("utf-8", "surrogatepass"), provenance or read(1))
        for event in events:
            default_codec().encode(event.type, event.value)
        return events

    def outcome(self, entity: str, text: str) -> str:
        """Return `events` or the field at fault; whatever else decoding raises is not caught."""
        try:
            return "events" if self.decoded(entity, text) is not None else ""
        except DataError as error:
            assert error.field, f"{error} names no field"
            return error.field


def read(nth: int) -> Provenance:
    """Return where the n-th read of a thing came from: each at another time, another place and another trace."""
    return Provenance(NAME, datetime(2030, 1, 1, tzinfo=UTC) + timedelta(minutes=nth), 100 + nth, f"{nth:032x}")


def facts(events: list[Event]) -> dict[str, Json]:
    """Return what events say by their ids, but for how they were read."""
    return {event.meta["event_id"]: {name: value for name, value in event.value.items() if name != "meta"} for event in events}


def leaves(value: Json, name: str = "") -> Iterator[tuple[str, Json]]:
    """Yield every value inside an event, with the name of its field."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from leaves(part, str(key))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from leaves(part, name)
    else:
        yield name, value


def as_json(text: str) -> Json:
    """Return JSON with its numbers as they were written."""
    return json.loads(text, parse_float=Decimal)


async def _all(items: AsyncIterator[Item]) -> list[Item]:
    return [item async for item in items]
