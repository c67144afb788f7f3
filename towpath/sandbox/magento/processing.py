"""What changes an order after it was placed: it is paid (invoiced), cancelled, commented on; its state follows what is invoiced and shipped."""

from __future__ import annotations

from typing import Final

from towpath.sandbox.kit.messages import Answer, Call
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.magento.gateway import Gateway
from towpath.sandbox.magento.goods import number
from towpath.sandbox.magento.shop import Shop
from towpath.sandbox.magento.wording import Worded

ENDED: Final = frozenset({"canceled", "closed", "complete", "holded", "payment_review"})
PAID_INVOICE: Final = 2


class Processing:
    """The order processing of one shop; the caller opens the transaction."""

    def __init__(self, shop: Shop, gateway: Gateway) -> None:
        self._shop, self._store, self._gateway = shop, shop.store, gateway

    def invoice(self, call: Call) -> Answer:
        """Answer `POST order/{id}/invoice` with the invoice's id, a bare number; all of the order is invoiced."""
        order, body = self._shop.order(call.params["orderId"]), call.json() if call.body else {}
        if order["state"] in ENDED or order.get("total_paid", 0) >= order["grand_total"]:
            raise Worded(400, "Invoice Document Validation Error(s):\nThe order does not allow an invoice to be created.")
        if body.get("capture"):
            self._gateway.require("capture")
        one = self.pay(order, (body.get("comment") or {}).get("comment"))
        if body.get("notify"):
            self._shop.mail("sales_email_invoice_template", order, invoice_id=one)
        return Answer(body=one)

    def pay(self, order: Doc, comment: str | None = None, *, untraced: bool = False) -> int:
        """Invoice all of an order, which captures its payment, `untraced` without a transaction; return the invoice's id."""
        one, moment, total = self._store.add("id/invoice"), self._shop.now(), order["grand_total"]
        transaction = None if untraced else f"txn_{order['entity_id']}"
        row = {"entity_id": one, "increment_id": f"{one:09d}", "order_id": order["entity_id"], "state": PAID_INVOICE, "grand_total": total}
        row |= {"transaction_id": transaction, "order_currency_code": order["order_currency_code"], "created_at": moment, "updated_at": moment}
        row["comments"] = [] if comment is None else [{"entity_id": one, "parent_id": one, "comment": comment, "is_visible_on_front": 0}]
        self._store.put("invoice", one, row)
        for item in order["items"]:
            item["qty_invoiced"] = item["qty_ordered"]
        order |= {"total_paid": total, "total_due": 0, "total_invoiced": total}
        order["payment"] |= {"last_trans_id": transaction, "amount_paid": total}
        settle(order)
        self._shop.save(order)
        return one

    def cancel(self, call: Call) -> Answer:
        """Answer `POST orders/{id}/cancel`: false, and nothing done, for an order that is paid, shipped or over."""
        return Answer(body=self.drop(self._shop.order(call.params["id"])))

    def drop(self, order: Doc) -> bool:
        """Cancel what is left of an order and give it free; False where there is nothing to cancel."""
        sent = any(item["qty_shipped"] or item["qty_invoiced"] for item in order["items"])
        if order["state"] in ENDED or sent:
            return False
        parents = {item.get("parent_item_id") for item in order["items"]}
        for item in order["items"]:
            item["qty_canceled"] = item["qty_ordered"]
            if item["item_id"] not in parents:
                self._shop.inventory.reserve(item["sku"], item["qty_ordered"], "order_canceled", order["entity_id"])
        order |= {"state": "canceled", "status": "canceled", "total_canceled": order["grand_total"]}
        self._shop.save(order)
        return True

    def comment(self, call: Call) -> Answer:
        """Answer `POST orders/{id}/comments` with true; the order takes on the status that the comment has."""
        order, body = self._shop.order(call.params["id"]), call.json()
        given = body.get("statusHistory") if isinstance(body, dict) else None
        if not isinstance(given, dict) or not given.get("comment"):
            raise Worded(400, '"%fieldName" is required. Enter and try again.', {"fieldName": "statusHistory"})
        row = {"entity_id": self._store.add("id/comment"), "parent_id": order["entity_id"], "created_at": self._shop.now(), **given}
        order["status_histories"] = [{**row, "entity_name": "order"}, *order["status_histories"]]
        order["status"] = given.get("status") or order["status"]
        self._shop.save(order)
        return Answer(body=True)


def settle(order: Doc) -> None:
    """Set the state that follows: complete only when all is both invoiced and shipped."""
    own = [item for item in order["items"] if "parent_item_id" not in item]
    done = order.get("total_invoiced", 0) >= order["grand_total"] and all(item["qty_shipped"] >= number(item["qty_ordered"]) for item in own)
    state = "complete" if done else "processing"
    order |= {"state": state, "status": state}
