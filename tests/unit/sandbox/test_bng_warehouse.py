from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

Json = Any
Client = TestClient[web.Request, web.Application]
Serve = Callable[..., Awaitable[Client]]
KEY = {"X-API-Key": "towpath-sandbox-key"}
BAG, MUG = "BAG-BLA-001", "MUG-BLU-042"
ORDER = {"CustomerID": "C1001", "ExternalOrderID": "shop:1001", "OrderDate": "2026-03-01", "Currency": "USD", "Total": "79.80"}


async def ask(client: Client, method: str, path: str, body: Json = None) -> tuple[int, Json]:
    place = path if path.startswith("/_sandbox") else f"/api/v1{path}"
    answer = await client.request(method, place, json=body, headers=KEY)
    return answer.status, await answer.json()


async def shown(client: Client, path: str) -> Json:
    status, body = await ask(client, "GET", path)
    assert status == 200
    return body


def lines(*quantities: tuple[str, int]) -> list[dict[str, Any]]:
    return [{"LineNo": number, "SKU": sku, "Quantity": quantity, "UnitPrice": "39.90"} for number, (sku, quantity) in enumerate(quantities, 1)]


async def with_order(serve: Serve, *quantities: tuple[str, int], **settings: Json) -> Client:
    """Return BNG with the order SO1001 in it."""
    client = await serve("bng", **settings)
    await ask(client, "POST", "/_sandbox/customers", {"Email": "ann@example.com"})
    status, _ = await ask(client, "POST", "/sales-orders", {**ORDER, "Lines": lines(*quantities)})
    assert status == 201
    return client


async def stock(client: Client, sku: str = BAG, warehouse: str = "MAIN") -> tuple[int, int, int]:
    row = await shown(client, f"/inventory/{sku}?warehouse={warehouse}")
    return row["OnHand"], row["Allocated"], row["Available"]


async def ship(client: Client, **body: Json) -> tuple[int, Json]:
    return await ask(client, "POST", "/_sandbox/warehouse/ship", {"order": "SO1001", **body})


async def test_a_whole_shipment_ships_the_order_and_takes_its_stock(serve: Serve) -> None:
    client = await with_order(serve, (BAG, 2), (MUG, 1), stock={"MAIN": 10})
    status, shipment = await ship(client)
    assert (status, shipment["Lines"]) == (201, [{"LineNo": 1, "Quantity": 2}, {"LineNo": 2, "Quantity": 1}])
    assert (await shown(client, "/sales-orders/SO1001"))["OrderStatus"] == 30
    assert (await stock(client), await stock(client, MUG)) == ((8, 0, 8), (9, 0, 9))
    assert (await shown(client, "/shipments?salesOrderId=SO1001"))["items"] == [shipment] == [await shown(client, "/shipments/SH1001")]


async def test_a_part_leaves_the_order_in_processing_until_the_rest_has_left(serve: Serve) -> None:
    client = await with_order(serve, (BAG, 3), (MUG, 1), stock={"MAIN": 10})
    await ship(client, lines={"1": 2})
    assert ((await shown(client, "/sales-orders/SO1001"))["OrderStatus"], await stock(client), await stock(client, MUG)) == (
        20,
        (8, 1, 7),
        (10, 1, 9),
    )
    _, rest = await ship(client, carrier="DHL", tracking_number=None)
    assert ((await shown(client, "/sales-orders/SO1001"))["OrderStatus"], await stock(client)) == (30, (7, 0, 7))
    assert rest["Lines"] == [{"LineNo": 1, "Quantity": 1}, {"LineNo": 2, "Quantity": 1}]
    assert (rest["Carrier"], rest["TrackingNumber"], (await shown(client, "/shipments"))["total"]) == ("DHL", None, 2)


@pytest.mark.parametrize("wanted", [{"1": 3}, {"1": 1, "2": 1}, {"1": 2, "7": 1}])
async def test_never_does_more_leave_than_is_allocated_and_on_hand(serve: Serve, wanted: dict[str, int]) -> None:
    client = await with_order(serve, (BAG, 2), (MUG, 1), stock={"MAIN": 10})
    await ask(client, "POST", "/_sandbox/warehouse/count", {"sku": MUG, "on_hand": 0})
    before = await stock(client), await stock(client, MUG)
    assert (await ship(client, lines=wanted))[0] == 409
    assert (await stock(client), await stock(client, MUG)) == before == ((10, 2, 8), (0, 1, -1))
    assert (await shown(client, "/shipments"))["total"] == 0


async def test_what_is_not_on_hand_leaves_when_it_was_received(serve: Serve) -> None:
    client = await with_order(serve, (BAG, 3), (BAG, 2), stock={"MAIN": 4})
    _, first = await ship(client)
    assert (first["Lines"], await stock(client)) == ([{"LineNo": 1, "Quantity": 3}, {"LineNo": 2, "Quantity": 1}], (0, 1, -1))
    assert (await ship(client))[0] == 409
    await ask(client, "POST", "/_sandbox/warehouse/receive", {"sku": BAG, "quantity": 5})
    assert ((await ship(client))[1]["Lines"], await stock(client)) == ([{"LineNo": 2, "Quantity": 1}], (4, 0, 4))


