"""What lies in the warehouses, and how much of it each order line holds or took."""

from __future__ import annotations

from typing import Final

from towpath.sandbox.bng.kinds import INVENTORY
from towpath.sandbox.bng.records import Records
from towpath.sandbox.bng.settings import MAIN
from towpath.sandbox.kit.messages import Answer, Call, Refusal
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World

SHIPPED: Final = (30, 40)
CANCELLED: Final = 90
ALLOCATION: Final = "allocation"

OVERSOLD = "stock/oversold"
"""Counts the pieces that orders were given beyond what there was to sell at that moment."""


class Stock:
    """The inventory of one BNG server: a row for each SKU and warehouse.

    An order line has an allocation in one warehouse: Allocated is what it holds, Shipped what left in shipments, and Taken what the order
    took off OnHand, which is more than Shipped where somebody set the order to shipped without a shipment.
    """

    def __init__(self, world: World) -> None:
        self._store, self._outbox = world.store, world.outbox
        self.rows = Records(world.store, world.clock, INVENTORY)

    def one(self, call: Call) -> Answer:
        """Answer `GET /inventory/{SKU}`, of one warehouse."""
        sku, warehouse = call.params["SKU"], call.query.get("warehouse", MAIN)
        found = self.rows.get(f"{sku}@{warehouse}")
        if found is None:
            raise Refusal(404, "not_found", f"no stock record of {sku} in {warehouse}", field="SKU")
        return Answer(body=found)

    def add(self, sku: str, warehouse: str, on_hand: int = 0, allocated: int = 0) -> Doc:
        """Add to what a row says, which begins with nothing, raise its Sequence, and return it."""
        key = f"{sku}@{warehouse}"
        row = self.rows.get(key) or {"SKU": sku, "Warehouse": warehouse, "OnHand": 0, "Allocated": 0}
        on_hand, allocated = row["OnHand"] + on_hand, row["Allocated"] + allocated
        return self.rows.write(key, {**row, "OnHand": on_hand, "Allocated": allocated, "Available": on_hand - allocated})

    def change(self, sku: str, warehouse: str, on_hand: int = 0, allocated: int = 0) -> Doc:
        """Do as `add`, and tell about it."""
        row = self.add(sku, warehouse, on_hand, allocated)
        self._outbox.emit("inventory_updated", row)
        return row

    def lines(self, order: str) -> list[Doc]:
        """Return the allocations of an order."""
        return self._store.find(ALLOCATION, [("SalesOrderID", "=", order)])

    def settle(self, order: Doc) -> None:
        """Let each line of an order hold and take what it now means; raises Refusal(409) where more has left than it asks for."""
        rows = {(row["LineNo"], row["SKU"]): row for row in self.lines(order["SalesOrderID"])}
        wanted = {(line["LineNo"], line["SKU"]): line["Quantity"] for line in order["Lines"]}
        for (line_no, sku), quantity in {**dict.fromkeys(rows, 0), **wanted}.items():
            row = rows.get((line_no, sku)) or self._allocation(order["SalesOrderID"], line_no, sku, quantity)
            if quantity < row["Shipped"]:
                raise Refusal(409, "already_shipped", f"{row['Shipped']} of line {line_no} have left", field="Lines")
            self._write(row, *_meaning(order["OrderStatus"], quantity, row["Shipped"]))

    def ship(self, row: Doc, quantity: int) -> None:
        """Let goods of an allocation leave; raises Refusal(409) where it holds less, or less is on hand."""
        on_hand = self.rows.need(f"{row['SKU']}@{row['Warehouse']}")["OnHand"]
        for most, what in ((row["Allocated"], "allocated"), (on_hand, "on hand")):
            if quantity > most:
                raise Refusal(409, "not_enough", f"line {row['LineNo']}: {quantity} are to leave, {most} are {what}", field="lines")
        self._write({**row, "Shipped": row["Shipped"] + quantity}, row["Allocated"] - quantity, row["Taken"] + quantity)

    def _allocation(self, order: str, line_no: int, sku: str, quantity: int) -> Doc:
        warehouses = self.rows.all([("SKU", "=", sku)])
        if (short := quantity - max(0, sum(row["Available"] for row in warehouses))) > 0:
            self._store.add(OVERSOLD, short)
        chosen = next((row for row in warehouses if row["Available"] >= quantity), warehouses[0])["Warehouse"]
        return {"SalesOrderID": order, "LineNo": line_no, "SKU": sku, "Warehouse": chosen, "Allocated": 0, "Taken": 0, "Shipped": 0}

    def _write(self, row: Doc, allocated: int, taken: int) -> None:
        held, gone = allocated - row["Allocated"], taken - row["Taken"]
        self._store.put(ALLOCATION, f"{row['SalesOrderID']}/{row['LineNo']}/{row['SKU']}", {**row, "Allocated": allocated, "Taken": taken})
        if held or gone:
            self.change(row["SKU"], row["Warehouse"], on_hand=-gone, allocated=held)


def _meaning(status: int, quantity: int, shipped: int) -> tuple[int, int]:
    """Return how much a line of an order in this status holds, and how much it took."""
    if status == CANCELLED:
        return 0, shipped
    return (0, quantity) if status in SHIPPED else (quantity - shipped, shipped)
