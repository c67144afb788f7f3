"""Sales orders in one piece: read as they are written, and replaced whole under the version that was read (api-docs.brightpearl.com).

What a replacement leaves out is removed, or is what a new order has; a row is never made smaller than what is reserved of it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from towpath.sandbox.brightpearl.notes import Notes
from towpath.sandbox.brightpearl.orders import NEW, STATUSES, Orders
from towpath.sandbox.brightpearl.people import LINES, People
from towpath.sandbox.brightpearl.records import missing, part
from towpath.sandbox.brightpearl.settings import MAIN
from towpath.sandbox.kit.messages import Answer, Call, Refusal
from towpath.sandbox.kit.store import Doc

NAMES: Final = ("addressFullName", "companyName", "telephone")
READ_ONLY: Final = ("createdOn", "updatedOn", "orderPaymentStatus", "allocationStatusCode", "shippingStatusCode")


class SalesOrders:
    """The sales orders of one account."""

    def __init__(self, orders: Orders, notes: Notes, people: People) -> None:
        self._orders, self._notes, self._people = orders, notes, people

    def get(self, call: Call) -> Answer:
        """Answer `GET sales-order/{ids}`."""
        found = [order for order in self._orders.records.chosen(call.params["ids"]) if order["orderTypeCode"] == "SO"]
        if not found:
            raise missing("sales order", call.params["ids"])
        return Answer(body={"response": [_shown(order) for order in found]})

    def put(self, call: Call) -> Answer:
        """Answer `PUT sales-order/{id}`: 412 where the order is no longer the version in `If-Match`."""
        order, body = self._orders.records.need(call.params["ids"]), call.json()
        version = call.headers.get("if-match", "")
        if version.isdecimal() and int(version) != order["version"]:
            raise Refusal(412, "CMNC-412", f"The version of the order is {order['version']}")
        if part(body, "customer").get("id") != order["_contact"]:
            raise Refusal(400, "ORDC-021", "Customer ID Required.")
        rows: Doc = {}
        for given in body.get("rows") or []:
            number = given.get("id")
            if number is not None and str(number) not in order["orderRows"]:
                raise Refusal(400, "ORDC-035", f"Row {number} is none of order {order['id']}")
            rows[str(self._orders.new_row() if number is None else number)] = self._orders.row(given)
        for number, held in part(self._notes.reservations.get(order["id"]), "orderRows").items():
            left = Decimal(rows[number]["quantity"]["magnitude"]) if number in rows else 0
            if left < held["quantity"]:
                raise Refusal(400, "ORDC-060", f"{held['quantity']} of row {number} are reserved or fulfilled")
        status, delivery = body.get("statusId", NEW), part(body, "delivery")
        changes: Doc = {"orderRows": rows, "reference": str(body.get("ref") or ""), "warehouseId": body.get("warehouseId", MAIN)}
        changes |= {"_reference": changes["reference"].casefold(), "_external": body.get("externalRef")}
        changes["orderStatus"] = {"orderStatusId": status, "name": STATUSES[status]}
        changes["delivery"] = {**order["delivery"], "shippingMethodId": delivery.get("shippingMethodId", 0)}
        changes["parties"] = {**order["parties"], "delivery": self._people.party(order["_contact"], part(delivery, "address") or None)}
        changes["assignment"] = {"current": {**order["assignment"]["current"], "channelId": body.get("channelId", 0)}}
        order = self._orders.write(order, changes)
        if order["allocationStatusCode"] != "ANA":
            self._notes.allocated(order)
        return Answer(body={})


def _shown(order: Doc) -> Doc:
    party, current = order["parties"]["delivery"], order["assignment"]["current"]
    address = {name: party[name] for name in (*NAMES, *LINES) if party.get(name)}
    address |= {"countryIsoCode": party["countryIsoCode3"]} if "countryIsoCode3" in party else {}
    found: Doc = {"id": order["id"], "version": order["version"], "customer": {"id": order["_contact"]}, "customerId": order["_contact"]}
    found |= {"ref": order["reference"], "placedOn": order["placedOn"], "taxDate": order["invoices"][0]["taxDate"]}
    found |= {
        name: order[f"_{own}"] for name, own in (("externalRef", "external"), ("installedIntegrationInstanceId", "instance")) if order[f"_{own}"]
    }
    found |= {"warehouseId": order["warehouseId"], "channelId": current["channelId"], "statusId": order["orderStatus"]["orderStatusId"]}
    found |= {"priceListId": order["priceListId"], "priceModeCode": order["priceModeCode"]}
    found |= {"currency": {"code": order["currency"]["orderCurrencyCode"], "exchangeRate": "1.000000", "fixedExchangeRate": False}}
    found["delivery"] = {"address": address, "shippingMethodId": order["delivery"]["shippingMethodId"], "date": order["delivery"]["deliveryDate"]}
    found["rows"] = [_row(int(number), row) for number, row in order["orderRows"].items()]
    return found | {name: order[name] for name in READ_ONLY}


def _row(number: int, row: Doc) -> Doc:
    value = row["rowValue"]
    own = {"productId": row["productId"]} if row.get("productSku") else {}
    money = {"net": value["rowNet"]["value"], "tax": value["rowTax"]["value"], "taxCode": value["taxCode"]}
    return {"id": number, **own, "name": row["productName"], "quantity": row["quantity"]["magnitude"], **money, "nominalCode": row["nominalCode"]}
