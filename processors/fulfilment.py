"""What the processor remembers of the shipments that an order's ERP asked somebody else for: what is asked, and what of it has left. No I/O.

Somebody who ships for an ERP tells of parcels, in whatever order; the ERP's own note leaves once, with all their numbers. So mappings are told
what is still to come, whichever parcel was told last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

import orjson

from towpath.events import Event, decimal_text

NONE: Final = Decimal(0)
REQUESTED: Final = "ShipmentRequested"


@dataclass(frozen=True, slots=True)
class Parcel:
    """One parcel: its number, and how many of each SKU are in it."""

    tracking: str
    lines: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for of one warehouse, by SKU, and the parcels told of, by the id of each."""

    location: str
    asked: Mapping[str, Decimal]
    parcels: Mapping[str, Parcel] = field(default_factory=dict)

    @property
    def known(self) -> dict[str, Any]:
        """Return what mappings are told: the pieces still to leave, the parcels' numbers, and the SKUs that nobody asked for."""
        sent = _sum([parcel.lines for parcel in self.parcels.values()])
        left = sum((max(NONE, quantity - sent.get(sku, NONE)) for sku, quantity in self.asked.items()), NONE)
        tracking = list(dict.fromkeys(parcel.tracking for parcel in self.parcels.values() if parcel.tracking))
        return {"asked": True, "left": decimal_text(left), "tracking": tracking, "strange": sorted(set(sent) - set(self.asked))}


@dataclass(frozen=True, slots=True)
class Fulfilment:
    """The requests of one order, by their ids, and whether its shop has cancelled it."""

    requests: Mapping[str, Request] = field(default_factory=dict)
    is_cancelled: bool = False

    def told(self, event: Event) -> Fulfilment:
        """Return it as it is once this was told; what is told again changes nothing."""
        value = event.value
        if event.type == "OrderCancelled":
            return replace(self, is_cancelled=True)
        name = value["shipment_id"] if event.type == REQUESTED else value["request_id"]
        known = self.requests.get(name)
        if event.type == REQUESTED:
            request = Request(value["location"], _by_sku(value["lines"]), known.parcels if known is not None else {})
        elif known is None:
            return self
        else:
            request = replace(known, parcels={**known.parcels, value["shipment_id"]: Parcel(value["tracking_number"], _by_sku(value["lines"]))})
        return replace(self, requests={**self.requests, name: request})

    def known(self, event: Event) -> dict[str, Any]:
        """Return what mappings are told of it beside this event."""
        found: dict[str, Any] = {"cancelled": self.is_cancelled, "asked": False, "left": "0", "tracking": [], "strange": []}
        found["requests"] = [{"id": name, "location": request.location} for name, request in self.requests.items()]
        request = self.requests.get(event.value.get("request_id") or "")
        return {"fulfilment": found | (request.known if request is not None else {})}

    def dump(self) -> bytes:
        """Return it as bytes for the state."""
        requests = {
            name: [one.location, _texts(one.asked), {parcel: [each.tracking, _texts(each.lines)] for parcel, each in one.parcels.items()}]
            for name, one in self.requests.items()
        }
        return orjson.dumps([self.is_cancelled, requests])

    @classmethod
    def load(cls, data: bytes | None) -> Fulfilment:
        """Return what `dump` wrote, an empty one where nothing was."""
        if data is None:
            return cls()
        is_cancelled, requests = orjson.loads(data)
        found = {}
        for name, (location, asked, parcels) in requests.items():
            told = {parcel: Parcel(tracking, _numbers(lines)) for parcel, (tracking, lines) in parcels.items()}
            found[name] = Request(location, _numbers(asked), told)
        return cls(found, is_cancelled)


def concerns(event: Event) -> bool:
    """Tell whether an event says anything of what somebody else ships."""
    return event.type in {REQUESTED, "OrderCancelled"} or (event.type == "ShipmentConfirmed" and bool(event.value["request_id"]))


def fulfilment_key(key: str) -> bytes:
    """Return where the state keeps the fulfilment of an order."""
    return f"fulfilment|{key}".encode()


def _by_sku(lines: Sequence[Mapping[str, Any]]) -> dict[str, Decimal]:
    return _sum([{str(line["sku"]).strip().casefold(): line["quantity"]} for line in lines])


def _sum(parts: Sequence[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for part in parts:
        for sku, quantity in part.items():
            found[sku] = found.get(sku, NONE) + quantity
    return found


def _texts(quantities: Mapping[str, Decimal]) -> dict[str, str]:
    return {sku: decimal_text(quantity) for sku, quantity in quantities.items()}


def _numbers(texts: Mapping[str, str]) -> dict[str, Decimal]:
    return {sku: Decimal(text) for sku, text in texts.items()}
