"""Sales credits: whole or not at all, as sales orders are; closing one invoices it, and its customer is owed the money then."""

from __future__ import annotations

from towpath.sandbox.brightpearl.orders import Orders
from towpath.sandbox.brightpearl.records import part
from towpath.sandbox.brightpearl.settings import MAIN, BrightpearlSettings
from towpath.sandbox.kit.messages import Answer, Call, Refusal

INVOICED = 4


class Credits:
    """The sales credits of one account; externalRef with the id of the instance app is unique among them."""

    def __init__(self, settings: BrightpearlSettings, orders: Orders) -> None:
        self._settings, self._orders = settings, orders

    def create(self, call: Call) -> Answer:
        """Answer `POST sales-credit`; a known externalRef of the same instance changes nothing."""
        body = call.json()
        reference, instance = body.get("externalRef"), body.get("installedIntegrationInstanceId")
        if reference is not None and instance is not None:
            known = self._orders.records.all([("_external_ref", "=", str(reference).casefold()), ("_type", "=", 3)])
            if mine := [doc for doc in known if doc["_instance"] == instance]:
                return Answer(body={"response": mine[0]["id"]} if self._settings.duplicate_answer == "id" else {})
        parent = None if body.get("parentId") is None else self._orders.records.get(body["parentId"])
        if body.get("parentId") is not None and parent is None:
            raise Refusal(400, "ORDC-040", f"Order {body['parentId']} does not exist")
        given = {"reference": body.get("ref", ""), "warehouseId": body.get("warehouseId", MAIN), "placedOn": body.get("placedOn")}
        given |= {"taxDate": body.get("taxDate"), "currency": part(body, "currency").get("code"), "external": reference, "instance": instance}
        rows = [self._orders.row(row) for row in body.get("rows", [])]
        doc = self._orders.add(self._orders.records.next_id(), "SC", part(body, "customer").get("id"), given, rows)
        self._orders.write(doc, {"parentOrderId": 0 if parent is None else parent["id"]})
        return Answer(body={"response": doc["id"]})

    def close(self, call: Call) -> Answer:
        """Answer `POST sales-credit/{id}/close`: it is invoiced; raises Refusal(400) for one that is."""
        credit = self._orders.records.need(call.params["ids"])
        if credit["orderTypeCode"] != "SC" or credit["invoices"][0]["invoiceReference"]:
            raise Refusal(400, "ORDC-041", f"Order {credit['id']} cannot be closed")
        invoice = {**credit["invoices"][0], "invoiceReference": f"SC-{credit['id']}"}
        self._orders.put_status(self._orders.write(credit, {"invoices": [invoice]}), INVOICED)
        return Answer(body={})
