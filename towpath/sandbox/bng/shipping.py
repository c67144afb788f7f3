"""Shipments of sales orders, wholly or in parts."""

from __future__ import annotations

import random
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from towpath.sandbox.bng.kinds import SHIPMENTS
from towpath.sandbox.bng.orders import OPEN, Orders
from towpath.sandbox.bng.records import Records
from towpath.sandbox.bng.stock import Stock
from towpath.sandbox.kit.clock import stamp
from towpath.sandbox.kit.messages import Refusal
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World

CARRIERS: Final = {"UPS": "1Z", "FedEx": "FX", "DHL": "JD", "USPS": "94"}


class Parcel(BaseModel):
    """What leaves: `lines` are quantities by LineNo, None for all that is allocated and on hand; carrier and number are made up where missing."""

    model_config = ConfigDict(extra="forbid")
    order: str
    lines: dict[int, PositiveInt] | None = Field(default=None, min_length=1)
    carrier: str | None = None
    tracking_number: str | None = None


class Shipping:
    """The shipments of one BNG server."""

    def __init__(self, world: World, orders: Orders, stock: Stock) -> None:
        self._world, self._orders, self._stock = world, orders, stock
        self.shipments = Records(world.store, world.clock, SHIPMENTS)

    def ready(self, order: str) -> dict[int, int]:
        """Return what of an order could leave now, by LineNo: what is allocated and on hand."""
        found, left = {}, dict[str, int]()
        for row in self._stock.lines(order):
            key = f"{row['SKU']}@{row['Warehouse']}"
            on_hand = left.setdefault(key, self._stock.rows.need(key)["OnHand"])
            quantity = min(row["Allocated"], on_hand)
            if quantity > 0:
                found[row["LineNo"]] = quantity
                left[key] -= quantity
        return found

    def ship(self, parcel: Parcel) -> Doc:
        """Write a shipment and return it; the order is Shipped then, or Processing where some of it is still to leave.

        Raises Refusal: 404 for an unknown order; 409 where it is not open, nothing is ready, or more is asked for than is allocated and on hand.
        """
        order = self._orders.records.need(parcel.order)
        if order["OrderStatus"] not in OPEN:
            raise Refusal(409, "not_open", f"{parcel.order} has the status {order['OrderStatus']}", field="order")
        lines = self.ready(parcel.order) if parcel.lines is None else parcel.lines
        if not lines:
            raise Refusal(409, "not_ready", f"nothing of {parcel.order} is allocated and on hand", field="order")
        self._take(parcel.order, lines)
        shipment = self.shipments.create(self._document(order, parcel, lines))
        self._world.outbox.emit("shipment_created", shipment)
        waits = any(row["Allocated"] for row in self._stock.lines(parcel.order))
        self._orders.write(order, {"OrderStatus": 20 if waits else 30})
        return shipment

    def _take(self, order: str, lines: dict[int, int]) -> None:
        rows = {row["LineNo"]: row for row in self._stock.lines(order) if row["Allocated"]}
        for line_no, quantity in lines.items():
            if line_no not in rows:
                raise Refusal(409, "not_enough", f"line {line_no}: nothing of it is allocated", field="lines")
            self._stock.ship(rows[line_no], quantity)

    def _document(self, order: Doc, parcel: Parcel, lines: dict[int, int]) -> Doc:
        before = len(self.shipments.all([("SalesOrderID", "=", parcel.order)]))
        dice = random.Random(f"{order['ExternalOrderID'] or parcel.order}/{before}")
        carrier = parcel.carrier or dice.choice(list(CARRIERS))
        number = f"{CARRIERS.get(carrier, 'TR')}{dice.randrange(10**12):012d}"
        return {
            "SalesOrderID": parcel.order,
            "Lines": [{"LineNo": line_no, "Quantity": quantity} for line_no, quantity in sorted(lines.items())],
            "Carrier": carrier,
            "TrackingNumber": parcel.tracking_number if "tracking_number" in parcel.model_fields_set else number,
            "ShippedAt": stamp(self._world.clock.now()),
        }
