"""What Brightpearl's stores hold, and its 3PL's, in the shape in which the figures are taken: BNG's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from towpath.demo.pairs import ERP, THREEPL, Pair

Row = Mapping[str, Any]
Rows = Sequence[Row]

STORES: Final = ("orders", "contacts", "products", "stock", "notes")
THREEPL_STORES: Final = ("requests", "shipments")
COUNTED: Final = ("2", "3")
"""The warehouses whose stock the flow counts."""
CANCELLED, CANCELLED_AT_BNG, OPEN_AT_BNG = 5, 90, 20
MORE: Final = re.compile(r" \+\d+$")
"""Ends a note's reference that has no room for all of its tracking numbers."""


def as_counted(stores: Mapping[str, Rows], threepl: Mapping[str, Rows], pair: Pair) -> dict[str, Rows]:
    """Return sales orders, customers, inventory and shipments as the figures read them: what a 3PL has sent, it tells of itself.

    `untold` are the requests of which Brightpearl does not have what has become of them: shipped, with every tracking number.
    """
    skus = {row["id"]: row["identity"]["sku"] for row in stores["products"]}
    requested = {row["reference"].rpartition("-")[2] for row in threepl["requests"] if row["status"] != "cancelled"}
    own = [
        _sent(pair.name(ERP), str(note["_id"]), note) for note in stores["notes"] if note["status"]["shipped"] and str(note["_id"]) not in requested
    ]
    return {
        "sales_orders": [_order(order) for order in stores["orders"] if order["orderTypeCode"] == "SO"],
        "customers": [{"ExternalID": row["communication"]["emails"]["PRI"]["email"].casefold()} for row in stores["contacts"]],
        "inventory": [
            {"SKU": skus[row["product"]], "Available": row["inStock"] - row["allocated"]}
            for row in stores["stock"]
            if str(row["warehouse"]) in COUNTED
        ],
        "shipments": [*own, *(_parcel(pair.name(THREEPL), row) for row in threepl["shipments"])],
        "requests": threepl["requests"],
        "untold": _untold(stores["notes"], threepl),
    }


def _order(order: Row) -> Row:
    status = CANCELLED_AT_BNG if order["orderStatus"]["orderStatusId"] == CANCELLED else OPEN_AT_BNG
    told = {"ExternalOrderID": order["reference"], "Total": order["totalValue"]["total"], "_CreatedAt": order["createdOn"]}
    return {**told, "OrderStatus": status, "PaymentStatus": None}


def _sent(erp: str, number: str, note: Row) -> Row:
    lines = [{"Quantity": row["quantity"]} for rows in note["orderRows"].values() for row in rows]
    return {"ShipmentID": number, "Reference": f"{erp}/shipment/{number}", "Lines": lines}


def _parcel(threepl: str, row: Row) -> Row:
    lines = [{"Quantity": line["quantity"]} for line in row["lines"]]
    return {"ShipmentID": row["id"], "Reference": f"{threepl}/shipment/{row['id']}", "Lines": lines}


def _untold(notes: Rows, threepl: Mapping[str, Rows]) -> Rows:
    there = {str(note["_id"]): note for note in notes}
    numbers: dict[str, set[str]] = {}
    for row in threepl["shipments"]:
        numbers.setdefault(row["requestId"], set()).add(row["trackingNumber"])
    return [
        request
        for request in threepl["requests"]
        if request["status"] == "shipped" and not _is_told(there.get(request["reference"].rpartition("-")[2]), numbers[request["id"]])
    ]


def _is_told(note: Row | None, numbers: set[str]) -> bool:
    if note is None or not note["status"]["shipped"]:
        return False
    reference = str(note["shipping"]["reference"])
    shown = set(MORE.sub("", reference).split(", "))
    return shown < numbers if MORE.search(reference) else shown == numbers
