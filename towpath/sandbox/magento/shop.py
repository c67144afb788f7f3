"""The shop's tables, and what happens in them: an order is placed or saved, a customer registers or changes; every save is an event."""

from __future__ import annotations

import json
import random
import uuid
from typing import Any

from towpath.sandbox.kit.clock import stamp
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World
from towpath.sandbox.magento import goods
from towpath.sandbox.magento.draw import INCREMENTS, Basket, amounts
from towpath.sandbox.magento.inventory import Inventory
from towpath.sandbox.magento.settings import MagentoSettings
from towpath.sandbox.magento.wording import no_such


class Shop:
    """One shop over its store; the caller opens the transaction, so that an event is queued with its change or not at all."""

    def __init__(self, world: World, settings: MagentoSettings, inventory: Inventory) -> None:
        self.store, self._clock, self._outbox, self._settings = world.store, world.clock, world.outbox, settings
        self.inventory = inventory

    def fill(self) -> None:
        """Put products and stock in, once."""
        if self.store.count("product"):
            return
        for product in goods.products(self.now()):
            self.store.put("product", product["id"], product)
        for row in goods.source_items():
            self.inventory.put(row, "begin")

    def now(self) -> str:
        """Return the time as Magento writes it: UTC without a zone, to the second."""
        return self._clock.now().strftime("%Y-%m-%d %H:%M:%S")

    def order(self, number: str | int) -> Doc:
        """Return an order by its entity id; raises Refusal(404), also for an increment id."""
        order = self.store.get("order", number)
        if order is None:
            message = no_such("entityId", number)
            raise message
        return order

    def affordable(self, sku: str, quantity: int) -> int:
        """Return how many of so many a shopper gets of a product."""
        return min(quantity, max(0, int(self.inventory.salable(sku))))

    def knows(self, order: int) -> bool:
        """Return whether an order was placed, or given up for want of stock."""
        return self.store.get("order", order) is not None or self.store.get("given_up", order) is not None

    def place(self, basket: Basket, dice: random.Random) -> Doc | None:
        """Write an order and reserve what is in it; None where nothing of it could be bought: it is given up."""
        number, buyer = basket.order, basket.buyer
        for sku, wanted in basket.wanted.items():
            sale = {"sku": sku, "order_id": number, "wanted": wanted, "quantity": basket.taken.get(sku, 0)}
            self.store.put("sale", f"{number}/{sku}", {**sale, "stock_before": self.inventory.salable(sku), "at": stamp(self._clock.now())})
        if not basket.items:
            self.store.put("given_up", number, {"order_id": number, "at": self.now()})
            return None
        guest, moment = dice.random() < 0.2, self.now()  # noqa: PLR2004 - one of five does not register
        whose = {"customer_is_guest": 1} if guest else {"customer_is_guest": 0, "customer_id": buyer.number}
        shipping, method = buyer.order_address("shipping"), "flatrate_flatrate"
        assigned = {"shipping": {"address": shipping, "method": method, "total": {}}, "items": basket.items}
        order = {
            "entity_id": number,
            "increment_id": str(INCREMENTS + number),
            "state": "new",
            "status": "pending",
            "store_id": 1,
            "created_at": moment,
            "updated_at": moment,
            "customer_email": buyer.email,
            "customer_firstname": buyer.first,
            "customer_lastname": buyer.last,
            "customer_group_id": 0 if guest else 1,
            **whose,
            "base_currency_code": "USD",
            "order_currency_code": buyer.place.currency,
            **amounts(basket, dice),
            "is_virtual": 0,
            "shipping_description": "Flat Rate - Fixed",
            "items": basket.items,
            "billing_address": buyer.order_address("billing"),
            "payment": {"method": "checkmo", "cc_last4": self._settings.canary_card, "additional_information": ["Check / Money order"]},
            "status_histories": [],
            "extension_attributes": {"shipping_assignments": [assigned]},
        }
        for sku, quantity in basket.taken.items():
            self.inventory.reserve(sku, -quantity, "order_placed", number)
        if not guest and self.store.get("customer", buyer.number) is None:
            self.save_customer(buyer.customer(moment))
        self.save(order)
        return order

    def save(self, order: Doc) -> str | None:
        """Write an order with the time of this save, and send its event; return the event's id."""
        for assigned in order["extension_attributes"]["shipping_assignments"]:
            assigned["items"] = order["items"]
        order["updated_at"] = self.now()
        self.store.put("order", order["entity_id"], order)
        return self.tell("sales_order", order)

    def save_customer(self, customer: Doc) -> str | None:
        """Write a customer with the time of this save, and send its event; return the event's id."""
        customer["updated_at"] = self.now()
        self.store.put("customer", customer["id"], customer)
        return self.tell("customer", {"entity_id": customer["id"], **customer})

    def mail(self, template: str, order: Doc, **about: int) -> None:
        """Send the customer of an order a mail about one of its documents."""
        one = self.store.add("id/mail")
        row = {"id": one, "template": template, "order_id": order["entity_id"], **about, "to": order["customer_email"], "created_at": self.now()}
        self.store.put("mail", one, row)

    def tell(self, model: str, doc: Doc) -> str | None:
        """Queue the event of a save: the model's own fields as they are in the database, all of them texts."""
        if not self._outbox.enabled:
            return None
        value = {name: _raw(part) for name, part in doc.items() if not isinstance(part, dict | list) and part is not None}
        number, kind = str(uuid.uuid4()), f"com.adobe.commerce.observer.{model}_save_commit_after"
        about = {"commerceEdition": "Adobe Commerce", "commerceVersion": "2.4.8", "eventsClientVersion": "1.12.0", "storeId": "1", "websiteId": "1"}
        body: dict[str, Any] = {"event": {"data": {"value": value, "_metadata": {**about, "storeGroupId": "1"}}, "source": "shop"}}
        return self._outbox.tell(kind, json.dumps({"id": number, "type": kind, **body}, ensure_ascii=False), number)


def _raw(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
