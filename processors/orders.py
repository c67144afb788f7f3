"""What the processor remembers of each order beside its versions: as what it was placed, and which stock it holds. No I/O."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from processors.stock import taken_by
from towpath.events import MOVING, Event, StockHold, decimal_text, digest, seal

KEPT = 1_000
"""Texts of quantities that are kept; the same few come again and again."""


class Order(NamedTuple):
    """An order as it was last routed: the digest of its content with the status that it was placed with, that status, and what it takes.

    `holding` are the connections whose stock it holds, `standing` those where it is known to stand; `names` are what its products were called.
    `returning` are the connections that cancelled it and whose stock it holds until its shop has too, each with the id of the event that said so.
    """

    content: str
    status: str
    payment_status: str
    taken: Mapping[str, Decimal] = MappingProxyType({})
    holding: frozenset[str] = frozenset()
    standing: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()
    returning: Mapping[str, str] = MappingProxyType({})

    @classmethod
    def of(cls, event: Event, holding: Iterable[str] = ()) -> Order:
        """Return the order of an event; a new one holds stock of these connections."""
        value = event.value
        return cls(
            event.meta["digest"], value["status"], value["payment_status"], taken_by(value["lines"]), frozenset(holding), names=names_of(event)
        )

    def changed(self, event: Event) -> Order:
        """Return the order with the content of a change."""
        return self._replace(content=self._content_of(event.value), taken=taken_by(event.value["lines"]), names=names_of(event))

    def is_as(self, event: Event) -> bool:
        """Tell whether an event says nothing else of the order than how far it has come, or that products are called otherwise by now."""
        value = event.value
        if self.content == self._content_of(value) or self.content == digest(value, MOVING):  # the second: as it was kept before
            return True
        if len(self.names) != len(value["lines"]) or self.names == names_of(event):
            return False
        lines = [{**line, "name": name} for line, name in zip(value["lines"], self.names, strict=True)]
        return self.content == self._content_of({**value, "lines": lines})

    def _content_of(self, value: Mapping[str, Any]) -> str:
        return digest({**value, "status": self.status, "payment_status": self.payment_status})

    @property
    def known(self) -> dict[str, Any]:
        """Return what mappings are told of it."""
        return {"placed": {"status": self.status, "payment_status": self.payment_status}}

    def holds(self, key: str, state: str, source: str, at: datetime, standing_at: datetime | None = None) -> list[StockHold]:
        """Return what is said to the shelves of one source of what it takes."""
        return [
            {"connection": source, "sku": sku, "order_key": key, "quantity": quantity, "state": state, "standing_at": standing_at, "at": at}
            for sku, quantity in self.taken.items()
        ]

    def without(self, *sources: str) -> Order:
        """Return the order as it holds nothing of these sources any more."""
        return self._replace(holding=self.holding - set(sources), returning={k: v for k, v in self.returning.items() if k not in sources})

    def returned(self, source: str, event_id: str) -> Order:
        """Return the order as a source cancelled it, by this event."""
        return self._replace(holding=self.holding - {source}, returning={**self.returning, source: event_id})

    def dump(self) -> bytes:
        """Return it as bytes for the state."""
        taken = {sku: _text(quantity) for sku, quantity in self.taken.items()}
        parts = [self.content, self.status, self.payment_status, taken, sorted(self.holding), sorted(self.standing), self.names]
        return orjson.dumps([*parts, dict(self.returning)] if self.returning else parts)

    @classmethod
    def load(cls, data: bytes | None) -> Order | None:
        """Return what `dump` wrote, None where nothing was."""
        if data is None:
            return None
        content, status, payment_status, taken, holding, standing, *later = orjson.loads(data)
        names: list[str] = later[0] if later else []  # an earlier release kept neither
        returning: dict[str, str] = later[1] if len(later) > 1 else {}
        pieces = {sku: Decimal(text) for sku, text in taken.items()}
        return cls(content, status, payment_status, pieces, frozenset(holding), frozenset(standing), tuple(names), returning)


@functools.lru_cache(KEPT)
def _text(quantity: Decimal) -> str:
    return decimal_text(quantity)


def names_of(event: Event) -> tuple[str, ...]:
    """Return what the products of an order are called, line by line."""
    return tuple([line["name"] for line in event.value["lines"]])


def as_change(event: Event) -> Event:
    """Return an order that was placed before as the change that it is."""
    meta = event.meta.copy()
    return seal(Event("OrderChanged", {**event.value, "meta": meta}))


def state_key(key: str) -> bytes:
    """Return where the state keeps an order."""
    return f"order|{key}".encode()


def fact_key(event: Event) -> bytes:
    """Return where the state keeps what was last done with a fact; an event's meta tells, but for one that is a part of an aggregate."""
    return f"{event.type}|{event.identity}".encode()
