"""Reservations and goods-out notes: what is set aside for an order, and how it leaves."""

from __future__ import annotations

from typing import Any, Final

from towpath.sandbox.brightpearl.goods import Goods
from towpath.sandbox.brightpearl.hooks import Hooks
from towpath.sandbox.brightpearl.orders import Orders
from towpath.sandbox.brightpearl.records import Account, Records, amount, part, shown
from towpath.sandbox.brightpearl.search import Column, Search
from towpath.sandbox.kit.clock import stamp
from towpath.sandbox.kit.messages import Answer, Call, Refusal
from towpath.sandbox.kit.store import Doc

STEPS: Final = {"PRI": "printed", "PIC": "picked", "PAC": "packed", "SHW": "shipped"}
LONGEST_REFERENCE: Final = 64
STAFF: Final = 4
"""In whose name steps are made by hand."""
OVERSOLD: Final = "stock/oversold"
"""Counts the pieces that orders asked to reserve beyond what was on hand."""


class Notes:
    """What one account has set aside and sent."""

    def __init__(self, account: Account, orders: Orders, goods: Goods, hooks: Hooks) -> None:
        self._account, self._orders, self._goods, self._hooks = account, orders, goods, hooks
        self.records = Records(account, "note", 12_447_605)
        self.reservations = Records(account, "reservation", 1)
        self.search = Search(
            self.records,
            [
                Column("goodsOutNoteId", "IDSET", lambda doc: doc["_id"], "_id"),
                Column("orderId", "IDSET", lambda doc: doc["orderId"], "orderId"),
                Column("warehouseId", "INTEGER", lambda doc: doc["warehouseId"], "warehouseId"),
                Column("createdOn", "PERIOD", lambda doc: doc["createdOn"], "_created"),
                Column("shippedOn", "PERIOD", lambda doc: doc["status"].get("shippedOn"), "_shipped"),
            ],
        )

    def reserve(self, call: Call) -> Answer:
        """Answer `POST order/{id}/reservation/warehouse/{wid}`: what there is of it is reserved, which is an error only where that is nothing."""
        order, warehouse = self._orders.records.need(call.params["order"]), int(call.params["warehouse"])
        if self.reservations.get(order["id"]) is not None:
            raise Refusal(400, "WHSC-101", f"Order {order['id']} has a reservation already")
        rows: dict[str, dict[str, int]] = {}
        for wanted in call.json().get("products", []):
            product, row = int(wanted["productId"]), str(wanted["salesOrderRowId"])
            if product <= 0:
                raise Refusal(400, "WHSC-014", "Product ID must be set and greater than 0")
            if order["orderRows"].get(row, {}).get("productId") != product:
                raise Refusal(400, "WHSC-015", f"Row {row} of order {order['id']} is not of product {product}")
            asked = int(amount(wanted["quantity"], "quantity", 0))
            stand = self._goods.stand(product, warehouse)
            taken = max(0, min(asked, stand["inStock"] - stand["allocated"]))
            self._account.store.add(OVERSOLD, asked - taken)
            if taken:
                rows[row] = {"productId": product, "quantity": taken}
                self._goods.move(product, warehouse, allocated=taken)
        if not rows:
            raise Refusal(400, "WHSC-102", "No items were available to be reserved")
        self.reservations.write(order["id"], {"warehouseId": warehouse, "orderRows": rows, "asked": rows})
        self.allocated(order)
        return Answer(body={})

    def create(self, call: Call) -> Answer:
        """Answer `POST order/{id}/goods-note/goods-out`: a note for each warehouse, from what is reserved."""
        order = self._orders.records.need(call.params["order"])
        return Answer(body={"response": [self.add(order, given)["_id"] for given in call.json()["warehouses"]]})

    def add(self, order: Doc, given: Doc) -> Doc:
        """Write a note of what an order has reserved and return it; raises Refusal(400) where less is reserved."""
        reserved = part(self.reservations.get(order["id"]), "orderRows")
        rows: Doc = {}
        for one in given["products"]:
            row, quantity = str(one["salesOrderRowId"]), int(one["quantity"])
            left = part(reserved, row).get("quantity", 0) - self._noted(order["id"], row)
            if quantity > left:
                raise Refusal(400, "WHSC-030", f"{quantity} of row {row} are to leave, {left} are reserved")
            rows[row] = [{"productId": one["productId"], "quantity": quantity, "locationId": 2}]
        number, now = self.records.next_id(), self._account.now()
        note = {"orderId": order["id"], "warehouseId": given["warehouseId"], "transfer": False, "priority": False}
        note |= {
            "status": {"shipped": False, "packed": False, "picked": False, "printed": False},
            "shipping": {"reference": "", "shippingMethodId": 0},
        }
        note |= {
            "_created": stamp(self._account.clock.now()),
            "releaseDate": now,
            "createdOn": now,
            "createdBy": 203,
            "orderRows": rows,
            "sequence": 1,
        }
        note["_created"] = stamp(self._account.clock.now())
        note |= {"events": [{"occured": now, "eventOwnerId": 203, "eventCode": "PLA"}], "lastEventVersion": number + 1}
        self._hooks.tell("goods-out-note.created", number)
        self.records.write(number, note)
        return {**note, "_id": number}

    def left(self, order: int) -> dict[str, int]:
        """Return what of an order is reserved and in no note yet, by row."""
        reserved = part(self.reservations.get(order), "orderRows")
        found = {row: one["quantity"] - self._noted(order, row) for row, one in reserved.items()}
        return {row: quantity for row, quantity in found.items() if quantity > 0}

    def take(self, order: int, lines: dict[str, int]) -> Doc:
        """Write a note of so many of an order's rows and return it; raises Refusal where they are not reserved."""
        reservation = self.reservations.need(order)
        rows = part(reservation, "orderRows")
        products = [{"productId": rows.get(row, {}).get("productId"), "salesOrderRowId": row, "quantity": n} for row, n in lines.items()]
        return self.add(self._orders.records.need(order), {"warehouseId": reservation["warehouseId"], "products": products})

    def get(self, call: Call) -> Answer:
        """Answer `GET order/{order}/goods-note/goods-out/{ids}`, where the order may be `*`."""
        return self._shown(self.records.chosen(call.params["ids"]), call.params["order"])

    def of_order(self, call: Call) -> Answer:
        """Answer `GET order/{order}/goods-note/goods-out`."""
        return self._shown(self.records.all(), call.params["order"])

    def change(self, call: Call) -> Answer:
        """Answer `PUT goods-note/goods-out/{id}`: refused once it is shipped."""
        note, shipping = self.records.need(call.params["ids"]), part(call.json(), "shipping")
        if note["status"]["shipped"]:
            raise Refusal(400, "WHSC-040", "A shipped goods-out note cannot be changed")
        if len(str(shipping.get("reference") or "")) > LONGEST_REFERENCE:
            raise Refusal(400, "WHSC-041", f"reference has more than {LONGEST_REFERENCE} characters")
        self.records.write(note["_id"], {**note, "shipping": {**note["shipping"], **shipping}})
        self._hooks.tell("goods-out-note.modified", note["_id"])
        return Answer(body={})

    def event(self, call: Call) -> Answer:
        """Answer `POST goods-note/goods-out/{id}/event`: SHW makes the steps that were left out, and lets the goods leave."""
        note = self.records.need(call.params["ids"])
        version = call.headers.get("if-match")
        if version is not None and version.strip('"') != str(note["lastEventVersion"]):
            raise Refusal(412, "CMNC-412", f"The last event version is {note['lastEventVersion']}")
        for event in call.json().get("events", []):
            code = event.get("eventCode")
            if code not in STEPS or "occured" not in event:
                raise Refusal(400, "WHSC-050", f"{code} is no event of a goods-out note, or `occured` is missing")
            at = self._account.shown(self._account.read("occured", event["occured"]))
            note = self.step(note, code, at, int(event.get("eventOwnerId", STAFF)))
        return Answer(body={})

    def step(self, note: Doc, code: str, at: str, owner: int = STAFF) -> Doc:
        """Take a note to a step and return it; raises Refusal(400) for one that is shipped."""
        if note["status"]["shipped"]:
            raise Refusal(400, "WHSC-051", "The goods-out note is shipped")
        steps = list(STEPS)[: list(STEPS).index(code) + 1]
        events = [{"occured": at, "eventOwnerId": owner, "eventCode": step} for step in steps if not note["status"][STEPS[step]]]
        status = {**note["status"], **{STEPS[step]: True for step in steps}, **{f"{STEPS[step]}On": at for step in steps}}
        status |= {f"{STEPS[step]}ById": owner for step in steps}
        extra = {"_shipped": stamp(self._account.clock.now())} if code == "SHW" else {}
        after = {**note, **extra, "status": status, "events": [*note["events"], *events], "lastEventVersion": note["lastEventVersion"] + len(events)}
        self.records.write(note["_id"], after)
        self._hooks.tell(f"goods-out-note.modified.{STEPS[code]}", note["_id"])
        if code == "SHW":
            self._leave(note)
        return after

    def oversold(self) -> int:
        """Return how many pieces orders asked to reserve that were not on hand."""
        return self._account.store.counters(OVERSOLD).get("", 0)

    def _leave(self, note: Doc) -> None:
        for rows in note["orderRows"].values():
            for row in rows:
                self._goods.move(row["productId"], note["warehouseId"], in_stock=-row["quantity"], allocated=-row["quantity"])
        order = self._orders.records.need(note["orderId"])
        waits = any(
            self._noted(order["id"], number, shipped=True) < _quantity(row) for number, row in order["orderRows"].items() if row.get("_stocked")
        )
        order = self._orders.write(order, {"shippingStatusCode": "PSS" if waits else "ASS"})
        if not waits:
            self._hooks.tell("order.modified.fully-shipped", order["id"])

    def allocated(self, order: Doc) -> None:
        """Note how much of an order is reserved."""
        reserved = part(self.reservations.get(order["id"]), "orderRows")
        stocked = {number: _quantity(row) for number, row in order["orderRows"].items() if row.get("_stocked")}
        whole = all(part(reserved, number).get("quantity", 0) >= quantity for number, quantity in stocked.items())
        self._orders.write(order, {"allocationStatusCode": "AAA" if whole else "APA"})

    def _noted(self, order: int, row: str, *, shipped: bool = False) -> int:
        notes = [note for note in self.records.all([("orderId", "=", order)]) if note["status"]["shipped"] or not shipped]
        return sum(one["quantity"] for note in notes for one in note["orderRows"].get(row, []))

    def _shown(self, notes: list[Doc], order: str) -> Answer:
        found: dict[str, Any] = {str(note["_id"]): shown(note) for note in notes if order in {"*", str(note["orderId"])}}
        return Answer(body={"response": found})


def _quantity(row: Doc) -> int:
    return int(amount(row["quantity"]["magnitude"], "quantity", 4))
