"""The Magento that the sandbox plays: its lists, its refusals, its inventory and its events."""

from __future__ import annotations

import json
from typing import Any

import pytest

Json = Any
Serve = Any
TOKEN = {"Authorization": "Bearer towpath-sandbox-token"}
MUG = "MUG-BLA-041"


async def ask(client: Json, method: str, path: str, body: Json = None, *, status: int = 200, headers: Json = None) -> Json:
    answer = await client.request(method, f"/rest/V1/{path}", json=body, headers=TOKEN if headers is None else headers)
    assert answer.status == status, await answer.text()
    return await answer.json()


async def rows(client: Json, entity: str) -> list[Json]:
    return list((await (await client.get(f"/_sandbox/store/{entity}")).json())["items"])


async def orders(client: Json, count: int = 12, **more: object) -> list[Json]:
    assert (await client.post("/_sandbox/shopper", json={"orders": count, **more})).status == 200
    return await rows(client, "orders")


async def salable(client: Json, sku: str) -> float:
    found: float = (await (await client.get(f"/_sandbox/salable/{sku}")).json())["salable"]
    return found


async def test_the_same_seed_places_the_same_orders_whose_sums_add_up(serve: Serve) -> None:
    client = await serve("magento")
    first = await orders(client, 40, seed=3, sets=True)
    again = await orders(client, 40, seed=3, sets=True)
    assert first == again
    for order in first:
        lines = sum(item["row_total"] for item in order["items"])
        expected = lines + order["shipping_amount"] + order["tax_amount"] + order["discount_amount"]
        assert order["grand_total"] == pytest.approx(expected)
    kinds = {item["product_type"] for order in first for item in order["items"]}
    assert {"simple", "configurable", "bundle"} == kinds
    assert {0, 1} == {order["customer_is_guest"] for order in first}


async def test_a_sale_reserves_a_shipment_takes_and_a_cancellation_gives_free(serve: Serve) -> None:
    client = await serve("magento")
    await client.post("/_sandbox/stock", json={"sku": MUG, "quantity": 100})
    first = await orders(client, 60, sets=True)
    taken = sum(item["qty_ordered"] for order in first for item in order["items"] if item["sku"] == MUG)
    assert 100 - taken == await salable(client, MUG)
    assert [100] == [row["quantity"] for row in await rows(client, "source_items") if row["sku"] == MUG]
    order = next(order for order in first if any(item["sku"] == MUG for item in order["items"]))
    sent = sum(item["qty_ordered"] for item in order["items"] if item["sku"] == MUG)
    await ask(client, "POST", f"order/{order['entity_id']}/ship", {"items": []})
    assert 100 - taken == await salable(client, MUG), "what was reserved is shipped"
    assert [100 - sent] == [row["quantity"] for row in await rows(client, "source_items") if row["sku"] == MUG]
    unpaid = next(order for order in first if order["state"] == "new" and any(item["sku"] == MUG for item in order["items"]))
    freed = sum(item["qty_ordered"] for item in unpaid["items"] if item["sku"] == MUG)
    assert await ask(client, "POST", f"orders/{unpaid['entity_id']}/cancel") is True
    assert 100 - taken + freed == await salable(client, MUG)
    assert await ask(client, "POST", f"orders/{unpaid['entity_id']}/cancel") is False


async def test_a_part_that_is_sent_twice_is_shipped_twice_and_a_whole_order_is_refused(serve: Serve) -> None:
    client = await serve("magento")
    own = ((order, item) for order in await orders(client, 30) for item in order["items"] if "parent_item_id" not in item)
    order, item = next((order, item) for order, item in own if item["product_type"] == "simple" and item["qty_ordered"] >= 2)
    part = {"items": [{"order_item_id": item["item_id"], "qty": 1}]}
    assert [1, 2] == [await ask(client, "POST", f"order/{order['entity_id']}/ship", part) for _ in range(2)]
    await ask(client, "POST", f"order/{order['entity_id']}/ship", {"items": [{"order_item_id": 1, "qty": 1}]}, status=400)
    body = {"items": [{"order_item_id": item["item_id"], "qty": 99}]}
    refused = await ask(client, "POST", f"order/{order['entity_id']}/ship", body, status=400)
    assert "must not be greater than the unshipped quantity" in refused["message"]


