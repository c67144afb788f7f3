"""What the BNG that the sandbox plays buys: what comes in raises its stock, and its lists are as its contract says."""

from __future__ import annotations

from typing import Any

import jsonschema
import yaml

from towpath.codec import SCHEMAS

Json = Any
Serve = Any
KEY = {"X-API-Key": "towpath-sandbox-key"}
BAG = "BAG-BLA-001"


async def do(client: Json, path: str, body: Json = None, *, status: int = 200) -> Json:
    answer = await client.post(f"/_sandbox/{path}", json=body)
    assert answer.status == status, await answer.text()
    return await answer.json()


async def listed(client: Json, path: str, component: str) -> list[Json]:
    items: list[Json] = (await (await client.get(f"/api/v1/{path}", headers=KEY)).json())["items"]
    contract = yaml.safe_load((SCHEMAS / "http" / "bng.yaml").read_text(encoding="utf-8"))
    for item in items:
        jsonschema.Draft202012Validator({**contract, "$ref": f"#/components/schemas/{component}"}).validate(item)
    return items


async def on_hand(client: Json) -> int:
    return int((await (await client.get(f"/api/v1/inventory/{BAG}", headers=KEY)).json())["OnHand"])


async def test_what_is_ordered_comes_in_by_parts_and_raises_the_stock(serve: Serve) -> None:
    client = await serve("bng")
    address = {"Street": "1 Clay Road", "City": "Stoke", "Zip": "ST1", "Country": "GB"}
    vendor = await do(client, "vendors", {"name": "Kiln & Co", "currency": "GBP", "address": address}, status=201)
    assert [vendor] == await listed(client, "vendors", "Vendor")
    order = await do(client, "purchase-orders", {"vendor": vendor["VendorID"], "lines": {BAG: 10}, "unit_cost": "3.25"}, status=201)
    before = await on_hand(client)
    for came, status, received in (({BAG: 4}, "PartiallyReceived", 4), (None, "Received", 10)):
        await do(client, f"purchase-orders/{order['PurchaseOrderID']}/receive", {"lines": came})
        (row,) = await listed(client, "purchase-orders", "PurchaseOrder")
        assert (status, [received], before + received) == (row["Status"], [line["ReceivedQuantity"] for line in row["Lines"]], await on_hand(client))
    await do(client, f"purchase-orders/{order['PurchaseOrderID']}/receive", {"lines": {BAG: 1}}, status=409)


async def test_what_was_cancelled_does_not_come_in(serve: Serve) -> None:
    client = await serve("bng")
    vendor = await do(client, "vendors", {"name": "Kiln & Co"}, status=201)
    order = await do(client, "purchase-orders", {"vendor": vendor["VendorID"], "lines": {BAG: 10}}, status=201)
    await do(client, f"purchase-orders/{order['PurchaseOrderID']}/cancel")
    await do(client, f"purchase-orders/{order['PurchaseOrderID']}/receive", status=409)
    await do(client, "purchase-orders", {"vendor": vendor["VendorID"], "lines": {"GHOST": 1}}, status=404)
    await do(client, "purchase-orders", {"vendor": "V9", "lines": {BAG: 1}}, status=404)
