"""Products at the shop: one for each SKU, whatever comes twice or is lost, and nothing changed that is not the flow's."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from sinks.effects import Effected
from towpath.errors import DataError

Shop = Any
Sink = Any
SKU = "BOT-PLU-020"
NEW = {"SKU": "CAP-1", "Name": "Cap", "Price": "12.50", "Attributes": {"Colour": "Red"}}


async def put(sink: Sink, version: int, document: dict[str, Any], **changes: object) -> Effected:
    effected: Effected = await sink.insist("put_product", f"erp/product/{document['SKU']}", document | changes, version=(version, 0))
    return effected


async def product(shop: Shop, sku: str) -> dict[str, Any]:
    (found,) = [row for row in await shop.rows("products") if row["sku"] == sku]
    return dict(found)


async def described(shop: Shop, number: int) -> list[tuple[str, str]]:
    """Return the attributes of a product by name and value."""
    names = {row["id"]: row["name"] for row in await shop.rows("specification_attributes")}
    options = {row["id"]: (names[row["specification_attribute_id"]], row["name"]) for row in await shop.rows("specification_attribute_options")}
    rows = await shop.rows("product_specification_attributes")
    return sorted(options[row["specification_attribute_option_id"]] for row in rows if row["product_id"] == number)


async def test_a_new_product_is_made_with_its_price_and_attributes_and_without_stock(shop: Shop, sink: Sink) -> None:
    made = await put(sink, 1, NEW, TypeAttribute="Kind", ProductType="Apparel")
    row = await product(shop, "CAP-1")
    assert Effected("applied", str(row["id"])) == made
    assert ("Cap", 12.5, 0, 1, True) == tuple(row[name] for name in ("name", "price", "stock_quantity", "manage_inventory_method_id", "published"))
    assert [("Colour", "Red"), ("Kind", "Apparel")] == await described(shop, row["id"])


async def test_a_known_product_changes_in_what_was_told_and_in_nothing_else(shop: Shop, sink: Sink) -> None:
    await shop.control("POST", f"products/{SKU}", {"weight": 1e-9, "full_description": "<p>ü</p>", "stock_quantity": 7})
    before = await product(shop, SKU)
    assert "applied" == (await put(sink, 1, {"SKU": SKU, "Name": "Bottle, plum", "Price": "18.99"})).outcome
    after = await product(shop, SKU)
    assert {**before, "price": 18.99, "updated_on_utc": after["updated_on_utc"]} == after
    assert after["updated_on_utc"] != before["updated_on_utc"]


async def test_what_stands_is_found_and_not_written(shop: Shop, sink: Sink) -> None:
    await put(sink, 1, NEW)
    calls = len(shop.calls)
    assert "found" == (await put(sink, 2, NEW, Price="12.500")).outcome
    assert {"GET"} == {call.partition(" ")[0] for call in shop.calls[calls:]}


async def test_an_older_product_after_a_newer_one_is_superseded(shop: Shop, sink: Sink) -> None:
    await put(sink, 9, NEW)
    assert "superseded" == (await put(sink, 8, NEW, Price="1.00")).outcome
    assert 12.5 == (await product(shop, "CAP-1"))["price"]


async def test_an_attribute_has_one_value_the_newest_and_an_empty_one_takes_it_away_and_those_of_the_shop_stay(shop: Shop, sink: Sink) -> None:
    await put(sink, 1, NEW, Attributes={"Colour": "Red", "Size": "M"})
    number = (await product(shop, "CAP-1"))["id"]
    own = await shop.ask("POST", "SpecificationAttribute/Create", {"name": "Care"})
    option = await shop.ask("POST", "SpecificationAttributeOption/Create", {"specification_attribute_id": own["id"], "name": "By hand"})
    for one in (option["id"], 1):  # 1 is Red, which stands then twice
        await shop.ask("POST", "ProductSpecificationAttribute/Create", {"product_id": number, "specification_attribute_option_id": one})
    assert "applied" == (await put(sink, 2, NEW, Attributes={" colour ": "blue", "Size": "", "Weight": ""})).outcome
    assert [("Care", "By hand"), ("Colour", "blue")] == await described(shop, number)
    assert "found" == (await put(sink, 3, NEW, Attributes={"Colour": "Blue"})).outcome
    assert {"Care", "Colour", "Size"} == {row["name"] for row in await shop.rows("specification_attributes")}


@pytest.mark.parametrize("how", ["lost", "unsent"])
@pytest.mark.parametrize(
    "call", ["POST Product/", "POST SpecificationAttribute/", "POST SpecificationAttributeOption/", "POST ProductSpecificationAttribute/"]
)
async def test_a_lost_answer_makes_nothing_twice(shop: Shop, sink: Sink, call: str, how: str) -> None:
    shop.cut(call, how)
    await put(sink, 1, NEW)
    assert [("Colour", "Red")] == await described(shop, (await product(shop, "CAP-1"))["id"])
    counts = [len(await shop.rows(name)) for name in ("specification_attributes", "specification_attribute_options")]
    assert [1, 1] == counts


async def test_an_attribute_that_the_shop_deleted_is_made_again(shop: Shop, sink: Sink) -> None:
    await put(sink, 1, NEW)
    shop.answers["POST ProductSpecificationAttribute/"] = web.Response(status=400, text='{"Title": "no such option"}')
    with pytest.raises(DataError):
        await put(sink, 2, NEW, Attributes={"Size": "M"})
    del shop.answers["POST ProductSpecificationAttribute/"]
    calls = len(shop.calls)
    await put(sink, 3, NEW, Attributes={"Size": "M"})
    assert "GET SpecificationAttribute/GetAll" in shop.calls[calls:], "what was known of the shop was forgotten"


async def test_a_product_without_a_price_is_made_but_not_published(shop: Shop, sink: Sink) -> None:
    await put(sink, 1, {"SKU": "CAP-1", "Name": "Cap"})
    assert not (await product(shop, "CAP-1"))["published"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"SKU": " "}, "SKU"),
        ({"SKU": "x" * 401}, "SKU"),
        ({"Name": ""}, "Name"),
        ({"Name": "a\nb"}, "Name"),
        ({"Price": "free"}, "Price"),
        ({"Price": "-1"}, "Price"),
        ({"Price": "NaN"}, "Price"),
        ({"Price": 5}, "Price"),
        ({"Attributes": {"Colour": 5}}, "Attributes"),
        ({"Attributes": ["Colour"]}, "Attributes"),
    ],
)
async def test_what_is_no_product_is_refused_by_its_field(shop: Shop, sink: Sink, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(DataError) as caught:
        await put(sink, 1, {**NEW, **changes})
    assert field == caught.value.field
    assert [] == shop.sent("POST Product/", "PUT Product/")
