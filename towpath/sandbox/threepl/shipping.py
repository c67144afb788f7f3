"""What leaves: a shipment of one or more parcels, and the webhook that confirms it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from towpath.sandbox.kit.clock import stamp
from towpath.sandbox.kit.messages import Refusal
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World
from towpath.sandbox.threepl.requests import OPEN, Requests

KIND: Final = "shipment"
CARRIERS: Final = {"UPS": "1Z", "FedEx": "FX", "DHL": "JD", "USPS": "94"}


class Parcel(BaseModel):
    """One parcel: pieces by SKU; carrier and number are made up where missing."""

    model_config = ConfigDict(extra="forbid")
    lines: dict[str, PositiveInt] = Field(min_length=1)
    carrier: str | None = None
    tracking_number: str | None = None


class Shipment(BaseModel):
    """What leaves of a request, all that is left in one parcel where none are given."""

    model_config = ConfigDict(extra="forbid")
    request: str
    parcels: list[Parcel] | None = Field(default=None, min_length=1)


class Shipping:
    """The shipments of one 3PL."""

    def __init__(self, world: World, requests: Requests) -> None:
        self._world, self._requests = world, requests

    def ship(self, given: Shipment) -> list[Doc]:
        """Let parcels leave, tell of them, and return them; raises Refusal(409) where that is not left of the request."""
        request = self._requests.need(given.request)
        left = left_of(request)
        if request["status"] not in OPEN or not left:
            raise Refusal(409, "not_open", f"request {given.request} is {request['status']}", field="request")
        parcels = given.parcels or [Parcel(lines=left)]
        leaving = sum((Counter(parcel.lines) for parcel in parcels), Counter[str]())
        if over := [sku for sku, pieces in leaving.items() if pieces > left.get(sku, 0)]:
            raise Refusal(409, "not_enough", f"{leaving[over[0]]} of {over[0]} are to leave, {left.get(over[0], 0)} are left", field="parcels")
        after = {**request, "_sent": dict(Counter(request["_sent"]) + leaving), "_at": self._world.clock.now().timestamp()}
        self._requests.write({**after, "status": "partially_shipped" if left_of(after) else "shipped"})
        return self._confirm(request, parcels)

    def _confirm(self, request: Doc, parcels: Sequence[Parcel]) -> list[Doc]:
        now, count = stamp(self._world.clock.now()), self._world.store.count(KIND)
        bodies = [_body(parcel, random.Random(f"{request['reference']}/{count + index}")) for index, parcel in enumerate(parcels)]
        data = {"requestId": request["id"], "reference": request["reference"], "shippedAt": now, "parcels": bodies}
        event = self._world.outbox.emit("shipment.confirmed", data) or f"none-{count}"
        rows = [{"id": f"{event}-{number}", "requestId": request["id"], **body} for number, body in enumerate(bodies, start=1)]
        for row in rows:
            self._world.store.put(KIND, row["id"], row)
        return rows


def left_of(request: Mapping[str, Any]) -> dict[str, int]:
    """Return the pieces of a request that are still to leave, by SKU."""
    asked = sum((Counter({line["sku"]: line["quantity"]}) for line in request["lines"]), Counter[str]())
    return dict(asked - Counter(request["_sent"]))


def _body(parcel: Parcel, dice: random.Random) -> Doc:
    carrier = parcel.carrier or dice.choice(list(CARRIERS))
    number = parcel.tracking_number if parcel.tracking_number is not None else f"{CARRIERS.get(carrier, 'TR')}{dice.randrange(10**12):012d}"
    lines = [{"sku": sku, "quantity": pieces} for sku, pieces in parcel.lines.items()]
    return {"trackingNumber": number, "carrier": carrier, "lines": lines}
