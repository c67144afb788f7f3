"""`POST /V1/order/{orderId}/ship`: refuses more than is left, raises `qty_shipped`, and takes from a source (Sales/Model/ShipOrder.php).

Nothing tells a repetition from a second shipment: a part that is sent twice is shipped twice. Without a source code it leaves `default`.
"""

from __future__ import annotations

from typing import Any

from towpath.sandbox.kit.messages import Answer, Call
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.magento.goods import SOURCES, number
from towpath.sandbox.magento.processing import settle
from towpath.sandbox.magento.shop import Shop
from towpath.sandbox.magento.wording import SHIPMENT, Worded


class Shipping:
    """The shipments of one shop; the caller opens the transaction."""

    def __init__(self, shop: Shop) -> None:
        self._shop, self._store = shop, shop.store

    def ship(self, call: Call) -> Answer:
        """Answer with the id of the new shipment, a bare number."""
        order, body = self._shop.order(call.params["orderId"]), call.json() if call.body else {}
        given = body if isinstance(body, dict) else {}
        if order["state"] in {"canceled", "closed", "complete", "holded"}:
            raise Worded(400, f"{SHIPMENT}A shipment cannot be created when an order has a status of {order['state']}")
        wanted = _wanted(order, given.get("items") or [])
        source = (given.get("arguments") or {}).get("extension_attributes", {}).get("source_code", SOURCES[0])
        for item, quantity in wanted:
            self._send(order, item, quantity, source)
        shipment = self._row(order, wanted, given, source)
        settle(order)
        self._shop.save(order)
        return Answer(body=shipment["entity_id"])

    def _send(self, order: Doc, item: Doc, quantity: float, source: str) -> None:
        """Raise what is shipped of an item and of what is inside it, and take what is no wrapping out of the source."""
        inside = [one for one in order["items"] if one.get("parent_item_id") == item["item_id"]]
        item["qty_shipped"] = number(item["qty_shipped"] + quantity)
        for one in inside or [item]:
            part = quantity * one["qty_ordered"] / item["qty_ordered"] if inside else quantity
            if inside:
                one["qty_shipped"] = number(one["qty_shipped"] + part)
            self._shop.inventory.deduct(source, one["sku"], part)
            self._shop.inventory.reserve(one["sku"], part, "shipment_created", order["entity_id"])

    def _row(self, order: Doc, wanted: list[tuple[Doc, float]], given: Doc, source: str) -> Doc:
        one, moment = self._store.add("id/shipment"), self._shop.now()
        own = {"parent_id": one, "order_id": order["entity_id"]}
        items = [{"entity_id": one * 100 + index, "parent_id": one, **_sent(item, quantity)} for index, (item, quantity) in enumerate(wanted)]
        tracks = [{"entity_id": self._store.add("id/track"), **own, "created_at": moment, **track} for track in given.get("tracks") or []]
        comment = given.get("comment")
        said = [{"entity_id": one, "parent_id": one, "is_customer_notified": 0, "created_at": moment, **comment}] if comment else []
        row = {"entity_id": one, "increment_id": f"{one:09d}", "order_id": order["entity_id"], "store_id": 1, "created_at": moment}
        row |= {"updated_at": moment, "items": items, "tracks": tracks, "comments": said, "extension_attributes": {"source_code": source}}
        row["total_qty"] = number(sum(quantity for _, quantity in wanted))
        self._store.put("shipment", one, row)
        if given.get("notify"):
            self._shop.mail("sales_email_shipment_template", order, shipment_id=one)
        return row


def _wanted(order: Doc, given: list[Any]) -> list[tuple[Doc, float]]:
    """Return what is to be shipped of which item; nothing given is everything left. What is inside another item is not shipped by itself."""
    items = {item["item_id"]: item for item in order["items"]}
    if not given:
        given = [{"order_item_id": one, "qty": left} for one, item in items.items() if "parent_item_id" not in item and (left := _left(item)) > 0]
    found = []
    for row in given:
        item, quantity = items.get(int(row["order_item_id"])), float(row["qty"])
        if item is None:
            raise Worded(400, f'{SHIPMENT}The shipment contains product SKU "{row["order_item_id"]}" that is not part of the original order.')
        if "parent_item_id" in item or quantity <= 0:
            continue
        if quantity > _left(item):
            message = f'The quantity to ship must not be greater than the unshipped quantity for product SKU "{item["sku"]}".'
            raise Worded(400, f"{SHIPMENT}{message}")
        found.append((item, quantity))
    if not found:
        raise Worded(400, f"{SHIPMENT}You can't create a shipment without products.")
    return found


def _left(item: Doc) -> float:
    return float(item["qty_ordered"] - item["qty_shipped"] - item["qty_refunded"] - item["qty_canceled"])


def _sent(item: Doc, quantity: float) -> Doc:
    return {
        **{name: item[name] for name in ("sku", "name", "price", "product_id", "weight")},
        "order_item_id": item["item_id"],
        "qty": number(quantity),
    }