@pytest.mark.parametrize("status", [30, 40, 90])
async def test_a_closed_order_ships_nothing(serve: Serve, status: int) -> None:
    client = await with_order(serve, (BAG, 2))
    assert (await ask(client, "PATCH", "/_sandbox/sales-orders/SO1001", {"OrderStatus": status}))[0] == 200
    refused, body = await ship(client)
    assert (refused, body["error"]["code"]) == (409, "not_open")
    assert (await ship(client, order="SO9"))[0] == 404


async def test_cancelling_frees_what_has_not_left(serve: Serve) -> None:
    client = await with_order(serve, (BAG, 3), stock={"MAIN": 10})
    await ship(client, lines={"1": 1})
    await ask(client, "PATCH", "/_sandbox/sales-orders/SO1001", {"OrderStatus": 90})
    assert await stock(client) == (9, 0, 9)


async def test_a_line_cannot_become_less_than_has_left(serve: Serve) -> None:
    client = await with_order(serve, (BAG, 3), stock={"MAIN": 10})
    await ship(client, lines={"1": 2})
    assert (await ask(client, "PATCH", "/sales-orders/SO1001", {"Lines": lines((BAG, 1))}))[0] == 409
    assert (await ask(client, "PATCH", "/sales-orders/SO1001", {"Lines": lines((MUG, 3))}))[0] == 409
    assert (await ask(client, "PATCH", "/sales-orders/SO1001", {"Lines": lines((BAG, 2), (MUG, 4))}))[0] == 200
    assert (await stock(client), await stock(client, MUG)) == ((8, 0, 8), (10, 4, 6))


async def test_a_line_number_is_there_once(serve: Serve) -> None:
    client = await with_order(serve, (BAG, 1))
    status, body = await ask(client, "POST", "/sales-orders", {**ORDER, "Lines": lines((BAG, 1)) * 2})
    assert (status, body["error"]["field"]) == (422, "Lines")


@pytest.mark.parametrize(
    ("path", "body", "on_hand"), [("count", {"on_hand": 3}, 3), ("receive", {"quantity": 5}, 15), ("return", {"quantity": 1}, 11)]
)
async def test_every_move_raises_the_sequence_of_its_row(serve: Serve, path: str, body: Json, on_hand: int) -> None:
    client = await with_order(serve, (BAG, 2), stock={"MAIN": 10, "WEST": 10})
    before = await shown(client, f"/inventory?sku={BAG}")
    status, row = await ask(client, "POST", f"/_sandbox/warehouse/{path}", {"sku": BAG, "warehouse": "WEST", **body})
    after = await shown(client, f"/inventory?sku={BAG}")
    assert (status, row["OnHand"], row["Warehouse"], after["items"][1]) == (200, on_hand, "WEST", row)
    assert row["Sequence"] > before["items"][1]["Sequence"]
    assert after["items"][0] == before["items"][0]
    assert (await ask(client, "POST", f"/_sandbox/warehouse/{path}", {"sku": "GHOST", **body}))[0] == 404


async def test_a_line_is_allocated_where_enough_is_available(serve: Serve) -> None:
    client = await with_order(serve, (BAG, 4), (BAG, 4), (BAG, 4), stock={"MAIN": 5, "WEST": 5})
    assert (await stock(client), await stock(client, BAG, "WEST")) == ((5, 8, -3), (5, 4, 1))
    await ask(client, "POST", "/_sandbox/warehouse/receive", {"sku": BAG, "warehouse": "EAST", "quantity": 7})
    rows = (await shown(client, f"/inventory?sku={BAG}"))["items"]
    assert [(row["Warehouse"], row["OnHand"]) for row in rows] == [("MAIN", 5), ("WEST", 5), ("EAST", 7)]
    assert (await ask(client, "GET", f"/inventory/{BAG}?warehouse=SOUTH"))[0] == 404


async def test_an_order_is_invoiced_once_when_it_was_shipped(serve: Serve) -> None:
    client = await with_order(serve, (BAG, 2))
    await ship(client, lines={"1": 1})
    assert (await shown(client, "/invoices"))["total"] == 0
    await ship(client)
    await ask(client, "PATCH", "/sales-orders/SO1001", {"OrderStatus": 40})
    [invoice] = (await shown(client, "/invoices?salesOrderId=SO1001"))["items"]
    assert (invoice["Total"], invoice["Currency"], invoice["Status"]) == ("79.80", "USD", "Open")


async def test_a_known_product_changes_only_in_what_is_given(serve: Serve) -> None:
    client = await serve("bng")
    [before] = (await shown(client, f"/products?sku={BAG}"))["items"]
    _, after = await ask(client, "PUT", f"/_sandbox/products/{BAG}", {"price": "41.00", "attributes": {"Colour": "Coal"}})
    assert {name for name in before if before[name] != after[name]} == {"Price", "Attributes", "Sequence", "UpdatedAt"}
    assert (after["Price"], after["Attributes"]) == ("41.00", {"Colour": "Coal"})


async def test_the_stores_show_what_each_line_holds_and_took(serve: Serve) -> None:
    client = await with_order(serve, (BAG, 3))
    await ship(client, lines={"1": 2})
    [row] = (await shown(client, "/_sandbox/store/allocations"))["items"]
    assert row == {"SalesOrderID": "SO1001", "LineNo": 1, "SKU": BAG, "Warehouse": "MAIN", "Allocated": 1, "Taken": 2, "Shipped": 2}
    assert [(await shown(client, f"/_sandbox/store/{kind}"))["total"] for kind in ("shipments", "invoices", "inventory")] == [1, 0, 60]
