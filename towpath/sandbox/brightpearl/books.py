"""What hardly changes (tax codes, price lists), payments, and journal entries.

The body of `journal-entry` is not published whole: it is that of the deprecated `journal` here, and its search is made up in the form of the others.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from towpath.sandbox.brightpearl.records import Account, Records, amount, part
from towpath.sandbox.brightpearl.search import Column, Search
from towpath.sandbox.kit.messages import Answer, Call, Refusal
from towpath.sandbox.kit.store import Doc

TAX_CODES: Final = (
    {"id": 1, "code": "Z", "description": "Exempt"},
    {"id": 2, "code": "T", "description": "Standard", "rate": 10.0},
    {"id": 9, "code": "13", "description": "IVA 13", "rate": 13.0},
    {"id": 10, "code": "T20", "description": "VAT 20", "rate": 20.0},
)
TYPES: Final = ("RECEIPT", "PAYMENT", "AUTH", "CAPTURE", "VOID")


class Books:
    """The payments of one account; a transactionRef is unique with its payment method, where one is given."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.payments = Records(account, "payment", 935_253)
        self.journals = Records(account, "journal", 3_113_824)
        self.journal_search = Search(
            self.journals,
            [
                Column("journalId", "IDSET", lambda doc: doc["id"], "_id"),
                Column("description", "STRING", lambda doc: doc["description"], "_description"),
                Column("taxDate", "PERIOD", lambda doc: doc["taxDate"]),
            ],
        )
        texts = ("transactionRef", "transactionCode", "paymentMethodCode", "paymentType")
        self.search = Search(
            self.payments,
            [
                Column("paymentId", "IDSET", lambda doc: doc["_id"], "_id"),
                *(Column(name, "STRING", lambda doc, name=name: doc[name]) for name in texts),  # type: ignore[misc]  # bound at once
                Column("orderId", "IDSET", lambda doc: doc["orderId"], "orderId"),
                Column("currencyId", "IDSET", lambda _doc: 2),
                Column("currencyCode", "STRING", lambda doc: doc["currencyIsoCode"]),
                Column("amountAuthorized", "STRING", lambda _doc: "0.00"),
                Column("amountPaid", "STRING", lambda doc: doc["amountPaid"]),
                Column("expires", "PERIOD", lambda _doc: None),
                Column("paymentDate", "PERIOD", lambda doc: doc["paymentDate"]),
                Column("createdOn", "PERIOD", lambda doc: doc["createdOn"]),
                Column("journalId", "IDSET", lambda doc: doc["_id"] + 1_000_000),
            ],
        )

    def pay(self, call: Call) -> Answer:
        """Answer `POST customer-payment`."""
        number, body = self.payments.next_id(), call.json()
        order = self._account.store.get("order", str(body.get("orderId")))
        if order is None:
            raise Refusal(400, "ACCC-012", f"Order {body.get('orderId')} does not exist")
        self.put(number, body)
        paid = sum(Decimal(doc["amountPaid"]) for doc in self.payments.all() if (doc["orderId"], doc["paymentType"]) == (order["id"], "RECEIPT"))
        status = "PAID" if paid >= Decimal(order["totalValue"]["total"]) else "PARTIALLY_PAID"
        self._account.store.put("order", order["id"], {**order, "orderPaymentStatus": status})
        return Answer(body={"response": number})

    def post(self, call: Call) -> Answer:
        """Answer `POST journal-entry`; raises Refusal(400) for one that does not balance."""
        body = call.json()
        sides = {side: [self._side(row, side) for row in body.get(side) or []] for side in ("debits", "credits")}
        debit, credit = (sum((row["_value"] for row in rows), Decimal(0)) for rows in sides.values())
        if not sides["debits"] or debit != credit:
            raise Refusal(400, "ACCC-020", f"The journal does not balance: debits are {debit}, credits {credit}")
        if body.get("currency", "USD") == "USD" and Decimal(str(body.get("exchangeRate", 1))) != 1:
            raise Refusal(400, "ACCC-021", "The exchange rate of the base currency is 1")
        rows = {side: [{**row, "_value": str(row["_value"])} for row in found] for side, found in sides.items()}
        number, now = self.journals.next_id(), self._account.now()
        about = {"description": str(body.get("description") or ""), "taxDate": self._account.day("taxDate", body.get("taxDate") or now)}
        self.journals.write(
            number,
            {
                "id": number,
                **about,
                "_description": about["description"].casefold(),
                "currency": body.get("currency", "USD"),
                **rows,
                "createdOn": now,
            },
        )
        return Answer(body={"response": number})

    def _side(self, row: Doc, side: str) -> Doc:
        if not row.get("nominalCode"):
            raise Refusal(400, "ACCC-022", f"A row of {side} has no nominalCode")
        return {"nominalCode": str(row["nominalCode"]), "orderId": row.get("orderId"), "_value": amount(part(row, "change").get("value"), "value")}

    def put(self, number: int, body: Doc) -> None:
        """Write a payment under a number; raises Refusal(400) for one that is known, or none."""
        if body.get("paymentType") not in TYPES:
            raise Refusal(400, "ACCC-010", f"{body.get('paymentType')} is no payment type")
        reference, method = body.get("transactionRef"), body.get("paymentMethodCode")
        if reference and any((doc["transactionRef"], doc["paymentMethodCode"]) == (reference, method) for doc in self.payments.all()):
            raise Refusal(400, "ACCC-011", f"A payment with transaction reference {reference} exists")
        now = self._account.now()
        doc = {"transactionRef": reference or "", "transactionCode": body.get("transactionCode", ""), "paymentMethodCode": method}
        doc |= {"paymentType": body["paymentType"], "orderId": body["orderId"], "currencyIsoCode": body.get("currencyIsoCode", "USD")}
        paid_at = self._account.shown(self._account.read("paymentDate", body.get("paymentDate", now)))
        self.payments.write(
            number, {**doc, "amountPaid": f"{amount(body.get('amountPaid', 0), 'amountPaid'):.2f}", "paymentDate": paid_at, "createdOn": now}
        )

    def tax_code(self, call: Call) -> Answer:
        """Answer `GET tax-code` and `GET tax-code/{id}`."""
        wanted = call.params.get("ids")
        return Answer(body={"response": [row for row in TAX_CODES if wanted in {None, str(row["id"])}]})

    def price_list(self, call: Call) -> Answer:
        """Answer `GET price-list/{id}`."""
        number = int(call.params["ids"])
        name = {"languageCode": "en", "text": "Cost" if number == 1 else "Retail", "format": "PLAINTEXT"}
        row = {"id": number, "name": name, "code": name["text"].upper(), "currencyCode": "USD", "currencySymbol": "$", "currencyId": 1}
        return Answer(body={"response": [{**row, "priceListTypeCode": "BUY" if number == 1 else "SELL", "gross": False}]})
