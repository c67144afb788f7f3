"""Credit memos: money goes back for what is invoiced and not refunded yet, offline, or online through the gateway, which may decline it.

Nothing tells a repetition from a second credit memo: a part that is refunded twice is given back twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from towpath.sandbox.kit.control import checked
from towpath.sandbox.kit.messages import Answer, Call, Control, Endpoint
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.magento.auth import BASE
from towpath.sandbox.magento.gateway import Gateway
from towpath.sandbox.magento.goods import number
from towpath.sandbox.magento.search import Lists
from towpath.sandbox.magento.shop import Shop
from towpath.sandbox.magento.wording import Worded, no_such

REFUNDED: Final = 2
MEMO: Final = "Creditmemo Document Validation Error(s):\n"
CENT: Final = Decimal("0.01")


class Wish(BaseModel):
    """What the shop's staff gives back: pieces by SKU, all that is left where none are named; `shipping` is without tax."""

    model_config = ConfigDict(extra="forbid")
    items: dict[str, int] | None = None
    shipping: bool = True
    adjustment: Decimal = Decimal(0)
    comment: str | None = None


class Refunds:
    """The credit memos of one shop; the caller opens the transaction."""

    def __init__(self, shop: Shop, lists: Lists, gateway: Gateway) -> None:
        self._shop, self._store, self._lists, self._gateway = shop, shop.store, lists, gateway

    def endpoints(self) -> list[Endpoint]:
        """Return the paths of REST V1."""
        return [
            Endpoint("GET", f"{BASE}creditmemos", lambda call: self._lists.page("creditmemo", call)),
            Endpoint("GET", f"{BASE}creditmemo/{{id}}", lambda call: Answer(body=self._memo(call.params["id"]))),
            Endpoint("POST", f"{BASE}order/{{orderId}}/refund", self.refund, write=True),
            Endpoint("POST", f"{BASE}invoice/{{invoiceId}}/refund", self.refund_invoice, write=True),
        ]

    def paths(self) -> list[Control]:
        """Return the paths of the staff."""
        return [Control("POST", "/_sandbox/orders/{id}/refund", self.by_hand)]

    def refund(self, call: Call) -> Answer:
        """Answer `POST order/{id}/refund`, which asks no gateway, with the credit memo's id, a bare number."""
        return Answer(body=self._credited(self._shop.order(call.params["orderId"]), call.json() if call.body else {})["entity_id"])

    def refund_invoice(self, call: Call) -> Answer:
        """Answer `POST invoice/{id}/refund` with the credit memo's id; online the gateway is asked first."""
        invoice, body = self._store.get("invoice", call.params["invoiceId"]), call.json() if call.body else {}
        if invoice is None:
            raise no_such("entityId", call.params["invoiceId"])
        if body.get("isOnline"):
            self._gateway.require("refund")
        return Answer(body=self._credited(self._shop.order(invoice["order_id"]), body, invoice)["entity_id"])

    async def by_hand(self, call: Call) -> Answer:
        """Give back what the staff wishes to, and return the credit memo."""
        wish = checked(Wish, call.json() if call.body else {})
        with self._store.transaction():
            order = self._shop.order(call.params["id"])
            items = None if wish.items is None else [{"order_item_id": self._item(order, sku), "qty": qty} for sku, qty in wish.items.items()]
            up, down = max(wish.adjustment, Decimal(0)), max(-wish.adjustment, Decimal(0))
            arguments: Doc = {"adjustment_positive": up, "adjustment_negative": down} | ({} if wish.shipping else {"shipping_amount": 0})
            comment = None if wish.comment is None else {"comment": wish.comment, "is_visible_on_front": 0}
            body = {"arguments": arguments, "comment": comment} | ({} if items is None else {"items": items})
            return Answer(body=self._credited(order, body))

    def _credited(self, order: Doc, body: Mapping[str, Any], invoice: Doc | None = None) -> Doc:
        """Write a credit memo and all that follows from it; raises Refusal(400) where nothing, or less than that, is left to give back."""
        if order["state"] in {"canceled", "closed", "holded"} or not order.get("total_paid"):
            raise Worded(400, f"{MEMO}The order does not allow a creditmemo to be created.")
        wanted, given = self._wanted(order, body.get("items")), body.get("arguments") or {}
        rows = [_row(item, quantity) for item, quantity in wanted]
        memo = {"order_id": order["entity_id"], "items": rows, **self._amounts(order, rows, given)}
        paid, back = Decimal(str(order["total_paid"])), Decimal(str(order.get("total_refunded", 0)))
        if not 0 <= Decimal(str(memo["grand_total"])) <= paid - back:
            raise Worded(400, f"{MEMO}The most money available to refund is %1.", [str(paid - back)])
        for item, quantity in wanted:
            item["qty_refunded"] += quantity
        order["total_refunded"] = number(back + Decimal(str(memo["grand_total"])))
        order["shipping_refunded"] = number(Decimal(str(order.get("shipping_refunded", 0))) + Decimal(str(memo["shipping_amount"])))
        if order["total_refunded"] >= order["total_paid"]:
            order |= {"state": "closed", "status": "closed"}
        self._shop.save(order)
        return self._write(memo, order, invoice, (body.get("comment") or {}).get("comment"))

    def _write(self, memo: Doc, order: Doc, invoice: Doc | None, comment: str | None) -> Doc:
        one, moment = self._store.add("id/creditmemo"), self._shop.now()
        about = {"entity_id": one, "increment_id": f"{one:09d}", "state": REFUNDED, "order_currency_code": order["order_currency_code"]}
        about |= {"created_at": moment, "updated_at": moment}
        about |= {} if invoice is None else {"invoice_id": invoice["entity_id"], "transaction_id": f"re_{one}"}
        said = [] if comment is None else [{"entity_id": one, "parent_id": one, "comment": comment, "is_visible_on_front": 0}]
        written: Doc = {**about, **memo, "comments": said}
        self._store.put("creditmemo", one, written)
        self._shop.tell("sales_order_creditmemo", written)
        return written

    def _wanted(self, order: Doc, given: Any) -> list[tuple[Doc, float]]:  # noqa: ANN401 - whatever the caller sent
        """Return what is refunded of which item, what is inside another with it; nothing given is all that is left."""
        items, found = {item["item_id"]: item for item in order["items"]}, []
        if given is None:
            given = [{"order_item_id": one, "qty": left} for one, item in items.items() if "parent_item_id" not in item and (left := _left(item))]
        for row in given:
            item, quantity = items.get(int(row["order_item_id"])), float(row["qty"])
            if item is None or "parent_item_id" in item or quantity <= 0 or quantity > _left(item):
                raise Worded(400, f'{MEMO}The quantity to creditmemo must not be greater than the unrefunded quantity for product "%1".', [str(row)])
            found.append((item, quantity))
            inside = [one for one in order["items"] if one.get("parent_item_id") == item["item_id"]]
            found += [(one, quantity * one["qty_ordered"] / item["qty_ordered"]) for one in inside]
        return found

    def _amounts(self, order: Doc, rows: list[Doc], given: Mapping[str, Any]) -> Doc:
        """Return the money fields: items + shipping + tax + discount (which is below zero) + adjustments = total."""
        goods, taxes = (sum((Decimal(str(row[name])) for row in rows), Decimal(0)) for name in ("row_total", "tax_amount"))
        whole, discount = Decimal(str(order["subtotal"])), Decimal(str(order["discount_amount"]))
        left = Decimal(str(order["shipping_amount"])) - Decimal(str(order.get("shipping_refunded", 0)))
        shipping = min(left, Decimal(str(given.get("shipping_amount", left))))
        share = (discount * goods / whole).quantize(CENT, ROUND_HALF_UP) if whole else Decimal(0)
        of_shipping = Decimal(str(order["shipping_tax_amount"])) if shipping and shipping == Decimal(str(order["shipping_amount"])) else Decimal(0)
        up, down = (Decimal(str(given.get(f"adjustment_{name}", 0))) for name in ("positive", "negative"))
        total = goods + shipping + taxes + of_shipping + share + up - down
        found = {"subtotal": goods, "shipping_amount": shipping, "shipping_tax_amount": of_shipping, "tax_amount": taxes + of_shipping}
        found |= {"discount_amount": share, "adjustment_positive": up, "adjustment_negative": down, "adjustment": up - down, "grand_total": total}
        return {name: number(value) for name, value in found.items()}

    def _item(self, order: Doc, sku: str) -> int:
        return next(int(item["item_id"]) for item in order["items"] if item["sku"] == sku and "parent_item_id" not in item)

    def _memo(self, one: str) -> Doc:
        found = self._store.get("creditmemo", one)
        if found is None:
            raise no_such("id", one)
        return found


def _left(item: Doc) -> float:
    return float(item["qty_invoiced"] - item["qty_refunded"])


def _row(item: Doc, quantity: float) -> Doc:
    """Return an item of a credit memo: its share of what the order's item costs."""
    share = Decimal(str(quantity)) / Decimal(str(item["qty_ordered"]))
    money = {name: number((Decimal(str(item[name])) * share).quantize(CENT, ROUND_HALF_UP)) for name in ("row_total", "tax_amount")}
    same = {name: item[name] for name in ("sku", "name", "price", "product_id")}
    return {"entity_id": item["item_id"], "order_item_id": item["item_id"], "qty": number(quantity), **same, **money}
