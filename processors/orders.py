"""What the processor remembers of each order beside its versions: as what it was placed, and which stock it holds. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from processors.stock import DROPPED, HELD, STANDING, taken_by
from towpath.events import MOVING, Event, StockHold, decimal_text, digest, seal

HOLDS = "holds"
Held = Mapping[str, Mapping[str, Decimal]]
"""From the connection whose stock is held to how many of each SKU."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order as it was last routed: digest of what does not move, the status it had, and what it holds."""

    content: str
    status: str
    payment_status: str
    held: Held = field(default_factory=dict)

    @classmethod
    def of(cls, event: Event, sources: Iterable[str]) -> Order:
        """Return a new order that holds stock of these connections."""
        value = event.value
        taken = taken_by(value["lines"])
        return cls(digest(value, MOVING), value["status"], value["payment_status"], dict.fromkeys(sources, taken))

    @property
    def known(self) -> dict[str, Any]:
        """Return what mappings are told of it."""
        return {"placed": {"status": self.status, "payment_status": self.payment_status}}

    def holds(self, key: str, state: str, at: datetime, *, source: str = "", standing_at: datetime | None = None) -> list[StockHold]:
        """Return what is said to the shelves of what it holds (of `source` only, where one is given)."""
        return [
            {"connection": one, "sku": sku, "order_key": key, "quantity": quantity, "state": state, "standing_at": standing_at, "at": at}
            for one, taken in self.held.items()
            if source in ("", one)
            for sku, quantity in taken.items()
        ]

    def without(self, source: str = "") -> Order:
        """Return the order as it holds nothing of `source` any more, or nothing at all."""
        return replace(self, held={one: taken for one, taken in self.held.items() if source not in ("", one)})

    def changed(self, event: Event) -> Order:
        """Return the order with what a change of it says."""
        return replace(self, content=digest(event.value, MOVING))

    def dump(self) -> bytes:
        """Return it as bytes for the state."""
        held = {source: {sku: decimal_text(quantity) for sku, quantity in taken.items()} for source, taken in self.held.items()}
        return orjson.dumps([self.content, self.status, self.payment_status, held])

    @classmethod
    def load(cls, data: bytes | None) -> Order | None:
        """Return what `dump` wrote, None where nothing was."""
        if data is None:
            return None
        content, status, payment_status, held = orjson.loads(data)
        return cls(content, status, payment_status, {one: {sku: Decimal(text) for sku, text in taken.items()} for one, taken in held.items()})


def as_change(event: Event) -> Event:
    """Return an order that was placed before as the change that it is."""
    meta = event.meta.copy()
    return seal(Event("OrderChanged", {**event.value, "meta": meta}))


def state_key(key: str) -> bytes:
    """Return where the state keeps an order."""
    return f"order|{key}".encode()


__all__ = ["DROPPED", "HELD", "HOLDS", "STANDING", "Order", "as_change", "state_key"]
