"""What a test or an operator can do at the shop: pay, cancel, save or change an order, register or change a customer, count the stock."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from towpath.sandbox.kit.control import checked
from towpath.sandbox.kit.messages import Answer, Call, Control, Refusal
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.magento.people import FIRST_REGISTERED, Person, person
from towpath.sandbox.magento.processing import Processing
from towpath.sandbox.magento.shop import Shop
from towpath.sandbox.magento.wording import no_such


class Patch(BaseModel):
    """Fields of an order or customer, merged; `shipping_address` and `address` (the default one) likewise."""

    model_config = ConfigDict(extra="allow")
    shipping_address: dict[str, Any] = {}
    address: dict[str, Any] = {}


class NewCustomer(BaseModel):
    """A registration."""

    model_config = ConfigDict(extra="forbid")
    email: str
    address: dict[str, Any] = {}


class Paid(BaseModel):
    """How an order is paid."""

    model_config = ConfigDict(extra="forbid")
    untraced: bool = False


class Count(BaseModel):
    """How many lie in a source."""

    model_config = ConfigDict(extra="forbid")
    sku: str
    quantity: float
    source_code: str = "default"


class Desk:
    """The controls of one shop."""

    def __init__(self, shop: Shop, processing: Processing) -> None:
        self._shop, self._store, self._processing = shop, shop.store, processing

    def paths(self) -> list[Control]:
        """Return the paths of the desk."""
        return [
            Control("POST", "/_sandbox/orders/{id}", self.change_order),
            Control("POST", "/_sandbox/orders/{id}/pay", self.pay),
            Control("POST", "/_sandbox/orders/{id}/cancel", self.cancel),
            Control("POST", "/_sandbox/customers", self.register),
            Control("POST", "/_sandbox/customers/{id}", self.change_customer),
            Control("POST", "/_sandbox/stock", self.count),
            Control("GET", "/_sandbox/salable/{sku}", self.salable),
        ]

    async def change_order(self, call: Call) -> Answer:
        """Merge into an order, and save it; nothing given is a save that changes nothing."""
        given = checked(Patch, call.json() if call.body else {})
        with self._store.transaction():
            order = self._shop.order(call.params["id"])
            order |= given.model_extra or {}
            order["extension_attributes"]["shipping_assignments"][0]["shipping"]["address"] |= given.shipping_address
            event = self._shop.save(order)
        return Answer(body={"order": order, "webhook": event})

    async def pay(self, call: Call) -> Answer:
        """Invoice an order; `untraced` is as a module does that forgets the transaction."""
        given = checked(Paid, call.json() if call.body else {})
        with self._store.transaction():
            order = self._shop.order(call.params["id"])
            self._processing.pay(order, untraced=given.untraced)
        return Answer(body=order)

    async def cancel(self, call: Call) -> Answer:
        """Cancel an order; 409 for one that cannot be."""
        with self._store.transaction():
            order = self._shop.order(call.params["id"])
            if not self._processing.drop(order):
                raise Refusal(409, "not_cancelled", f"order {order['entity_id']} cannot be cancelled")
        return Answer(body=order)

    async def register(self, call: Call) -> Answer:
        """Register a customer."""
        given = checked(NewCustomer, call.json())
        with self._store.transaction():
            number = FIRST_REGISTERED + self._store.add("id/customer")
            like = person(number)
            who = Person(number, like.first, like.last, given.email, like.company, like.place, like.street)
            customer = who.customer(self._shop.now())
            customer["addresses"][0] |= given.address
            event = self._shop.save_customer(customer)
        return Answer(201, {"customer": customer, "webhook": event})

    async def change_customer(self, call: Call) -> Answer:
        """Merge into a customer, and save it."""
        given = checked(Patch, call.json())
        with self._store.transaction():
            customer = self._customer(call.params["id"])
            customer |= given.model_extra or {}
            if customer["addresses"]:
                customer["addresses"][0] |= given.address
            event = self._shop.save_customer(customer)
        return Answer(body={"customer": customer, "webhook": event})

    async def count(self, call: Call) -> Answer:
        """Set how many lie in a source."""
        given = checked(Count, call.json())
        with self._store.transaction():
            self._shop.inventory.put({**given.model_dump(), "status": 1}, "count")
        return Answer(body={"salable": self._shop.inventory.salable(given.sku)})

    async def salable(self, call: Call) -> Answer:
        """Answer with how many can be sold."""
        return Answer(body={"salable": self._shop.inventory.salable(call.params["sku"])})

    def _customer(self, number: str) -> Doc:
        found = self._store.get("customer", number)
        if found is None:
            raise no_such("customerId", number)
        return found
