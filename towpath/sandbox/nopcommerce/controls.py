"""What a test or an operator can do at the shop: change an order, register or change a customer."""

from __future__ import annotations

import uuid
from typing import Any

from pydantic import BaseModel, ConfigDict

from towpath.sandbox.kit.control import checked
from towpath.sandbox.kit.messages import Answer, Call, Control, Refusal
from towpath.sandbox.kit.system import World
from towpath.sandbox.nopcommerce.dto import ADDRESS, CUSTOMER
from towpath.sandbox.nopcommerce.shop import FIRST_REGISTERED, Shop

PARTS = {"billing_address": "billing_address_id", "shipping_address": "shipping_address_id", "customer": "customer_id"}


class OrderPatch(BaseModel):
    """Fields of the order, merged; `event` is what is sent then, None for nothing."""

    model_config = ConfigDict(extra="allow")
    event: str | None = "order.changed"
    items: list[dict[str, Any]] = []
    customer: dict[str, Any] = {}
    billing_address: dict[str, Any] = {}
    shipping_address: dict[str, Any] = {}


class NewCustomer(BaseModel):
    """A registration; address fields go to the customer's address."""

    model_config = ConfigDict(extra="forbid")
    email: str
    address: dict[str, Any] = {}
    attributes: dict[str, str] = {}
    event: str | None = "customer.registered"


class CustomerPatch(BaseModel):
    """Fields of the customer, its address and its generic attributes, merged."""

    model_config = ConfigDict(extra="forbid")
    customer: dict[str, Any] = {}
    address: dict[str, Any] = {}
    attributes: dict[str, str] = {}
    event: str | None = "customer.changed"


class Desk:
    """The controls of one shop."""

    def __init__(self, world: World, shop: Shop) -> None:
        self._store, self._shop = world.store, shop

    def paths(self) -> list[Control]:
        """Return the paths of the desk."""
        return [
            Control("POST", "/_sandbox/orders/{id}", self.change_order),
            Control("POST", "/_sandbox/customers", self.register),
            Control("POST", "/_sandbox/customers/{id}", self.change_customer),
        ]

    async def change_order(self, call: Call) -> Answer:
        """Merge into an order, its items, its customer and its addresses, and send the event."""
        number, given = _id(call), checked(OrderPatch, call.json())
        with self._store.transaction():
            order = self._shop.change("order", number, given.model_extra or {})
            self._shop.change_items(number, given.items)
            for part, reference in PARTS.items():
                kind = "customer" if part == "customer" else "address"
                self._shop.change(kind, order[reference], getattr(given, part))
            webhook = self._shop.tell(given.event, "order", number) if given.event else None
        return Answer(body={"order": order, "items": self._shop.items(number), "webhook": webhook})

    async def register(self, call: Call) -> Answer:
        """Register a customer and send the event."""
        given = checked(NewCustomer, call.json())
        with self._store.transaction():
            number, moment = FIRST_REGISTERED + self._store.add("id/customer"), self._shop.now()
            where = 500_000_000 + number
            address = {**ADDRESS, "email": given.email, "created_on_utc": moment, "id": where}
            self._store.put("address", where, address)
            self._shop.change("address", where, given.address)
            own = {"billing_address_id": where, "shipping_address_id": where, "username": given.email, "email": given.email}
            times = {"created_on_utc": moment, "last_activity_date_utc": moment}
            customer = {"customer_guid": str(uuid.uuid4()), **CUSTOMER, **own, **times, "id": number}
            self._shop.add_customer(customer, given.attributes)
            webhook = self._shop.tell(given.event, "customer", number) if given.event else None
        return Answer(201, {"customer": customer, "webhook": webhook})

    async def change_customer(self, call: Call) -> Answer:
        """Merge into a customer and send the event."""
        number, given = _id(call), checked(CustomerPatch, call.json())
        with self._store.transaction():
            customer = self._shop.change("customer", number, given.customer)
            self._shop.change("address", customer["billing_address_id"], given.address)
            for key, value in given.attributes.items():
                self._shop.set_attribute(number, key, value)
            webhook = self._shop.tell(given.event, "customer", number) if given.event else None
        return Answer(body={"customer": customer, "webhook": webhook})


def _id(call: Call) -> int:
    text = call.params["id"]
    if not text.isdigit():
        raise Refusal(400, "invalid_path", f"not an id: {text}", field="id")
    return int(text)
