"""Credit memos at the Magento that the sandbox plays: what is refused, what follows, and a gateway that declines."""

from __future__ import annotations

from typing import Any

import pytest

Json = Any
Serve = Any
TOKEN = {"Authorization": "Bearer towpath-sandbox-token"}


async def ask(client: Json, method: str, path: str, body: Json = None, *, status: int = 200) -> Json:
    answer = await client.request(method, f"/rest/V1/{path}", json=body, headers=TOKEN)
    assert answer.status == status, await answer.text()
    return await answer.json()


async def paid(client: Json) -> Json:
    """Return a paid order of several pieces."""
    assert (await client.post("/_sandbox/shopper", json={"orders": 30, "seed": 5, "sets": True})).status == 200
    rows = (await (await client.get("/_sandbox/store/orders")).json())["items"]
    return next(row for row in rows if row["state"] == "processing" and row["items"][0]["qty_ordered"] > 1)


async def test_a_part_comes_back_with_its_share_and_the_rest_closes_the_order(serve: Serve) -> None:
    client = await serve("magento")
    order = await paid(client)
    item, arguments = order["items"][0], {"shipping_amount": 0}
    one = await ask(
        client, "POST", f"order/{order['entity_id']}/refund", {"items": [{"order_item_id": item["item_id"], "qty": 1}], "arguments": arguments}
    )
    memo = await ask(client, "GET", f"creditmemo/{one}")
    assert memo["items"][0]["row_total"] == pytest.approx(item["row_total"] / item["qty_ordered"], abs=0.01)
    expected = memo["subtotal"] + memo["shipping_amount"] + memo["tax_amount"] + memo["discount_amount"]
    assert (memo["grand_total"], memo["shipping_amount"]) == (pytest.approx(expected), 0)
    await ask(
        client, "POST", f"order/{order['entity_id']}/refund", {"items": [{"order_item_id": item["item_id"], "qty": item["qty_ordered"]}]}, status=400
    )
    await ask(client, "POST", f"order/{order['entity_id']}/refund")
    after = await ask(client, "GET", f"orders/{order['entity_id']}")
    assert after["total_refunded"] == pytest.approx(order["grand_total"], abs=0.05)


async def test_the_whole_order_comes_back_to_the_cent_and_only_once(serve: Serve) -> None:
    client = await serve("magento")
    order = await paid(client)
    await ask(client, "POST", f"order/{order['entity_id']}/refund")
    after = await ask(client, "GET", f"orders/{order['entity_id']}")
    assert (order["grand_total"], "closed") == (after["total_refunded"], after["state"])
    refused = await ask(client, "POST", f"order/{order['entity_id']}/refund", status=400)
    assert "does not allow a creditmemo" in refused["message"]


async def test_a_gateway_that_declines_leaves_everything_as_it_was(serve: Serve) -> None:
    client = await serve("magento")
    order = await paid(client)
    await client.put("/_sandbox/gateway", json={"refuses": ["refund"]})
    query = f"searchCriteria[filterGroups][0][filters][0][field]=order_id&searchCriteria[filterGroups][0][filters][0][value]={order['entity_id']}"
    (invoice,) = (await ask(client, "GET", f"invoices?{query}"))["items"]
    refused = await ask(client, "POST", f"invoice/{invoice['entity_id']}/refund", {"isOnline": True}, status=400)
    assert "declined the refund" in refused["message"]
    assert (await ask(client, "GET", f"orders/{order['entity_id']}")) == order
    await client.put("/_sandbox/gateway", json={})
    await ask(client, "POST", f"invoice/{invoice['entity_id']}/refund", {"isOnline": True})
