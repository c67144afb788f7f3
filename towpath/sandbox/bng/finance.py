"""Invoices, payments, general ledger entries and credit memos."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from towpath.sandbox.bng import kinds
from towpath.sandbox.bng.records import Kind, Records
from towpath.sandbox.kit.contract import Contract
from towpath.sandbox.kit.messages import Answer, Call, Refusal
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World


class Finance:
    """The books of one BNG server."""

    def __init__(self, world: World, contract: Contract) -> None:
        self._world, self._contract = world, contract

    def invoice(self, order: Doc) -> None:
        """Write the invoice of an order that has none yet, and tell about it."""
        invoices = self._records(kinds.INVOICES)
        if invoices.first("SalesOrderID", order["SalesOrderID"]) is None:
            status = "Paid" if order["PaymentStatus"] == "Paid" else "Open"
            body = {"SalesOrderID": order["SalesOrderID"], "Total": order["Total"], "Currency": order["Currency"], "Status": status}
            self._world.outbox.emit("invoice_created", invoices.create(body))

    def pay(self, call: Call) -> Answer:
        """Answer `POST /payments`; an unknown invoice is 422."""
        body = self._body("PaymentCreate", call, {"Description": None})
        self._known(kinds.INVOICES, body["InvoiceID"])
        return Answer(201, self._records(kinds.PAYMENTS).create(body))

    def post_entry(self, call: Call) -> Answer:
        """Answer `POST /gl-entries`; one that does not balance is 422."""
        body = self._body("GlEntryCreate", call, {"Reference": None})
        debit, credit = (sum(Decimal(line[side]) for line in body["Lines"]) for side in ("Debit", "Credit"))
        if debit != credit:
            raise Refusal(422, "unbalanced", f"debit {debit} is not credit {credit}", field="Lines")
        return Answer(201, self._records(kinds.GL_ENTRIES).create(body))

    def credit(self, call: Call) -> Answer:
        """Answer `POST /credit-memos`; an unknown sales order is 422."""
        body = self._body("CreditMemoCreate", call, {"Reference": None, "Reason": None})
        self._known(kinds.SALES_ORDERS, body["SalesOrderID"])
        return Answer(201, self._records(kinds.CREDIT_MEMOS).create(body))

    def _body(self, component: str, call: Call, defaults: dict[str, Any]) -> Doc:
        return {**defaults, **self._contract.check(component, call.json())}

    def _records(self, kind: Kind) -> Records:
        return Records(self._world.store, self._world.clock, kind)

    def _known(self, kind: Kind, key: str) -> None:
        if self._records(kind).get(key) is None:
            raise Refusal(422, f"unknown_{kind.name}", f"no {kind.name} {key}", field=kind.id)
