"""What each order holds of its targets' stock: from its placing until they know it, and from their cancelling it until its shop has. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from processors.clientele import STANDS
from processors.orders import Order, fact_key, state_key
from processors.port import ReadState, Step
from processors.routing import Routed, Router
from processors.stock import DROPPED, HELD, RETURNING, STANDING
from processors.stockroom import HOLDS
from towpath.codec import Codec
from towpath.delivery.deadletters import DISCARDED
from towpath.events import Event, StockHold
from towpath.records import Output

CANCEL: Final = "cancel_order"


class Holdings:
    """What the orders of a deployment hold; the shelves hear of it by `holds`."""

    def __init__(self, router: Router, codec: Codec) -> None:
        self._router, self._codec = router, codec
        self.stocked = frozenset(route.source for route in router.routes if route.event == "StockChanged")
        self._placed_at = {route.name: route.target for route in router.routes if route.event == "OrderPlaced"}
        self._status_of = {
            route.name: route.source for route in router.routes if route.event == "OrderStatusChanged" and route.source in self.stocked
        }

    def remembered(self, event: Event, order: Order | None, routed: Routed) -> dict[bytes, bytes]:
        """Return what an order's own events leave in the state; new ones hold stock, cancelled ones let it go. What is said of it is `routed`."""
        key, at = event.meta["key"], event.meta["received_at"]
        if event.type == "OrderPlaced":
            if order is not None:
                again = order._replace(status=event.value["status"], payment_status=event.value["payment_status"])
                return {state_key(key): again.changed(event).dump()}
            order = Order.of(event, self.stocked & self._router.targets(event) if self.stocked else ())
            for source in sorted(order.holding):
                routed.outputs += self._say(order.holds(key, HELD, source, at))
            return {state_key(key): order.dump()}
        if order is None:
            return {}
        if event.type == "OrderChanged":
            changed = order.changed(event)
            gone = order._replace(taken={sku: pieces for sku, pieces in order.taken.items() if sku not in changed.taken})
            for source in sorted(order.holding | order.returning.keys()):
                routed.outputs += self._say(gone.holds(key, DROPPED, source, at))
            return {state_key(key): changed.dump()}
        if event.type == "OrderCancelled":
            stocks = self.stocked & self._router.targets(event)
            for source in sorted(stocks):
                routed.outputs += self._say(order.holds(key, DROPPED, source, at))
            return {state_key(key): order.without(*stocks).dump()}
        return {}

    def put_back(self, event: Event, order: Order | None, routed: Routed, read: ReadState) -> dict[bytes, bytes]:
        """Return what is left in the state by a status that cancels the order at its shop as well, whatever it was read for.

        The shop puts the goods back itself once it cancels, so they must not be in its number before.
        """
        source, key = event.meta["connection"], event.meta["key"]
        if order is None or source not in self.stocked or CANCEL not in routed.asked:
            return {}
        if read(fact_key(Event("OrderCancelled", event.value))) is not None:
            return {}
        routed.outputs += self._say(order.holds(key, RETURNING, source, event.meta["received_at"]))
        return {state_key(key): order.returned(source, event.meta["event_id"]).dump()}

    def told(self, receipt: Mapping[str, Any], read: ReadState) -> Step:
        """Return what a receipt leads to.

        An order that stands at its target holds stock there until the target's own figures say so; one that was cancelled there holds it
        until its shop was told.
        """
        flow, key = receipt["flow"], receipt["key"]
        discarded = receipt["outcome"] == DISCARDED
        if not discarded and receipt["hop"] != "sink":
            return Step()
        if (source := self._status_of.get(flow)) is not None:
            return self._cancelled(receipt, source, read)
        source = self._placed_at.get(flow)
        if source is None or not (discarded or receipt["outcome"] in STANDS):
            return Step()
        order = Order.load(read(state_key(key)))
        if order is None or (source in order.standing and source not in order.holding):
            return Step()
        state = DROPPED if discarded else STANDING
        holds = order.holds(key, state, source, receipt["at"], receipt["external_at"]) if source in order.holding else []
        standing = order.standing if discarded else order.standing | {source}
        return Step(self._say(holds), {state_key(key): order._replace(holding=order.holding - {source}, standing=standing).dump()})

    def _cancelled(self, receipt: Mapping[str, Any], source: str, read: ReadState) -> Step:
        """Return what becomes of the goods of an order whose shop was told that the source cancelled it; a discard does not say by which event."""
        key = receipt["key"]
        order = Order.load(read(state_key(key)))
        event_id = None if order is None else order.returning.get(source)
        if order is None or event_id is None or (receipt["outcome"] != DISCARDED and receipt["event_id"] != event_id):
            return Step()
        return Step(self._say(order.holds(key, DROPPED, source, receipt["at"])), {state_key(key): order.without(source).dump()})

    def _say(self, holds: Sequence[StockHold]) -> list[Output]:
        return [Output(HOLDS, hold["sku"].encode(), self._codec.encode("StockHold", hold)) for hold in holds]
