"""What Magento's stores hold, in the shape in which the figures are taken: that of a shop with one stock number and numbered statuses."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

Row = Mapping[str, Any]
Rows = Sequence[Row]

STORES: Final = ("orders", "webhooks", "products", "shipments", "mails", "source_items", "reservations")
PENDING, CANCELLED, PAID = 10, 40, 30


def as_counted(stores: Mapping[str, Rows]) -> dict[str, Rows]:
    """Return orders, webhooks, products, shipments, their items and mails as the figures read them."""
    salable: Counter[str] = Counter()
    for row in (*stores["source_items"], *stores["reservations"]):
        salable[row["sku"]] += int(row["quantity"])
    shipments = [{"id": row["entity_id"], "admin_comment": _said(row), "shipped_date_utc": row["created_at"]} for row in stores["shipments"]]
    orders = {order["entity_id"]: order for order in stores["orders"]}
    return {
        "orders": [_order(order) for order in orders.values()],
        "webhooks": [_placed(hook) for hook in stores["webhooks"] if ".sales_order_save" in hook["type"]],
        "products": [{"sku": row["sku"], "stock_quantity": salable[row["sku"]]} for row in stores["products"] if row["type_id"] == "simple"],
        "shipments": shipments,
        "shipment_items": [
            {"shipment_id": row["entity_id"], "quantity": _pieces(item, orders[row["order_id"]])}
            for row in stores["shipments"]
            for item in row["items"]
        ],
        "mails": stores["mails"],
    }


def _order(order: Row) -> Row:
    paid = order.get("total_paid", 0) >= order["grand_total"]
    status = {"order_status_id": CANCELLED if order["state"] == "canceled" else PENDING, "payment_status_id": PAID if paid else PENDING}
    told = {"customer_id": order.get("customer_id"), "order_total": order["grand_total"]}
    return {"id": order["entity_id"], "custom_order_number": order["increment_id"], **told, **status}


def _placed(hook: Row) -> Row:
    number = json.loads(hook["body"])["event"]["data"]["value"]["entity_id"]
    return {"type": "order.placed", "created_at": hook["created_at"], "body": json.dumps({"data": {"entityId": int(number)}})}


def _said(shipment: Row) -> str:
    return "\n".join(str(comment["comment"]) for comment in shipment["comments"])


def _pieces(sent: Row, order: Row) -> int:
    """Return how many pieces of goods are in a row of a shipment: of a set or a configurable, what is inside."""
    inside = [item for item in order["items"] if item.get("parent_item_id") == sent["order_item_id"]]
    whole = next(item["qty_ordered"] for item in order["items"] if item["item_id"] == sent["order_item_id"])
    return int(sum(item["qty_ordered"] * sent["qty"] // whole for item in inside) if inside else sent["qty"])
