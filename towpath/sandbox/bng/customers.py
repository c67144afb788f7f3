"""Customers."""

from __future__ import annotations

from typing import Any

from towpath.sandbox.bng.kinds import CUSTOMERS
from towpath.sandbox.bng.records import Records
from towpath.sandbox.kit.contract import Contract
from towpath.sandbox.kit.messages import Answer, Call
from towpath.sandbox.kit.system import World

DEFAULTS: dict[str, Any] = {
    "ExternalID": None,
    "CompanyName": None,
    "FirstName": None,
    "LastName": None,
    "BillingAddress": None,
    "ShippingAddress": None,
    "PaymentTerms": "NET30",
    "CreditLimit": "0.00",
    "CustomFields": {},
}


class Customers:
    """The customers of one BNG server."""

    def __init__(self, world: World, contract: Contract) -> None:
        self._store, self._outbox, self._contract = world.store, world.outbox, contract
        self.records = Records(world.store, world.clock, CUSTOMERS)

    def create(self, call: Call) -> Answer:
        """Answer `POST /customers`: a second one with the same ExternalID or Email makes a second customer."""
        customer = self.records.create({**DEFAULTS, **self._contract.check("CustomerCreate", call.json())})
        self._outbox.emit("customer_updated", customer)
        return Answer(201, customer, {"Location": f"/api/v1/customers/{customer['CustomerID']}"})

    def change(self, call: Call) -> Answer:
        """Answer `PATCH /customers/{id}`."""
        before = self.records.need(call.params["CustomerID"])
        after = self.records.write(before["CustomerID"], {**before, **self._contract.check("CustomerChange", call.json())})
        self._outbox.emit("customer_updated", after)
        return Answer(body=after)

    async def delete_control(self, call: Call) -> Answer:
        """Answer `DELETE /_sandbox/customers/{id}`: somebody at BNG deletes a customer, or merges it into another; no webhook tells of it."""
        customer = self.records.need(call.params["CustomerID"])
        self._store.delete(CUSTOMERS.name, customer["CustomerID"])
        return Answer(body=customer)
