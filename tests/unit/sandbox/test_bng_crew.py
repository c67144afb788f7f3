from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from towpath.sandbox.kit.clock import ManualClock

Json = Any
Client = TestClient[web.Request, web.Application]
Serve = Callable[..., Awaitable[Client]]
KEY = {"X-API-Key": "towpath-sandbox-key"}
SKUS = ("BAG-BLA-001", "BAG-BLU-002", "MUG-BLU-042")
START = 1000


async def place(client: Client, first: int, count: int) -> None:
    """Have orders of up to three lines placed, the same for the same numbers."""
    await client.post("/_sandbox/customers", json={"Email": "ann@example.com"})
    for number in range(first, first + count):
        lines = [{"LineNo": i + 1, "SKU": SKUS[i], "Quantity": 1 + number % 3, "UnitPrice": "1.00"} for i in range(1 + number % 3)]
        order = {"CustomerID": "C1001", "ExternalOrderID": f"shop:{number}", "OrderDate": "2026-03-01", "Currency": "USD", "Total": "1.00"}
        assert (await client.post("/api/v1/sales-orders", json={**order, "Lines": lines}, headers=KEY)).status == 201


async def shop(serve: Serve, count: int, **settings: Json) -> Client:
    client = await serve("bng", requests_per_minute=None, **{"stock": {"MAIN": START}, **settings})
    await place(client, 1, count)
    return client


async def work(client: Client, **spree: Json) -> Json:
    answer = await client.post("/_sandbox/warehouse", json=spree)
    assert answer.status < 300, await answer.text()
    return await answer.json()


async def store(client: Client, entity: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await (await client.get(f"/_sandbox/store/{entity}")).json())["items"]
    return items


async def busy(client: Client) -> bool:
    return bool((await (await client.get("/_sandbox/stats")).json())["busy"])


async def fates(client: Client) -> dict[str, tuple[int, list[tuple[Any, ...]]]]:
    """Return the status and the shipments of every order, by its ExternalOrderID."""
    parcels = await store(client, "shipments")
    return {
        order["ExternalOrderID"]: (
            order["OrderStatus"],
            [
                (parcel["Carrier"], parcel["TrackingNumber"], *((line["LineNo"], line["Quantity"]) for line in parcel["Lines"]))
                for parcel in parcels
                if parcel["SalesOrderID"] == order["SalesOrderID"]
            ],
        )
        for order in await store(client, "sales_orders")
    }


async def test_all_that_is_open_leaves_some_of_it_in_two_parts(serve: Serve) -> None:
    client = await shop(serve, 40)
    progress = await work(client, seed=3, partial=0.5)
    parcels = Counter(parcel["SalesOrderID"] for parcel in await store(client, "shipments"))
    assert progress == {"busy": False, "oversold": 0, "open": 0, "closed": 40, "shipments": parcels.total()}
    assert (len(parcels), set(parcels.values())) == (40, {1, 2})
    assert {order["OrderStatus"] for order in await store(client, "sales_orders")} == {30}


async def test_exactly_what_was_ordered_leaves_and_the_stock_agrees(serve: Serve) -> None:
    client = await shop(serve, 40)
    await work(client, partial=0.5, cancel=0.2, complete=0.3)
    status = {order["SalesOrderID"]: order["OrderStatus"] for order in await store(client, "sales_orders")}
    wanted, left = Counter[tuple[str, int]](), Counter[tuple[str, int]]()
    taken = Counter[str]()
    for order in await store(client, "sales_orders"):
        for line in order["Lines"] if order["OrderStatus"] != 90 else []:
            wanted[order["SalesOrderID"], line["LineNo"]] += line["Quantity"]
            taken[line["SKU"]] += line["Quantity"]
    for parcel in await store(client, "shipments"):
        for line in parcel["Lines"]:
            left[parcel["SalesOrderID"], line["LineNo"]] += line["Quantity"]
    assert left == wanted
    assert set(status.values()) == {30, 40, 90}
    rows = {row["SKU"]: (row["OnHand"], row["Allocated"], row["Available"]) for row in await store(client, "inventory")}
    assert {sku: rows[sku] for sku in SKUS} == {sku: (START - taken[sku], 0, START - taken[sku]) for sku in SKUS}


