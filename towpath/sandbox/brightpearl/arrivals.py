"""Goods-in notes: what was bought comes in, and what was sold comes back; a userBatchReference is taken once."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from towpath.sandbox.brightpearl.goods import Goods
from towpath.sandbox.brightpearl.hooks import Hooks
from towpath.sandbox.brightpearl.orders import Orders
from towpath.sandbox.brightpearl.people import People
from towpath.sandbox.brightpearl.records import Account, Records, amount, shown
from towpath.sandbox.brightpearl.settings import MAIN
from towpath.sandbox.kit.control import checked
from towpath.sandbox.kit.messages import Answer, Call, Refusal
from towpath.sandbox.kit.store import Doc


class Purchase(BaseModel):
    """What is ordered of a supplier, whose contact is made: pieces by SKU, all at one cost."""

    model_config = ConfigDict(extra="forbid")
    supplier: str = "Kiln & Co"
    reference: str = ""
    lines: dict[str, PositiveInt] = Field(min_length=1)
    cost: str = "1.00"


class Arrivals:
    """The goods that come in at one account."""

    def __init__(self, account: Account, orders: Orders, goods: Goods, people: People, hooks: Hooks) -> None:
        self._account, self._orders, self._goods, self._people, self._hooks = account, orders, goods, people, hooks
        self.records = Records(account, "goods_in", 30_501)

    def create(self, call: Call) -> Answer:
        """Answer `POST order/{id}/goods-note/goods-in` with the note's id; raises Refusal(400) for rows that the order does not have."""
        order, body = self._orders.records.need(call.params["order"]), call.json()
        batch = str(body.get("userBatchReference") or "")
        if batch and any(note["userBatchReference"] == batch for note in self.records.all()):
            raise Refusal(400, "WHSC-060", f"A goods-in note with the batch reference {batch} exists")
        if order["orderTypeCode"] not in {"PO", "SC"} or not body.get("goodsMoved"):
            raise Refusal(400, "WHSC-061", f"Nothing can come in of order {order['id']}")
        return Answer(body={"response": self.add(order, body)["_id"]})

    def add(self, order: Doc, body: Doc) -> Doc:
        """Write a note, whose goods are in stock then, and return it."""
        warehouse, moved = int(body.get("warehouseId") or MAIN), []
        for one in body["goodsMoved"]:
            row, quantity = str(one.get("purchaseOrderRowId")), int(amount(one.get("quantity"), "quantity", 0))
            if order["orderRows"].get(row, {}).get("productId") != one.get("productId") or quantity <= 0:
                raise Refusal(400, "WHSC-062", f"Row {row} of order {order['id']} is not of product {one.get('productId')}")
            self._goods.move(one["productId"], warehouse, in_stock=quantity)
            moved.append({**one, "purchaseOrderRowId": int(row), "quantity": quantity})
        number, now = self.records.next_id(), self._account.now()
        received = self._account.shown(self._account.read("receivedOn", body.get("receivedOn") or now))
        note = {"orderId": order["id"], "warehouseId": warehouse, "transfer": False, "goodsMoved": moved, "receivedOn": received, "createdOn": now}
        self.records.write(number, {**note, "userBatchReference": str(body.get("userBatchReference") or "")})
        self._hooks.tell("goods-in-note.created", number)
        return {**note, "_id": number}

    def get(self, call: Call) -> Answer:
        """Answer `GET order/{order}/goods-note/goods-in` and `…/{ids}`, by id; the order may be `*` in the second."""
        ids, order = call.params.get("ids"), call.params["order"]
        found = self.records.all() if ids is None else self.records.chosen(ids)
        return Answer(body={"response": {str(note["_id"]): shown(note) for note in found if order in {"*", str(note["orderId"])}}})

    def buy(self, call: Call) -> Answer:
        """Order of a supplier, and return the purchase order."""
        given = checked(Purchase, call.json())
        supplier = self._people.put(self._people.contacts.next_id(), {"firstName": given.supplier, "organisation": {"name": given.supplier}})
        rows = [self._row(sku, quantity, given.cost) for sku, quantity in given.lines.items()]
        number = self._orders.records.next_id()
        return Answer(201, self._orders.add(number, "PO", supplier["contactId"], {"reference": given.reference, "status": 6}, rows))

    def receive(self, call: Call) -> Answer:
        """Take in what came of a purchase order, by row, and return the note."""
        order = self._orders.records.need(call.params["ids"])
        lines = [
            {"purchaseOrderRowId": row, "productId": order["orderRows"][row]["productId"], "quantity": quantity}
            for row, quantity in call.json()["lines"].items()
        ]
        return Answer(201, self.add(order, {"goodsMoved": lines}))

    def _row(self, sku: str, quantity: int, cost: str) -> Doc:
        net = amount(cost, "cost") * quantity
        return self._orders.row({"productId": self._goods.by_sku(sku)["id"], "quantity": quantity, "taxCode": "Z", "net": str(net), "tax": "0"})
