"""Shopify's Admin API as far as the example needs it: orders by REST, stock by GraphQL, and webhooks that carry whole orders."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from pydantic import Field

from towpath.sandbox.kit.clock import stamp
from towpath.sandbox.kit.messages import Answer, Call, Control, Endpoint, Refusal
from towpath.sandbox.kit.settings import Settings
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import Site, System, World

BASE: Final = "/admin/api/2025-07"
MOST: Final = 1_000_000_000
LOCATION: Final = "gid://shopify/Location/1"


class ShopifySettings(Settings):
    """One shop; its limit is that of the standard plan."""

    access_token: str = "shpat-towpath-sandbox-token"  # noqa: S105 - made up
    webhook_secret: str = Field(default="shopify-sandbox-client-secret")


class Shop:
    """One shop over its store."""

    def __init__(self, world: World, settings: ShopifySettings) -> None:
        self._store, self._clock, self._outbox, self._settings = world.store, world.clock, world.outbox, settings

    def authenticate(self, call: Call) -> str:
        """Return who calls; raises Refusal(401)."""
        if not hmac.compare_digest(call.headers.get("x-shopify-access-token", "").encode(), self._settings.access_token.encode()):
            raise Refusal(401, "unauthorized", "[API] Invalid API key or access token (unrecognized login or wrong password)")
        return "app"

    def orders(self, call: Call) -> Answer:
        """Answer `GET orders.json`, a page of orders by `updated_at`; the next one is named in `Link`."""
        after = int(call.query.get("page_info", "0"))
        page = self._store.get("page", after)
        since = _moment(page["since"] if page else call.query.get("updated_at_min", ""))
        found = [order for order in self._store.find("order", by="updated_at") if _moment(order["updated_at"]) >= since]
        start, limit = (after % 10_000) if after else 0, int(call.query.get("limit", "50"))
        headers = {}
        if start + limit < len(found):
            number = self._store.add("page") * 10_000 + start + limit
            self._store.put("page", number, {"number": number, "since": since.isoformat()})
            headers = {"Link": f'<https://shop.example{BASE}/orders.json?limit={limit}&page_info={number}>; rel="next"'}
        return Answer(200, {"orders": found[start : start + limit]}, headers)

    def graphql(self, call: Call) -> Answer:
        """Answer the two questions that the example asks."""
        given = call.json()
        variables = given.get("variables") if isinstance(given, dict) else None
        if not isinstance(variables, dict):
            raise Refusal(400, "bad_request", "variables: expected an object")
        return Answer(200, {"data": self._set(variables["input"]) if "inventorySetQuantities" in given["query"] else self._find(variables)})

    def _find(self, variables: Doc) -> Doc:
        wanted = json.loads(variables["sku"].removeprefix("sku:"))
        nodes = []
        for row in self._store.find("variant", [("sku", "=", wanted)]):
            level = {"quantities": [{"quantity": row["available"]}]} if variables["location"] == LOCATION else None
            nodes.append({"sku": row["sku"], "inventoryItem": {"id": row["id"], "inventoryLevel": level}})
        return {"productVariants": {"nodes": nodes}}

    def _set(self, given: Doc) -> Doc:
        (wanted,), errors = given["quantities"], []
        (row,) = self._store.find("variant", [("id", "=", wanted["inventoryItemId"])])
        if wanted["compareQuantity"] != row["available"]:
            errors.append({"code": "COMPARE_QUANTITY_STALE", "field": ["input"], "message": "The compareQuantity value does not match."})
        elif not 0 <= wanted["quantity"] <= MOST:
            errors.append({"code": "INVALID_QUANTITY_TOO_HIGH", "field": ["input"], "message": "The quantity can't be higher than 1,000,000,000."})
        else:
            self._store.put("variant", row["sku"], {**row, "available": wanted["quantity"]})
        return {"inventorySetQuantities": {"inventoryAdjustmentGroup": None if errors else {"id": "gid://shopify/1"}, "userErrors": errors}}

    async def put_order(self, call: Call) -> Answer:
        """Answer `PUT /_sandbox/orders/{id}`: merge into an order, made where there is none, and tell of it."""
        number = int(call.params["id"])
        with self._store.transaction():
            order = {**(self._store.get("order", number) or _order(number, self._now())), **call.json(), "updated_at": self._now()}
            self._store.put("order", number, order)
            self._outbox.tell("orders/updated", json.dumps(order))
        return Answer(body=order)

    async def put_variant(self, call: Call) -> Answer:
        """Answer `PUT /_sandbox/variants/{sku}`: stock a product."""
        with self._store.transaction():
            row: Doc = {
                "sku": call.params["sku"],
                "id": f"gid://shopify/InventoryItem/{call.params['sku']}",
                "available": int(call.json()["available"]),
            }
            self._store.put("variant", row["sku"], row)
        return Answer(body=row)

    def _now(self) -> str:
        return stamp(self._clock.now())


def _order(number: int, now: str) -> Doc:
    address = {"first_name": "Zoë", "last_name": "Müller", "address1": "Hauptstr. 5", "city": "Berlin", "zip": "10115", "country_code": "DE"}
    line = {"id": number * 10, "sku": "CAP-1", "name": "Cap", "quantity": 2, "price": "9.99", "tax_lines": [{"price": "3.80", "rate": 0.19}]}
    return {
        "id": number,
        "name": f"#{number}",
        "email": "zoe@shop.example",
        "created_at": now,
        "cancelled_at": None,
        "currency": "EUR",
        "financial_status": "paid",
        "taxes_included": False,
        "total_price": "28.68",
        "total_tax": "3.80",
        "total_discounts": "0.00",
        "customer": {"id": 7, "first_name": "Zoë", "last_name": "Müller"},
        "billing_address": address,
        "shipping_address": address,
        "line_items": [line],
        "shipping_lines": [{"title": "DHL", "price": "4.90", "tax_lines": []}],
        "gateway": "shopify_payments",
    }


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise Refusal(400, "bad_request", f"updated_at_min: {text} is no time") from None


def sign(secret: str, webhook_id: str, body: str) -> Mapping[str, str]:
    """Return the headers of a webhook: the HMAC of its body alone."""
    signature = base64.b64encode(hmac.digest(secret.encode(), body.encode(), "sha256")).decode()
    return {"X-Shopify-Hmac-Sha256": signature, "X-Shopify-Webhook-Id": webhook_id, "X-Shopify-Topic": "orders/updated"}


def refuse(refusal: Refusal) -> Answer:
    """Return a refusal as Shopify words it."""
    return Answer(refusal.status, {"errors": refusal.message}, refusal.headers)


def _open(world: World, settings: Any) -> Site:  # noqa: ANN401 - the toolkit hands back what SYSTEM.settings made
    shop = Shop(world, ShopifySettings.model_validate(settings))
    endpoints = [Endpoint("GET", f"{BASE}/orders.json", shop.orders), Endpoint("POST", f"{BASE}/graphql.json", shop.graphql, write=True)]
    controls = [Control("PUT", "/_sandbox/orders/{id}", shop.put_order), Control("PUT", "/_sandbox/variants/{sku}", shop.put_variant)]
    return Site(endpoints, shop.authenticate, refuse, {"orders": "order", "variants": "variant"}, controls)


SYSTEM: Final = System("shopify", ShopifySettings, _open, {"order": ("updated_at",)}, sign)
