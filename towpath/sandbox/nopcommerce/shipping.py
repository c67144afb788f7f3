"""Shipments: a row, its items, and then a GET that ships it (Nop.Services, Shipping/ShipmentService.cs and OrderProcessingService.cs).

Creating changes neither the stock nor any status and checks nothing: not whether so many were ordered, nor whether the order is cancelled.
"""

from __future__ import annotations

from collections.abc import Callable

from towpath.sandbox.kit.messages import Answer, Call, Endpoint, Handler
from towpath.sandbox.kit.store import Condition, Doc
from towpath.sandbox.kit.system import World
from towpath.sandbox.nopcommerce import status
from towpath.sandbox.nopcommerce.api import BASE
from towpath.sandbox.nopcommerce.fields import row
from towpath.sandbox.nopcommerce.parcels import Parcels
from towpath.sandbox.nopcommerce.processing import Processing
from towpath.sandbox.nopcommerce.query import created, flag, identifier, identifiers, page
from towpath.sandbox.nopcommerce.shop import Shop


class Shipping:
    """The shipments of one shop."""

    def __init__(self, world: World, shop: Shop, processing: Processing) -> None:
        self._store, self._shop, self._processing = world.store, shop, processing
        self._parcels = Parcels(world.store)

    def endpoints(self) -> list[Endpoint]:
        """Return the paths."""

        def at(method: str, path: str, handle: Handler, *, write: bool = False) -> Endpoint:
            return Endpoint(method, f"{BASE}/{path}", handle, write=write)

        def counted(path: str, key: str, kind: str, count: Callable[[Doc], int | bool]) -> Endpoint:
            words = f"{kind.replace('_', ' ').capitalize()} is not found"
            return at("GET", f"{path}/{{{key}}}", lambda call: Answer(body=count(self._shop.need(kind, identifier(call.params[key], key), words))))

        parcels = self._parcels
        return [
            at("GET", "Shipment/GetAll", self.search),
            at("GET", "Shipment/GetById/{id}", lambda call: Answer(body=self._shipment(call, "id"))),
            at("GET", "Shipment/GetByIds/{ids}", lambda call: Answer(body=self._known(identifiers(call.params["ids"])))),
            at("GET", "Shipment/GetByOrderId/{orderId}", self.of_order),
            at("POST", "Shipment/Create", self.create, write=True),
            at("PUT", "Shipment/Update", self.update, write=True),
            at("DELETE", "Shipment/Delete/{id}", self.delete, write=True),
            at("GET", "ShipmentItem/GetByShipmentId/{id}", lambda call: Answer(body=parcels.items(identifier(call.params["id"], "id")))),
            at("POST", "ShipmentItem/Create", self.add_item, write=True),
            at("GET", "OrderProcessing/Ship/{shipmentId}", self.ship, write=True),
            at("GET", "OrderProcessing/Deliver/{shipmentId}", self.deliver, write=True),
            counted("Order/HasItemsToAddToShipment", "orderId", "order", parcels.has_items_to_add),
            counted("Order/HasItemsToShip", "orderId", "order", parcels.has_items_to_ship),
            counted("Order/HasItemsToDeliver", "orderId", "order", parcels.has_items_to_deliver),
            counted("OrderItem/GetTotalNumberOfItemsInAllShipments", "orderItemId", "order_item", parcels.in_shipments),
            counted("OrderItem/GetTotalNumberOfItemsCanBeAddedToShipment", "orderItemId", "order_item", parcels.can_be_added),
        ]

    def search(self, call: Call) -> Answer:
        """Answer `Shipment/GetAll`, the newest first."""
        where = created(call)
        if call.query.get("orderId", "0") != "0":
            where.append(("order_id", "=", identifier(call.query["orderId"], "orderId")))
        if call.query.get("trackingNumber"):
            where.append(("tracking_number", "=", call.query["trackingNumber"]))
        return page(self._store, "shipment", where, call)

    def of_order(self, call: Call) -> Answer:
        """Answer with an order's shipments, an empty list for an order that is not there; `shipped` narrows them."""
        where: list[Condition] = [("order_id", "=", identifier(call.params["orderId"], "orderId"))]
        found = self._store.find("shipment", where)
        if call.query.get("shipped"):
            wanted = flag(call, "shipped")
            found = [shipment for shipment in found if (shipment["shipped_date_utc"] is not None) == wanted]
        return Answer(body=found)

    def create(self, call: Call) -> Answer:
        """Answer `POST Shipment/Create` with the new row; what is not sent is empty, also `created_on_utc`."""
        given = row("shipment", call)
        if self._store.get("order", given["order_id"]) is None:
            raise status.broken("The INSERT statement conflicted with the FOREIGN KEY constraint FK_Shipment_OrderId_Order_Id.")
        made = {**given, "id": self._store.add("id/shipment")}
        self._store.put("shipment", made["id"], made)
        return Answer(body=made)

    def update(self, call: Call) -> Answer:
        """Answer `PUT Shipment/Update`."""
        given = row("shipment", call)
        self._shop.need("shipment", given["id"], "Shipment is not found")
        self._store.put("shipment", given["id"], given)
        return Answer()

    def delete(self, call: Call) -> Answer:
        """Answer `DELETE Shipment/Delete/{id}`: its items go with it, the order's shipping status stays."""
        shipment = self._shipment(call, "id")
        for item in self._parcels.items(shipment["id"]):
            self._store.delete("shipment_item", item["id"])
        self._store.delete("shipment", shipment["id"])
        return Answer()

    def add_item(self, call: Call) -> Answer:
        """Answer `POST ShipmentItem/Create` with the new row."""
        given = row("shipment_item", call)
        if self._store.get("shipment", given["shipment_id"]) is None:
            raise status.broken("The INSERT statement conflicted with the FOREIGN KEY constraint FK_ShipmentItem_ShipmentId_Shipment_Id.")
        made = {**given, "id": self._store.add("id/shipment_item")}
        self._store.put("shipment_item", made["id"], made)
        return Answer(body=made)

    def ship(self, call: Call) -> Answer:
        """Answer `OrderProcessing/Ship/{id}`: 500 for one that is shipped already."""
        shipment, notify = self._shipment(call, "shipmentId"), flag(call, "notifyCustomer")
        order = self._order(shipment)
        if shipment["shipped_date_utc"] is not None:
            raise status.broken("This shipment is already shipped")
        self._store.put("shipment", shipment["id"], {**shipment, "shipped_date_utc": self._shop.now()})
        for item in self._parcels.items(shipment["id"]):
            for product in self._parcels.product(item):
                self._shop.inventory.book(product, item["warehouse_id"], item["quantity"])
        left = self._parcels.has_items_to_add(order) or self._parcels.has_items_to_ship(order)
        order["shipping_status_id"] = status.PARTLY_SHIPPED if left else status.SHIPPED
        return self._moved(order, shipment, "ShipmentSent" if notify else None)

    def deliver(self, call: Call) -> Answer:
        """Answer `OrderProcessing/Deliver/{id}`: 500 for one that is not shipped yet or delivered already."""
        shipment, notify = self._shipment(call, "shipmentId"), flag(call, "notifyCustomer")
        order = self._order(shipment)
        if shipment["shipped_date_utc"] is None:
            raise status.broken("This shipment is not shipped yet")
        if shipment["delivery_date_utc"] is not None:
            raise status.broken("This shipment is already delivered")
        self._store.put("shipment", shipment["id"], {**shipment, "delivery_date_utc": self._shop.now()})
        parcels = self._parcels
        if not (parcels.has_items_to_add(order) or parcels.has_items_to_ship(order) or parcels.has_items_to_deliver(order)):
            order["shipping_status_id"] = status.DELIVERED
        return self._moved(order, shipment, "ShipmentDelivered" if notify else None)

    def _moved(self, order: Doc, shipment: Doc, template: str | None) -> Answer:
        self._store.put("order", order["id"], order)
        if template:
            self._shop.mail(f"{template}.CustomerNotification", order, shipment["id"])
        self._processing.check(order)
        self._shop.tell("order.changed", "order", order["id"])
        return Answer()

    def _shipment(self, call: Call, parameter: str) -> Doc:
        return self._shop.need("shipment", identifier(call.params[parameter], parameter))

    def _known(self, numbers: list[int]) -> list[Doc]:
        return [shipment for number in numbers if (shipment := self._store.get("shipment", number)) is not None]

    def _order(self, shipment: Doc) -> Doc:
        order = self._store.get("order", shipment["order_id"])
        if order is None:
            raise status.broken("Order cannot be loaded")
        return order
