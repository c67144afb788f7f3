"""Subscriptions, and the webhooks that tell of changes: ids only, as the subscription's template words them."""

from __future__ import annotations

import json
from typing import Final

from towpath.sandbox.brightpearl.records import Account, Records, id_set, listed, missing, numbers
from towpath.sandbox.brightpearl.settings import BrightpearlSettings
from towpath.sandbox.kit.clock import stamp
from towpath.sandbox.kit.messages import Answer, Call, Handler, Refusal
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World

EVENTS: Final = (
    "goods-out-note.created",
    "goods-out-note.destroyed",
    "goods-out-note.modified",
    "goods-out-note.modified.printed",
    "goods-out-note.modified.picked",
    "goods-out-note.modified.packed",
    "goods-out-note.modified.shipped",
    "goods-in-note.created",
    "order.modified",
    "order.modified.fully-shipped",
    "order.modified.order-status",
    "sales-order.created",
    "product.created",
    "product.modified",
    "product.destroyed",
    "product.modified.on-hand-modified",
)
SUBSCRIBED: Final = (
    "goods-in-note.created",
    "goods-out-note.created",
    "goods-out-note.modified.shipped",
    "order.modified.order-status",
    "product.created",
    "product.modified",
    "product.modified.on-hand-modified",
)
"""What the account subscribes to where `webhook_url` is set."""
FIELDS: Final = ("account-code", "resource-type", "id", "lifecycle-event", "full-event", "raised-on", "brightpearl-version")
NAMES: Final = ("accountCode", "resourceType", "id", "lifecycleEvent", "fullEvent", "raisedOn", "brightpearlVersion")
TEMPLATE: Final = json.dumps({name: "${" + ("resource-id" if field == "id" else field) + "}" for name, field in zip(NAMES, FIELDS, strict=True)})


class Hooks:
    """The webhooks of one account; those of one call that are alike become one with a set of ids, where that is accepted."""

    def __init__(self, world: World, account: Account, settings: BrightpearlSettings) -> None:
        self._world, self._settings = world, settings
        self.records = Records(account, "webhook", 121)
        self._raised: dict[str, list[int]] = {}
        if settings.webhook_url is not None and not self.records.all():
            for event in SUBSCRIBED:
                body = {"subscribeTo": event, "uriTemplate": settings.webhook_url, "bodyTemplate": TEMPLATE, "idSetAccepted": settings.id_sets}
                self._add(body | {"httpMethod": "POST", "contentType": "application/json", "qualityOfService": 1})

    def tell(self, event: str, number: int) -> None:
        """Note that something happened; `flush` sends it."""
        ids = self._raised.setdefault(event, [])
        if number not in ids:
            ids.append(number)

    def flushed(self, handle: Handler) -> Handler:
        """Return the handler with the webhooks of what it did sent after it."""

        def answer(call: Call) -> Answer:
            self._raised.clear()
            given = handle(call)
            self.flush()
            return given

        return answer

    def flush(self) -> None:
        """Queue what was told."""
        raised, self._raised = self._raised, {}
        for subscription in self.records.all() if self._world.outbox.enabled else ():
            ids = raised.get(subscription["subscribeTo"], [])
            if not ids or subscription["uriTemplate"] != self._settings.webhook_url:
                continue
            for one in [id_set(ids)] if subscription["idSetAccepted"] else map(str, ids):
                self._queue(subscription, one)

    def subscribe(self, call: Call) -> Answer:
        """Answer `POST webhook`; only those to `webhook_url` are sent anywhere."""
        body = call.json()
        event = body.get("subscribeTo")
        if event not in EVENTS:
            raise Refusal(400, "INTC-064", f"{event} either does not exist or cannot be subscribed too")
        return Answer(body={"response": self._add(body)})

    def get(self, call: Call) -> Answer:
        """Answer `GET webhook/{ids}`."""
        found = self.records.chosen(call.params["ids"])
        if not found:
            raise missing("webhook", call.params["ids"])
        return listed(found)

    def delete(self, call: Call) -> Answer:
        """Answer `DELETE webhook/{ids}`."""
        for number in numbers(call.params["ids"]):
            self._world.store.delete("webhook", number)
        return Answer(body={})

    def _add(self, body: Doc) -> int:
        number = self.records.next_id()
        self.records.write(number, {"id": number, "httpMethod": "POST", "idSetAccepted": False, "qualityOfService": 0, **body})
        return number

    def _queue(self, subscription: Doc, ids: str) -> None:
        event = subscription["subscribeTo"]
        resource, _, cycle = event.partition(".")
        raised_on = stamp(self._world.clock.now())[:-4] + "Z"
        values = {"account-code": self._settings.account, "resource-type": resource, "resource-id": ids, "lifecycle-event": cycle.partition(".")[0]}
        values |= {"full-event": event, "raised-on": raised_on, "brightpearl-version": "4.95.2647"}
        body = subscription["bodyTemplate"]
        for name, value in values.items():
            body = body.replace("${" + name + "}", value)
        self._world.outbox.tell(event, body)
