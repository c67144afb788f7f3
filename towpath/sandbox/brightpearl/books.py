"""What hardly changes (tax codes, price lists), and payments."""

from __future__ import annotations

from typing import Final

from towpath.sandbox.brightpearl.records import Account, Records, amount
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
        number = self.payments.next_id()
        self.put(number, call.json())
        return Answer(body={"response": number})

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
