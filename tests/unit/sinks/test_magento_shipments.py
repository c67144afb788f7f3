"""A shipment at Magento: one, with its track and its source, whatever happens to the call; what is wrapped is shipped as its wrapping."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sinks.effects import Effected
from towpath.delivery.ledger import Effect
from towpath.errors import DataError, OutcomeUnknownError
from towpath.testing.clock import VirtualClock

Shop = Any
Sink = Any
KEY = "erp/shipment/SH-1"
SHIP = "POST order/"


@pytest.fixture
async def shop(play: Callable[[str], Awaitable[Any]]) -> Shop:
    """A Magento with orders 1001 to 1030."""
    shop = await play("magento")
    await shop.control("POST", "shopper", {"orders": 30, "seed": 1, "sets": True})
    return shop


@pytest.fixture
def sink(shop: Shop, sink_to: Callable[..., Sink]) -> Sink:
    return sink_to(shop)


async def order_with(shop: Shop, fits: Callable[[list[dict[str, Any]]], bool]) -> dict[str, Any]:
    return next(row for row in await shop.rows("orders") if row["state"] in {"new", "processing"} and fits(row["items"]))


def has(kind: str, least: int = 1) -> Callable[[list[dict[str, Any]]], bool]:
    return lambda items: any(item["product_type"] == kind and item["qty_ordered"] >= least and "parent_item_id" not in item for item in items)


def a_shipment(order: dict[str, Any], *lines: tuple[str, float], number: int = 1, **changes: object) -> dict[str, Any]:
    return {
        "OrderID": str(order["entity_id"]),
        "Reference": f"erp/shipment/SH-{number}",
        "TrackingNumber": "JD014600003",
        "Carrier": "DHL",
        "SourceCode": "default",
        "Lines": [{"LineNo": 1, "SKU": sku, "Quantity": quantity} for sku, quantity in lines],
    } | changes


async def shipped(shop: Shop, order: dict[str, Any]) -> list[dict[str, float]]:
    """Return what each shipment of an order has, by SKU."""
    rows = [row for row in await shop.rows("shipments") if row["order_id"] == order["entity_id"]]
    return [{item["sku"]: item["qty"] for item in row["items"]} for row in rows]


async def test_a_shipment_has_its_track_its_source_and_our_reference_which_only_the_staff_sees(shop: Shop, sink: Sink) -> None:
    order = await order_with(shop, has("simple", 2))
    sku = next(
        item["sku"] for item in order["items"] if item["product_type"] == "simple" and item["qty_ordered"] >= 2 and "parent_item_id" not in item
    )
    await shop.control("POST", "stock", {"sku": sku, "quantity": 9, "source_code": "east"})
    assert Effected("applied", "1") == await sink.apply("create_shipment", KEY, a_shipment(order, (sku, 1), SourceCode="east"))
    [row] = await shop.rows("shipments")
    assert [(KEY, 0)] == [(comment["comment"], comment["is_visible_on_front"]) for comment in row["comments"]]
    assert [("JD014600003", "DHL", "dhl")] == [(track["track_number"], track["title"], track["carrier_code"]) for track in row["tracks"]]
    assert "east" == row["extension_attributes"]["source_code"]
    assert [8] == [one["quantity"] for one in await shop.rows("source_items") if (one["sku"], one["source_code"]) == (sku, "east")]
    assert 1 == len(await shop.rows("mails"))


@pytest.mark.parametrize("how", ["lost", "unsent"])
async def test_a_part_whose_answer_was_lost_is_shipped_once(shop: Shop, sink: Sink, how: str) -> None:
    order = await order_with(shop, has("simple", 2))
    sku = next(
        item["sku"] for item in order["items"] if item["product_type"] == "simple" and item["qty_ordered"] >= 2 and "parent_item_id" not in item
    )
    shop.cut(SHIP, how)
    with pytest.raises(OutcomeUnknownError):
        await sink.apply("create_shipment", KEY, a_shipment(order, (sku, 1)))
    assert ("found" if how == "lost" else "applied") == (await sink.insist("create_shipment", KEY, a_shipment(order, (sku, 1)))).outcome
    assert [{sku: 1}] == await shipped(shop, order)
    assert 1 == len(await shop.rows("mails"))


async def test_a_part_that_commits_late_is_found_once_it_has_settled(shop: Shop, sink: Sink) -> None:
    order = await order_with(shop, has("simple", 2))
    sku = next(
        item["sku"] for item in order["items"] if item["product_type"] == "simple" and item["qty_ordered"] >= 2 and "parent_item_id" not in item
    )
    shop.cut(SHIP, "late")
    with pytest.raises(OutcomeUnknownError):
        await sink.apply("create_shipment", KEY, a_shipment(order, (sku, 1)))
    await shop.late.pop()()
    assert "found" == (await sink.insist("create_shipment", KEY, a_shipment(order, (sku, 1)))).outcome
    assert [{sku: 1}] == await shipped(shop, order)


async def test_two_parts_of_an_order_are_two_shipments_and_each_is_found_by_its_own_reference(
    shop: Shop, sink: Sink, sink_to: Callable[..., Sink]
) -> None:
    order = await order_with(shop, has("simple", 2))
    sku = next(
        item["sku"] for item in order["items"] if item["product_type"] == "simple" and item["qty_ordered"] >= 2 and "parent_item_id" not in item
    )
    for number in (1, 2):
        await sink.apply("create_shipment", f"erp/shipment/SH-{number}", a_shipment(order, (sku, 1), number=number))
    await sink.ledger.gone(Effect("to", "create_shipment", KEY), "1")
    assert Effected("found", "1") == await sink_to(shop, "other").apply("create_shipment", KEY, a_shipment(order, (sku, 1)))
    assert [{sku: 1}, {sku: 1}] == await shipped(shop, order)


async def test_a_configurable_is_shipped_as_its_parent(shop: Shop, sink: Sink) -> None:
    order = await order_with(shop, has("configurable"))
    child = next(item for item in order["items"] if item.get("parent_item_id") and item["sku"].startswith("BAG"))
    await sink.apply("create_shipment", KEY, a_shipment(order, (child["sku"], child["qty_ordered"])))
    after = next(row for row in await shop.rows("orders") if row["entity_id"] == order["entity_id"])
    done = {item["item_id"]: item["qty_shipped"] for item in after["items"] if item["qty_shipped"]}
    assert {child["item_id"]: child["qty_ordered"], child["parent_item_id"]: child["qty_ordered"]} == done
    with pytest.raises(DataError, match="0 in no shipment yet"):
        await sink.apply("create_shipment", "erp/shipment/SH-2", a_shipment(order, (child["sku"], 1), number=2))


async def test_a_set_is_shipped_as_one_and_refused_in_part(shop: Shop, sink: Sink) -> None:
    order = await order_with(shop, has("bundle"))
    bottle, mug = (item["sku"] for item in order["items"] if item.get("parent_item_id") and not item["sku"].startswith("BAG"))
    with pytest.raises(DataError, match="ships as one"):
        await sink.apply("create_shipment", KEY, a_shipment(order, (bottle, 1)))
    assert [] == await shop.rows("shipments")
    await sink.apply("create_shipment", KEY, a_shipment(order, (bottle, 1), (mug, 2)))
    assert [{f"SET-{bottle}-{mug}": 1}] == await shipped(shop, order)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"Lines": []}, "Lines"),
        ({"Lines": [{"SKU": "NONE-1", "Quantity": 1}]}, "Lines[0].SKU"),
        ({"Lines": [{"SKU": "NONE-1", "Quantity": 0.5}]}, "Lines[0].Quantity"),
        ({"Reference": " "}, "Reference"),
        ({"SourceCode": None}, "SourceCode"),
        ({"OrderID": "100001001"}, "OrderID"),
        ({"OrderID": "../customers/1"}, "OrderID"),
        ({"OrderID": None}, "OrderID"),
    ],
)
async def test_what_cannot_be_shipped_is_a_data_error_that_names_the_field_and_nothing_is_written(
    shop: Shop, sink: Sink, changes: dict[str, object], field: str
) -> None:
    with pytest.raises(DataError) as caught:
        await sink.apply("create_shipment", KEY, a_shipment({"entity_id": 1001}, ("BAG", 1)) | changes)
    assert field == caught.value.field
    assert [] == shop.sent("POST")


async def test_a_source_that_lacks_the_goods_refuses_in_its_own_words(shop: Shop, sink: Sink) -> None:
    order = await order_with(shop, has("simple"))
    sku = next(item["sku"] for item in order["items"] if item["product_type"] == "simple" and "parent_item_id" not in item)
    await shop.control("POST", "stock", {"sku": sku, "quantity": 0})
    with pytest.raises(DataError, match="Not all of your products are available"):
        await sink.apply("create_shipment", KEY, a_shipment(order, (sku, 1)))


async def test_goods_of_a_cancelled_order_that_have_left_are_a_matter_for_a_person(shop: Shop, sink: Sink) -> None:
    order = await order_with(shop, has("simple"))
    await shop.control("POST", f"orders/{order['entity_id']}", {"state": "canceled", "status": "canceled"})
    with pytest.raises(DataError, match="settle it by hand") as caught:
        await sink.apply("create_shipment", KEY, a_shipment(order, (order["items"][0]["sku"], 1)))
    assert "OrderStatus" == caught.value.field
    assert [] == shop.sent("POST")


async def test_a_part_that_two_processes_shipped_is_told_to_a_person(shop: Shop, sink_to: Callable[..., Sink], clock: VirtualClock) -> None:
    order = await order_with(shop, has("simple", 2))
    sku = next(
        item["sku"] for item in order["items"] if item["product_type"] == "simple" and item["qty_ordered"] >= 2 and "parent_item_id" not in item
    )
    zombie, other, document = sink_to(shop, "zombie"), sink_to(shop, "other"), a_shipment(order, (sku, 1))

    async def heard(arriving: str) -> None:
        if arriving.startswith(SHIP):
            shop.heard = None
            await clock.advance(26)
            await other.apply("create_shipment", KEY, document)

    shop.heard = heard
    effected = await zombie.apply("create_shipment", KEY, document)
    assert 2 == len(await shipped(shop, order))
    assert ("1", "it stood twice: 1 was kept, look at 2") == (effected.external_id, effected.reason)
