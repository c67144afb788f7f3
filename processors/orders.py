"""What the processor remembers of each order beside its versions: as what it was placed, and which stock it holds. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from processors.stock import taken_by
from towpath.events import MOVING, Event, StockHold, decimal_text, digest, seal


class Order(NamedTuple):
    """An order as it was last routed: the digest of its content with the status that it was placed with, that status, and what it takes.

    `holding` are the connections whose stock it holds, `standing` those where it is known to stand.
    """

    content: str
    status: str
    payment_status: str
    taken: Mapping[str, Decimal] = MappingProxyType({})
    holding: frozenset[str] = frozenset()
    standing: frozenset[str] = frozenset()

    @classmethod
    def of(cls, event: Event, holding: Iterable[str] = ()) -> Order:
        """Return the order of an event; a new one holds stock of these connections."""
        value = event.value
        return cls(event.meta["digest"], value["status"], value["payment_status"], taken_by(value["lines"]), frozenset(holding))

    def changed(self, event: Event) -> Order:
        """Return the order with the content of a change."""
        return self._replace(content=self._content_of(event), taken=taken_by(event.value["lines"]))

    def is_as(self, event: Event) -> bool:
        """Tell whether an event says nothing else of the order than how far it has come."""
        return self.content == self._content_of(event) or self.content == digest(event.value, MOVING)  # the second: as it was kept before

    def _content_of(self, event: Event) -> str:
        return digest({**event.value, "status": self.status, "payment_status": self.payment_status})

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
        return self._replace(holding=self.holding - set(sources))

    def dump(self) -> bytes:
        """Return it as bytes for the state."""
        taken = {sku: decimal_text(quantity) for sku, quantity in self.taken.items()}
        return orjson.dumps([self.content, self.status, self.payment_status, taken, sorted(self.holding), sorted(self.standing)])

    @classmethod
    def load(cls, data: bytes | None) -> Order | None:
        """Return what `dump` wrote, None where nothing was."""
        if data is None:
            return None
        content, status, payment_status, taken, holding, standing = orjson.loads(data)
        pieces = {sku: Decimal(text) for sku, text in taken.items()}
        return cls(content, status, payment_status, pieces, frozenset(holding), frozenset(standing))


def as_change(event: Event) -> Event:
    """Return an order that was placed before as the change that it is."""
    meta = event.meta.copy()
    return seal(Event("OrderChanged", {**event.value, "meta": meta}))


def state_key(key: str) -> bytes:
    """Return where the state keeps an order."""
    return f"order|{key}".encode()
