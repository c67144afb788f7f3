"""What changes the status of an order (Nop.Services, Orders/OrderProcessingService.cs), by the API or at the shop; GETs that write, as there.

Each change that was made is told by the plugin's webhook, whoever made it: `order.paid`, `order.cancelled`, and `order.changed` for the rest.
"""

from __future__ import annotations

from collections.abc import Callable

from towpath.sandbox.kit.messages import Answer, Call, Endpoint
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World
from towpath.sandbox.nopcommerce import status
from towpath.sandbox.nopcommerce.api import BASE
from towpath.sandbox.nopcommerce.parcels import Parcels
from towpath.sandbox.nopcommerce.query import flag, identifier
from towpath.sandbox.nopcommerce.settings import NopSettings
from towpath.sandbox.nopcommerce.shop import Shop


class Processing:
    """The order processing of one shop; the caller opens the transaction."""

    def __init__(self, world: World, settings: NopSettings, shop: Shop) -> None:
        self._store, self._settings, self._shop = world.store, settings, shop
        self._parcels = Parcels(world.store)

    def endpoints(self) -> list[Endpoint]:
        """Return the paths that take an order's id."""

        def get(name: str, act: Callable[[Call, Doc], bool | None], *, write: bool = False) -> Endpoint:
            return Endpoint("GET", f"{BASE}/OrderProcessing/{name}/{{orderId}}", lambda call: Answer(body=act(call, self._order(call))), write=write)

        return [
            get("CanCancelOrder", lambda _call, order: can_cancel(order)),
            get("CancelOrder", lambda call, order: self.cancel(order, notify=flag(call, "notifyCustomer")), write=True),
            get("CanMarkOrderAsPaid", lambda _call, order: can_pay(order)),
            get("MarkOrderAsPaid", lambda _call, order: self.pay(order), write=True),
            get("CheckOrderStatus", lambda _call, order: self._check_and_tell(order), write=True),
        ]

    def cancel(self, order: Doc, *, notify: bool) -> None:
        """Cancel an order and put all that it sold back, shipped or not, as the shop does; raises Refusal(400) for a cancelled one."""
        if not can_cancel(order):
            raise status.forbidden("Cannot do cancel for order.")
        self._set(order, status.CANCELLED, notify=notify)
        stock, parcels = self._shop.inventory, self._parcels
        for item in parcels.sent(order):
            for product in parcels.product(item):
                stock.unbook(product, item["warehouse_id"], item["quantity"])
        for item in self._shop.items(order["id"]):
            stock.adjust(self._shop.need("product", item["product_id"]), item["quantity"], "cancel", order["id"])
        self._shop.tell("order.cancelled", "order", order["id"])

    def pay(self, order: Doc) -> None:
        """Mark an order as paid; raises Refusal(400) for a cancelled, paid, refunded or voided one."""
        if not can_pay(order):
            raise status.forbidden("You can't mark this order as paid")
        order |= {"payment_status_id": status.PAID, "paid_date_utc": self._shop.now()}
        self._store.put("order", order["id"], order)
        self.check(order)
        self._shop.tell("order.paid", "order", order["id"])

    def check(self, order: Doc) -> None:
        """Move an order on: paid, authorised or shipped makes a pending one processing; paid and delivered (or shipped) makes it complete."""
        if order["payment_status_id"] == status.PAID and order["paid_date_utc"] is None:
            order["paid_date_utc"] = self._shop.now()
            self._store.put("order", order["id"], order)
        started = order["payment_status_id"] in {status.AUTHORIZED, status.PAID} or order["shipping_status_id"] in status.UNDER_WAY
        if order["order_status_id"] == status.PENDING and started:
            self._set(order, status.PROCESSING, notify=False)
        if order["order_status_id"] in {status.CANCELLED, status.COMPLETE} or order["payment_status_id"] != status.PAID:
            return
        there = {status.NO_SHIPPING, status.DELIVERED}
        if order["shipping_status_id"] in there | ({status.SHIPPED} if not self._settings.complete_order_when_delivered else set()):
            self._set(order, status.COMPLETE, notify=True)

    def _set(self, order: Doc, to: int, *, notify: bool) -> None:
        if order["order_status_id"] == to:
            return
        order["order_status_id"] = to
        self._store.put("order", order["id"], order)
        template = {status.COMPLETE: "OrderCompleted", status.CANCELLED: "OrderCancelled"}.get(to)
        if notify and template:
            self._shop.mail(f"{template}.CustomerNotification", order)

    def _check_and_tell(self, order: Doc) -> None:
        before = dict(order)
        self.check(order)
        if order != before:
            self._shop.tell("order.changed", "order", order["id"])

    def _order(self, call: Call) -> Doc:
        return self._shop.need("order", identifier(call.params["orderId"], "orderId"))


def can_cancel(order: Doc) -> bool:
    """Return whether the shop would cancel an order: any but a cancelled one, even when it was shipped."""
    return bool(order["order_status_id"] != status.CANCELLED)


def can_pay(order: Doc) -> bool:
    """Return whether the shop would mark an order as paid."""
    return can_cancel(order) and order["payment_status_id"] not in {status.PAID, status.REFUNDED, status.VOIDED}