async def test_an_order_is_complete_only_when_it_is_both_paid_and_shipped(serve: Serve) -> None:
    client = await serve("magento")
    order = next(one for one in await orders(client) if one["state"] == "new")
    await ask(client, "POST", f"order/{order['entity_id']}/ship")
    assert "processing" == (await ask(client, "GET", f"orders/{order['entity_id']}"))["status"]
    await ask(client, "POST", f"order/{order['entity_id']}/invoice", {"capture": True})
    assert "complete" == (await ask(client, "GET", f"orders/{order['entity_id']}"))["status"]
    assert "status of complete" in (await ask(client, "POST", f"order/{order['entity_id']}/ship", status=400))["message"]


async def test_past_the_end_the_last_page_comes_again(serve: Serve) -> None:
    client = await serve("magento")
    await orders(client, 5)
    pages = [await ask(client, "GET", f"orders?searchCriteria[pageSize]=2&searchCriteria[currentPage]={page}") for page in (0, 1, 2, 3, 4)]
    ids = [[order["entity_id"] for order in page["items"]] for page in pages]
    assert [[1001, 1002], [1001, 1002], [1003, 1004], [1005], [1005]] == ids
    assert {5} == {page["total_count"] for page in pages}


async def test_refusals_are_templates_with_their_parameters_beside_them(serve: Serve) -> None:
    client = await serve("magento", denied=["products"])
    missing = await ask(client, "GET", "orders/77", status=404)
    assert {"message": "No such entity with %fieldName = %fieldValue", "parameters": {"fieldName": "entityId", "fieldValue": "77"}} == missing
    assert {"message": "Request does not match any route."} == await ask(client, "GET", "shipment-list", status=404)
    assert "%resources" in (await ask(client, "GET", "products/X", status=401))["message"]
    assert "%resources" in (await ask(client, "GET", "orders/77", status=401, headers={}))["message"]
    assert "searchCriteria" in (await ask(client, "GET", "orders", status=400))["parameters"]["fieldName"]


async def test_an_event_of_every_save_says_every_value_as_a_text(serve: Serve) -> None:
    client = await serve("magento", webhook_url="http://127.0.0.1:9/nobody")
    await orders(client, 1, paid_later=1)
    await client.post("/_sandbox/orders/1001")
    bodies = [json.loads(row["body"]) for row in await rows(client, "webhooks")]
    saved = [body["event"]["data"]["value"] for body in bodies if body["type"].endswith("observer.sales_order_save_commit_after")]
    assert len(saved) == 3
    assert {"1001"} == {value["entity_id"] for value in saved}
    assert all(isinstance(part, str) for value in saved for part in value.values())


async def test_a_shopper_with_a_pace_pays_cancels_and_edits_later(serve: Serve) -> None:
    client = await serve("magento")
    spree = {"orders": 30, "per_second": 10_000, "paid_later": 0.5, "cancelled": 0.5, "edited": 1, "bad": ["bad_email", "unknown_sku"]}
    assert (await client.post("/_sandbox/shopper", json=spree)).status == 202
    while (progress := await (await client.get("/_sandbox/shopper")).json())["busy"]:
        pass
    assert progress["paid"] > 0 < progress["cancelled"]
    assert 28 == progress["edited"]
    assert progress["cancelled"] == sum(order["state"] == "canceled" for order in await rows(client, "orders"))


async def test_of_what_is_lacking_less_is_bought_and_nothing_is_given_up(serve: Serve) -> None:
    client = await serve("magento")
    for row in await rows(client, "source_items"):
        await client.post("/_sandbox/stock", json={"sku": row["sku"], "quantity": 0})
    assert [] == await orders(client, 5)
    assert {0} == {sale["quantity"] for sale in await rows(client, "sales")}
    assert 5 == len(await orders(client, 5, first_id=2001, oversell=True))
