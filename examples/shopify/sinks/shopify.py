"""Shopify's stock, set by compare-and-set: what the shop sells between the read and the write is never overwritten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from towpath.systems.shopify import BASE

from sinks.base import Document, Operation, Standing, Update
from towpath.errors import DataError, RetryableError
from towpath.http import ApiClient

FIND: Final = """query($sku: String!, $location: ID!) { productVariants(first: 5, query: $sku) { nodes { sku inventoryItem {
 id inventoryLevel(locationId: $location) { quantities(names: ["available"]) { quantity } } } } } }"""
SET: Final = """mutation($input: InventorySetQuantitiesInput!) { inventorySetQuantities(input: $input) {
 inventoryAdjustmentGroup { id } userErrors { code field message } } }"""
FIELDS: Final = (("SKU", str), ("LocationID", str), ("StockQuantity", int), ("RaisedAt", int))


async def _set_stock(api: ApiClient, document: Document, known: int | None) -> tuple[bool, Standing]:
    """Set how many of a SKU are available at a location; the shop's lower number is left where ours has not risen since the one that stands."""
    for field, kind in FIELDS:
        value = document.get(field)
        if not isinstance(value, kind) or isinstance(value, bool) or value in ("", " ") or (isinstance(value, int) and value < 0):
            raise DataError(f"{field} is none", field=field, value=repr(value))
    sku, location, wanted = document["SKU"], document["LocationID"], document["StockQuantity"]
    found = (await _ask(api, FIND, {"sku": f'sku:"{sku}"', "location": location}))["productVariants"]["nodes"]
    items = [node["inventoryItem"] for node in found if node["sku"] == sku and node["inventoryItem"]["inventoryLevel"]]
    if len(items) != 1:
        message = f"{api.name} stocks {len(items)} variants with SKU {sku} at {location}, not one"
        raise DataError(message, field="SKU", value=sku, awaits=f"product {sku}")
    stands, standing = items[0]["inventoryLevel"]["quantities"][0]["quantity"], Standing(items[0]["id"])
    if stands == wanted or (known is not None and known >= document["RaisedAt"] and stands < wanted):
        return False, standing
    quantity = {"inventoryItemId": standing.id, "locationId": location, "quantity": wanted, "compareQuantity": stands}
    done = await _ask(api, SET, {"input": {"name": "available", "reason": "correction", "quantities": [quantity]}})
    for error in done["inventorySetQuantities"]["userErrors"]:
        if error["code"] == "COMPARE_QUANTITY_STALE":
            raise RetryableError(f"{api.name}: stock of {sku} moved while it was set")
        raise DataError(f"{api.name}: {sku}: {error['message']}", field="StockQuantity", value=str(wanted))
    return True, standing


async def _ask(api: ApiClient, query: str, variables: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as the schema has it
    """Return the data of an answer; a question is a POST here too, so one without an answer waits as a write does."""
    answer = await api.write("POST", f"{BASE}/graphql.json", {"query": query, "variables": variables})
    content = answer.json()
    if isinstance(content, dict) and "THROTTLED" in str(content.get("errors")):
        api.gate.throttled(2.0)
        raise RetryableError(f"{api.name}: asked to wait", throttled=True)
    if not isinstance(content, dict) or content.get("errors") or not isinstance(content.get("data"), dict):
        raise answer.unreadable("it has no data")
    return content["data"]


class ShopifyTarget:
    """What a shop can be asked to do."""

    operations: Mapping[str, Operation | Update] = {"set_stock": Update(_set_stock)}
    creates: Mapping[str, str] = {}


TARGET = ShopifyTarget()
