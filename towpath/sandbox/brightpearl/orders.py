"""Orders: low level (POST order, then a row at a time), and sales orders in one piece."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from towpath.sandbox.brightpearl.goods import Goods
from towpath.sandbox.brightpearl.hooks import Hooks
from towpath.sandbox.brightpearl.people import People
from towpath.sandbox.brightpearl.records import Account, Records, amount, listed, part, shown
from towpath.sandbox.brightpearl.search import Column, Search
from towpath.sandbox.brightpearl.settings import MAIN, BrightpearlSettings
from towpath.sandbox.kit.messages import Answer, Call, Refusal
from towpath.sandbox.kit.store import Doc

TYPES: Final = {"SO": 1, "PO": 2, "SC": 3, "PC": 4}
STATUSES: Final = {
    1: "Draft / Quote",
    2: "New web order",
    3: "Ready to ship",
    4: "Invoiced",
    5: "Cancelled",
    6: "Pending PO",
    7: "Refund failed",
    8: "Refunded",
}
TAX_CODES: Final = {"Z": "0.0000", "T": "10.0000", "13": "13.0000", "T20": "20.0000", "-": "0.0000"}
NEW: Final = 2
CANCELLED: Final = 5


class Orders:
    """The orders of one account. A reference is not unique; externalRef with the id of the instance app is, among sales orders."""

    def __init__(self, account: Account, settings: BrightpearlSettings, people: People, goods: Goods, hooks: Hooks) -> None:
        self._account, self._settings, self._people, self._goods, self._hooks = account, settings, people, goods, hooks
        self.records = Records(account, "order", 322)
        self._row_ids = Records(account, "order_row", 396)
        self.search = Search(
            self.records,
            [
                Column("orderId", "IDSET", lambda doc: doc["id"], "_id"),
                Column("orderTypeId", "INTEGER", lambda doc: TYPES[doc["orderTypeCode"]], "_type"),
                Column("contactId", "IDSET", lambda doc: next(iter(doc["parties"].values())).get("contactId"), "_contact"),
                Column("orderStatusId", "INTEGER", lambda doc: doc["orderStatus"]["orderStatusId"], "_status"),
                Column("customerRef", "STRING", lambda doc: doc["reference"], "_reference"),
                Column("updatedOn", "PERIOD", lambda doc: doc["updatedOn"], "_updated"),
                Column("externalRef", "STRING", lambda doc: doc.get("_external"), "_external_ref"),
                Column("installedIntegrationInstanceId", "INTEGER", lambda doc: doc.get("_instance")),
                Column("placedOn", "PERIOD", lambda doc: doc["placedOn"]),
            ],
        )

    def get(self, call: Call) -> Answer:
        """Answer `GET order/{ids}`: none of them is an empty list."""
        return listed(self.records.chosen(call.params["ids"]))

    def create(self, call: Call) -> Answer:
        """Answer `POST order`: every one makes an order, without rows."""
        body = call.json()
        kind = body.get("orderTypeCode")
        if kind is None:
            raise Refusal(400, "ORDC-005", "You have not supplied an order type code")
        if kind not in TYPES:
            raise Refusal(400, "ORDC-006", f"{kind} is no order type code")
        who = "supplier" if kind in {"PO", "PC"} else "customer"
        if "contactId" not in part(part(body, "parties"), who):
            code, word = ("ORDC-022", "Suppllier ID Required.") if who == "supplier" else ("ORDC-021", "Customer ID Required.")
            raise Refusal(400, code, word)
        given = {"reference": body.get("reference", ""), "warehouseId": body.get("warehouseId", MAIN)}
        doc = self.add(self.records.next_id(), kind, body["parties"][who]["contactId"], given)
        return Answer(body={"response": doc["id"]})

    def create_sales_order(self, call: Call) -> Answer:
        """Answer `POST sales-order`: whole or not at all; a known externalRef of the same instance changes nothing."""
        body = call.json()
        reference, instance = body.get("externalRef"), body.get("installedIntegrationInstanceId")
        if reference is not None and instance is not None:
            known = [doc for doc in self.records.all([("_external_ref", "=", str(reference).casefold())]) if doc["_instance"] == instance]
            if known:
                return Answer(body={"response": known[0]["id"]} if self._settings.duplicate_answer == "id" else {})
        rows = [self.row(row) for row in body.get("rows", [])]
        given = {"reference": body.get("ref", ""), "warehouseId": body.get("warehouseId", MAIN), "placedOn": body.get("placedOn")}
        given |= {"taxDate": body.get("taxDate"), "currency": part(body, "currency").get("code"), "status": body.get("statusId", NEW)}
        given |= {
            "external": reference,
            "instance": instance,
            "delivery": part(part(body, "delivery"), "address"),
            "channel": body.get("channelId", 0),
        }
        doc = self.add(self.records.next_id(), "SO", part(body, "customer").get("id"), given, rows)
        self._hooks.tell("sales-order.created", doc["id"])
        return Answer(body={"response": doc["id"]})

    def add_row(self, call: Call) -> Answer:
        """Answer `POST order/{id}/row`."""
        order, body = self.records.need(call.params["ids"]), call.json()
        value = part(body, "rowValue")
        given = {"productId": body.get("productId"), "name": body.get("productName"), "quantity": part(body, "quantity").get("magnitude")}
        given |= {"taxCode": value.get("taxCode"), "net": part(value, "rowNet").get("value"), "tax": part(value, "rowTax").get("value")}
        number = self._row_ids.next_id()
        self._row_ids.write(number, {})
        self.write(order, {"orderRows": {**order["orderRows"], str(number): self.row(given)}})
        return Answer(body={"response": number})

    def patch_row(self, call: Call) -> Answer:
        """Answer `PATCH order/{id}/row/{row}`: replacements only."""
        order, number = self.records.need(call.params["ids"]), call.params["row"]
        row = order["orderRows"].get(number)
        if row is None:
            raise Refusal(404, "not_found", f"No rows available in ID Set {number}")
        for change in call.json():
            if change.get("op") != "replace":
                raise Refusal(500, "CMNC-044", f"{change.get('op')} is no operation of a patch")
            if change.get("path") == "/rowValue/rowNet/value":
                net = amount(change["value"], "rowNet")
                row["rowValue"]["rowNet"]["value"] = f"{net:.4f}"
                row["rowValue"]["rowTax"]["value"] = f"{net * Decimal(row['rowValue']['taxRate']) / 100:.2f}"
        self.write(order, {"orderRows": {**order["orderRows"], number: row}})
        return Answer(body={"response": shown(row)})

    def set_status(self, call: Call) -> Answer:
        """Answer `PUT order/{id}/status`."""
        order, status = self.records.need(call.params["ids"]), call.json().get("orderStatusId")
        if status not in STATUSES:
            raise Refusal(400, "ORDC-012", f"{status} is no order status")
        if order["orderStatus"]["orderStatusId"] != status:
            self.put_status(order, status)
        return Answer(body={})

    def put_status(self, order: Doc, status: int) -> None:
        """Change the status of an order, and tell of it."""
        self.write(order, {"orderStatus": {"orderStatusId": status, "name": STATUSES[status]}})
        self._hooks.tell("order.modified.order-status", order["id"])

    def status(self, call: Call) -> Answer:
        """Answer `GET order-status/{id}`."""
        number = int(call.params["ids"])
        row = {"statusId": number, "name": STATUSES[number], "orderTypeCode": "SO", "sortOrder": 0, "disabled": False, "visible": False}
        row |= {"color": "#E7E6E4", "remindAfterDays": 10, "alertEmails": [], "emailContent": "", "batchProcess": False, "state": "draft"}
        return Answer(body={"response": [row]})

    def write(self, order: Doc, changes: Doc) -> Doc:
        """Change an order and return it."""
        after = {**order, **changes, "updatedOn": self._account.now(), "version": order["version"] + 1}
        after |= {"totalValue": _total(after["orderRows"]), "_status": after["orderStatus"]["orderStatusId"]}
        self._hooks.tell("order.modified", order["id"])
        return self.records.write(order["id"], after)

    def add(self, number: int, kind: str, contact: Any, given: Doc, rows: list[Doc] | None = None) -> Doc:  # noqa: ANN401 - any JSON
        """Write a new order and return it."""
        now, who = self._account.now(), "supplier" if kind in {"PO", "PC"} else "customer"
        party = self._people.party(contact)
        placed = now if given.get("placedOn") is None else self._account.shown(self._account.read("placedOn", given["placedOn"]))
        tax_date = self._account.day("taxDate", given.get("taxDate") or placed)
        external = given.get("external")
        doc = {
            "id": number,
            "parentOrderId": 0,
            "orderTypeCode": kind,
            "reference": str(given.get("reference") or ""),
            "version": 1,
            "state": {"tax": "READY"},
            "orderStatus": {"orderStatusId": given.get("status", NEW), "name": STATUSES[given.get("status", NEW)]},
            "tax": {"errors": []},
            "orderPaymentStatus": "UNPAID",
            "stockStatusCode": "SON",
            "allocationStatusCode": "ANA" if any(row.get("_stocked") for row in rows or []) else "ANR",
            "shippingStatusCode": "SNS",
            "placedOn": placed,
            "createdOn": now,
            "createdById": 4,
            "priceListId": 1,
            "priceModeCode": "EXC",
            "delivery": {"deliveryDate": tax_date, "shippingMethodId": 0},
            "invoices": [{"invoiceReference": "", "taxDate": tax_date, "dueDate": tax_date}],
            "currency": {
                "accountingCurrencyCode": "USD",
                "orderCurrencyCode": given.get("currency") or "USD",
                "exchangeRate": "1.000000",
                "fixedExchangeRate": False,
            },
            "assignment": {
                "current": {"staffOwnerContactId": 0, "projectId": 0, "channelId": given.get("channel", 0), "leadSourceId": 0, "teamId": 0}
            },
            "parties": {who: party, "delivery": self._people.party(contact, given.get("delivery") or None), "billing": party},
            "orderRows": {str(self.new_row()): row for row in rows or []},
            "warehouseId": given.get("warehouseId", MAIN),
            "acknowledged": 0,
            "costPriceListId": 1,
            "historicalOrder": False,
            "isDropship": False,
            "orderWeighting": 100,
            "_type": TYPES[kind],
            "_contact": contact,
            "_reference": str(given.get("reference") or "").casefold(),
            "_external": external,
            "_external_ref": None if external is None else str(external).casefold(),
            "_instance": given.get("instance"),
        }
        return self.write({**doc, "version": 0}, {})

    def new_row(self) -> int:
        """Return the id of a new row."""
        number = self._row_ids.next_id()
        self._row_ids.write(number, {})
        return number

    def row(self, given: Doc) -> Doc:
        """Return a row as it is kept; raises Refusal(400) for one that Brightpearl does not take."""
        code, quantity = given.get("taxCode"), amount(given.get("quantity"), "quantity", 4)
        if code not in TAX_CODES:
            raise Refusal(400, "ORDC-031", "You must supply a tax code" if code is None else f"{code} is no tax code of this account")
        product = None if given.get("productId") is None else self._goods.products.get(given["productId"])
        if given.get("productId") is not None and product is None:
            raise Refusal(400, "ORDC-032", f"Product {given['productId']} does not exist")
        if product is not None and quantity != int(quantity):
            raise Refusal(400, "ORDC-033", "Stock tracked products have whole quantities")
        name = given.get("name") or (product["salesChannels"][0]["productName"] if product else "")
        if not name:
            raise Refusal(400, "ORDC-034", "A row has a product or a name")
        money = {"currencyCode": "USD", "value": "0.0000"}
        value = {"taxRate": TAX_CODES[code], "taxCode": code, "taxCalculator": "brightpearl", "taxClassId": 9}
        value |= {"rowNet": {"currencyCode": "USD", "value": f"{amount(given.get('net', 0), 'rowNet'):.4f}"}}
        value |= {"rowTax": {"currencyCode": "USD", "value": f"{amount(given.get('tax', 0), 'rowTax'):.2f}"}}
        return {
            "orderRowSequence": "10",
            "productId": 1000 if product is None else product["id"],
            "productName": name,
            **({} if product is None else {"productSku": product["identity"]["sku"]}),
            "quantity": {"magnitude": f"{quantity:.4f}"},
            "itemCost": money,
            "productPrice": money,
            "discountPercentage": "0.00",
            "rowValue": value,
            "nominalCode": str(given.get("nominalCode") or "4000"),
            "composition": {"bundleParent": False, "bundleChild": False, "parentOrderRowId": 0},
            "clonedFromId": 0,
            "_stocked": product is not None and product["stock"]["stockTracked"],
        }


def _total(rows: Doc) -> Doc:
    net = sum((Decimal(row["rowValue"]["rowNet"]["value"]) for row in rows.values()), Decimal(0))
    tax = sum((Decimal(row["rowValue"]["rowTax"]["value"]) for row in rows.values()), Decimal(0))
    amounts = {"net": net, "taxAmount": tax, "baseNet": net, "baseTaxAmount": tax, "baseTotal": net + tax, "total": net + tax}
    return {name: f"{value:.2f}" for name, value in amounts.items()}