async def test_the_fate_of_an_order_hangs_on_the_seed_and_its_reference_only(serve: Serve, tmp_path: Any) -> None:  # noqa: ANN401
    spree = {"seed": 5, "partial": 0.4, "cancel": 0.1, "complete": 0.2}
    client = await shop(serve, 30)
    await work(client, **spree)
    first = await fates(client)
    await client.close()
    (tmp_path / "bng.sqlite3").rename(tmp_path / "old.sqlite3")
    client = await serve("bng", requests_per_minute=None, stock={"MAIN": START})
    await place(client, 16, 15)
    await work(client, **spree)
    await place(client, 1, 15)
    await work(client, **spree)
    assert await fates(client) == first


async def test_corrections_are_made_between_the_shipments(serve: Serve) -> None:
    client = await shop(serve, 12, webhook_url="http://127.0.0.1:9/nobody")
    before = len(await store(client, "webhooks"))
    await work(client, orders=12, partial=0, counts=2, receipts=2, returns=1)
    kinds = [hook["type"] for hook in await store(client, "webhooks")][before:]
    shipped = sum(len(parcel["Lines"]) for parcel in await store(client, "shipments"))
    assert (kinds.count("shipment_created"), kinds.count("inventory_updated") - shipped, kinds[-1]) == (12, 5, "invoice_created")


async def test_a_pace_is_kept_and_waits_for_orders_to_come(serve: Serve, clock: ManualClock) -> None:
    client = await shop(serve, 3, clock=clock)
    assert (await client.post("/_sandbox/warehouse", json={"orders": 5, "per_second": 2, "partial": 0})).status == 202
    counts = []
    for _ in range(6):
        counts.append(len(await store(client, "shipments")))
        clock.advance(0.5)
    assert (counts, await busy(client)) == ([1, 2, 3, 3, 3, 3], True)
    await place(client, 4, 2)
    for _ in range(3):
        clock.advance(0.5)
        await store(client, "shipments")
    assert (len(await store(client, "shipments")), await busy(client)) == (5, False)


async def test_one_shift_at_a_time_which_can_be_stopped(serve: Serve, clock: ManualClock) -> None:
    client = await shop(serve, 3, clock=clock)
    await work(client, orders=100, per_second=1)
    assert (await client.post("/_sandbox/warehouse", json={})).status == 409
    assert (await (await client.delete("/_sandbox/warehouse")).json())["busy"] is False
    assert (await work(client))["open"] == 0


async def test_an_order_that_cannot_leave_holds_no_other_up(serve: Serve) -> None:
    client = await shop(serve, 30, stock={"MAIN": 20})
    progress = await work(client, partial=0)
    assert (progress["open"] > 0, progress["closed"] > 0) == (True, True)
    assert all(row["OnHand"] >= 0 for row in await store(client, "inventory"))
    for sku in SKUS:
        await client.post("/_sandbox/warehouse/receive", json={"sku": sku, "quantity": 100})
    assert (await work(client, partial=0))["open"] == 0


async def test_a_spree_that_is_repeated_after_a_crash_does_the_rest(serve: Serve) -> None:
    client = await shop(serve, 10)
    await work(client, orders=4)
    await client.close()
    client = await serve("bng", requests_per_minute=None)
    assert (await work(client, orders=6))["closed"] == 6
    assert (await work(client, orders=6))["closed"] == 6


@pytest.mark.parametrize("spree", [{"partial": 0.6, "cancel": 0.6}, {"orders": 0}, {"speed": 3}])
async def test_a_spree_that_makes_no_sense_is_refused(serve: Serve, spree: Json) -> None:
    assert (await (await serve("bng")).post("/_sandbox/warehouse", json=spree)).status == 400


async def test_counts_that_spare_the_last_pieces_leave_so_many_and_others_do_not(serve: Serve) -> None:
    client = await serve("bng", requests_per_minute=None, stock={"MAIN": 10})
    await work(client, counts=200, spare=10)
    assert min(row["Available"] for row in await store(client, "inventory")) == 10
    await work(client, counts=200)
    assert min(row["Available"] for row in await store(client, "inventory")) < 10
