"""What a test or an operator can do to BNG's orders and customers."""

from __future__ import annotations

from towpath.sandbox.bng.customers import Customers
from towpath.sandbox.bng.orders import Orders
from towpath.sandbox.kit.messages import Answer, Call, Control, Handler
from towpath.sandbox.kit.system import World


class Desk:
    """Takes the API's own bodies and does what the API does, but asks for no credentials and meets no faults."""

    def __init__(self, world: World, orders: Orders, customers: Customers) -> None:
        self._store, self._orders, self._customers = world.store, orders, customers

    def paths(self) -> list[Control]:
        """Return the paths of the desk."""
        return [
            self._control("PATCH", "/_sandbox/sales-orders/{SalesOrderID}", self._orders.change),
            self._control("POST", "/_sandbox/customers", self._customers.create),
            self._control("PATCH", "/_sandbox/customers/{CustomerID}", self._customers.change),
            Control("DELETE", "/_sandbox/customers/{CustomerID}", self._customers.delete_control),
        ]

    def _control(self, method: str, path: str, handle: Handler) -> Control:
        async def answer(call: Call) -> Answer:
            with self._store.transaction():
                return handle(call)

        return Control(method, path, answer)
