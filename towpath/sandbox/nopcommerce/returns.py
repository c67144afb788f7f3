"""Return requests, and refunds, which are GETs that write, as there: online through the gateway, which may refuse, or offline.

The plugin tells of a return request when it is made and on every later save. Nothing tells a repetition from a second refund of a part.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, PositiveInt

from towpath.sandbox.kit.control import checked
from towpath.sandbox.kit.messages import Answer, Call, Control, Endpoint, Refusal
from towpath.sandbox.kit.store import Condition, Doc
from towpath.sandbox.kit.system import World
from towpath.sandbox.nopcommerce import status
from towpath.sandbox.nopcommerce.api import BASE
from towpath.sandbox.nopcommerce.fields import row
from towpath.sandbox.nopcommerce.query import created, identifier, page
from towpath.sandbox.nopcommerce.shop import Shop

PARTLY_REFUNDED: Final = 35


class Wish(BaseModel):
    """What a customer wants to give back."""

    model_config = ConfigDict(extra="forbid")
    sku: str
    quantity: PositiveInt = 1
    reason: str = "Too small"
    action: str = "Refund"


class Refusals(BaseModel):
    """What the payment provider refuses from now on."""

    model_config = ConfigDict(extra="forbid")
    refuses: list[Literal["refund"]] = []


class Returns:
    """What comes back to one shop; the caller opens the transaction."""

    def __init__(self, world: World, shop: Shop) -> None:
        self._store, self._shop = world.store, shop

    def endpoints(self) -> list[Endpoint]:
        """Return the paths of the API."""
        processing = f"{BASE}/OrderProcessing"
        return [
            Endpoint("GET", f"{BASE}/ReturnRequest/GetById/{{id}}", self.get),
            Endpoint("GET", f"{BASE}/ReturnRequest/Search", self.search),
            Endpoint("PUT", f"{BASE}/ReturnRequest/Update", self.update, write=True),
            Endpoint("GET", f"{BASE}/Order/GetByOrderItem/{{orderItemId}}", self.order_of),
            Endpoint("GET", f"{processing}/Refund/{{orderId}}", lambda call: self._all(call, online=True), write=True),
            Endpoint("GET", f"{processing}/RefundOffline/{{orderId}}", lambda call: self._all(call, online=False), write=True),
            Endpoint("GET", f"{processing}/PartiallyRefund/{{orderId}}", lambda call: self._part(call, online=True), write=True),
            Endpoint("GET", f"{processing}/PartiallyRefundOffline/{{orderId}}", lambda call: self._part(call, online=False), write=True),
        ]

    def paths(self) -> list[Control]:
        """Return the paths of customers and staff."""
        return [
            Control("POST", "/_sandbox/orders/{id}/return", self.ask),
            Control("POST", "/_sandbox/return-requests/{id}", self.change),
            Control("PUT", "/_sandbox/gateway", self.set),
        ]

    async def ask(self, call: Call) -> Answer:
        """Ask for a return and answer with the request; `return_request.created` is sent."""
        wish, number = checked(Wish, call.json()), identifier(call.params["id"], "id")
        with self._store.transaction():
            order, product = self._shop.need("order", number), self._shop.product_of(wish.sku)
            item = next((item for item in self._shop.items(number) if item["product_id"] == product), None)
            if item is None or wish.quantity > item["quantity"]:
                raise Refusal(400, "invalid", f"order {number} has no {wish.quantity} of {wish.sku}", field="sku")
            one, now = self._store.add("id/return_request"), self._shop.now()
            asked = {"reason_for_return": wish.reason, "requested_action": wish.action, "customer_comments": "", "staff_notes": ""}
            about = {
                "custom_number": str(one),
                "store_id": order.get("store_id", 1),
                "order_item_id": item["id"],
                "customer_id": order["customer_id"],
            }
            found = {
                "id": one,
                **about,
                "quantity": wish.quantity,
                **asked,
                "return_request_status_id": 0,
                "created_on_utc": now,
                "updated_on_utc": now,
            }
            self._store.put("return_request", one, found)
            self._shop.tell("return_request.created", "return_request", one)
        return Answer(201, found)

    async def change(self, call: Call) -> Answer:
        """Merge fields into a return request and answer with it; `return_request.changed` is sent."""
        number = identifier(call.params["id"], "id")
        with self._store.transaction():
            found = self._shop.change("return_request", number, {**call.json(), "updated_on_utc": self._shop.now()})
            self._shop.tell("return_request.changed", "return_request", number)
        return Answer(body=found)

    async def set(self, call: Call) -> Answer:
        """Answer `PUT /_sandbox/gateway` with what is refused from now on."""
        given = checked(Refusals, call.json()).model_dump()
        with self._store.transaction():
            self._store.put("gateway", "refusals", given)
        return Answer(body=given)

    def get(self, call: Call) -> Answer:
        """Answer `GET ReturnRequest/GetById/{id}`."""
        return Answer(body=self._shop.need("return_request", identifier(call.params["id"], "id")))

    def search(self, call: Call) -> Answer:
        """Answer `GET ReturnRequest/Search`, the newest first; it cannot filter by the time of a change."""
        where: list[Condition] = [*created(call)]
        if call.query.get("orderItemId", "0") not in {"", "0"}:
            where.append(("order_item_id", "=", identifier(call.query["orderItemId"], "orderItemId")))
        return page(self._store, "return_request", where, call)

    def update(self, call: Call) -> Answer:
        """Answer `PUT ReturnRequest/Update`: the row is overwritten, and the plugin tells of it."""
        given = row("return_request", call)
        self._shop.need("return_request", given["id"], "Return request is not found")
        self._store.put("return_request", given["id"], {**given, "updated_on_utc": self._shop.now()})
        self._shop.tell("return_request.changed", "return_request", given["id"])
        return Answer()

    def order_of(self, call: Call) -> Answer:
        """Answer `GET Order/GetByOrderItem/{id}`."""
        item = self._shop.need("order_item", identifier(call.params["orderItemId"], "orderItemId"), "Order is not found")
        return Answer(body=self._shop.need("order", item["order_id"]))

    def _all(self, call: Call, *, online: bool) -> Answer:
        order = self._order(call)
        if order["payment_status_id"] != status.PAID or order["refunded_amount"]:
            raise status.forbidden("Cannot do refund for order.")
        return self._refund(order, order["order_total"], online=online)

    def _part(self, call: Call, *, online: bool) -> Answer:
        order = self._order(call)
        try:
            amount = float(call.query.get("amountToRefund", ""))
        except ValueError:
            raise Refusal(400, "invalid", "amountToRefund: not a valid number", field="amountToRefund") from None
        left = round(order["order_total"] - order["refunded_amount"], 4)
        if order["payment_status_id"] not in {status.PAID, PARTLY_REFUNDED} or not 0 < amount <= left:
            raise status.forbidden("Cannot do partial refund for order.")
        return self._refund(order, amount, online=online)

    def _refund(self, order: Doc, amount: float, *, online: bool) -> Answer:
        if online and "refund" in (self._store.get("gateway", "refusals") or {}).get("refuses", ()):
            # the API answers the list of the gateway's errors; nothing is refunded
            raise status.forbidden("Unable to refund order. The payment gateway declined the refund.")
        refunded = round(order["refunded_amount"] + amount, 4)
        done = status.REFUNDED if refunded >= order["order_total"] else PARTLY_REFUNDED
        self._store.put("order", order["id"], {**order, "refunded_amount": refunded, "payment_status_id": done})
        self._store.put("refund", self._store.add("id/refund"), {"order_id": order["id"], "amount": amount, "online": online})
        self._shop.tell("order.changed", "order", order["id"])
        return Answer(body=[])

    def _order(self, call: Call) -> Doc:
        return self._shop.need("order", identifier(call.params["orderId"], "orderId"))
