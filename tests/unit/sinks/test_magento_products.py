"""Products at Magento: saved by SKU, in the attribute set that is asked for, with the options that its attributes have or get."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sinks.effects import Effected
from towpath.errors import DataError

Shop = Any
Sink = Any
CODES = {"Colour": "color", "Size": "size", "Fabric": "fabric", "Washable": "washable"}
NEW = {"SKU": "A/B 1", "Name": "Cap", "Price": "12.50", "AttributeSet": "apparel", "Attributes": {"Colour": "red"}, "AttributeCodes": CODES}


@pytest.fixture
async def shop(play: Callable[[str], Awaitable[Shop]]) -> Shop:
    return await play("magento")


@pytest.fixture
def sink(shop: Shop, sink_to: Callable[..., Sink]) -> Sink:
    return sink_to(shop)


async def put(sink: Sink, version: int, **changes: object) -> Effected:
    effected: Effected = await sink.insist("put_product", "erp/product/P-1", NEW | changes, version=(version, 0))
    return effected


async def product(shop: Shop, sku: str = "A/B 1") -> dict[str, Any]:
    (found,) = [row for row in await shop.rows("products") if row["sku"] == sku]
    return dict(found)


async def described(shop: Shop, sku: str = "A/B 1") -> dict[str, str]:
    """Return the product's attributes by code, an option by its label."""
    labels = {(row["attribute_code"], row["value"]): row["label"] for row in await shop.rows("attribute_options")}
    rows = (await product(shop, sku))["custom_attributes"]
    return {row["attribute_code"]: labels.get((row["attribute_code"], row["value"]), row["value"]) for row in rows}


async def test_a_new_product_whose_sku_no_path_can_hold_is_made_in_its_attribute_set(shop: Shop, sink: Sink) -> None:
    made = await put(sink, 1, Attributes={"Colour": "red", "Size": "XL", "Fabric": "Cotton", "Washable": "Yes", "Not mapped": "x"})
    row = await product(shop)
    assert Effected("applied", str(row["id"])) == made
    assert ("Cap", 12.5, 9, "simple", 1) == tuple(row[name] for name in ("name", "price", "attribute_set_id", "type_id", "status"))
    assert {"color": "Red", "size": "XL", "fabric": "Cotton", "washable": "1"} == await described(shop)


async def test_a_known_product_changes_in_what_was_told_and_in_nothing_else(shop: Shop, sink: Sink) -> None:
    before = await product(shop, "BAG-BLA-001")
    document = {"SKU": "BAG-BLA-001", "Name": "Bag, black", "Price": "41.00", "AttributeSet": 4, "Attributes": {"Colour": "Black"}}
    assert "applied" == (await put(sink, 1, **document)).outcome
    after = await product(shop, "BAG-BLA-001")
    kept = {name: value for name, value in before.items() if name not in {"price", "custom_attributes", "updated_at"}}
    assert {**kept, "price": 41} == {name: after[name] for name in (*kept, "price")}
    assert {"color": "Black"} == await described(shop, "BAG-BLA-001")


async def test_what_stands_is_found_and_not_written_and_an_empty_attribute_is_taken_away(shop: Shop, sink: Sink) -> None:
    await put(sink, 1, Attributes={"Colour": "Red", "Size": "M"})
    written = len(shop.sent("POST"))
    assert "found" == (await put(sink, 2, Price="12.5", Attributes={"Colour": "RED"})).outcome
    assert written == len(shop.sent("POST"))
    assert "applied" == (await put(sink, 3, Attributes={"Colour": "Red", "Size": ""})).outcome
    assert {"color": "Red"} == await described(shop)
    assert "superseded" == (await put(sink, 2, Name="Old")).outcome


@pytest.mark.parametrize("how", ["lost", "unsent"])
@pytest.mark.parametrize("call", ["POST products", "POST products/attributes/color/options"])
async def test_a_lost_answer_makes_nothing_twice(shop: Shop, sink: Sink, call: str, how: str) -> None:
    shop.cut(call, how)
    await put(sink, 1, Attributes={"Colour": "Teal"})
    assert {"color": "Teal"} == await described(shop)
    assert 1 == sum(row["label"] == "Teal" for row in await shop.rows("attribute_options"))


async def test_an_option_that_two_products_bring_at_once_is_added_once(shop: Shop, sink: Sink) -> None:

    documents = [{**NEW, "SKU": f"CAP-{number}", "Attributes": {"Colour": "Teal"}} for number in range(5)]
    await asyncio.gather(*(sink.apply("put_product", document["SKU"], document, version=(1, 0)) for document in documents))
    assert 1 == sum(row["label"] == "Teal" for row in await shop.rows("attribute_options"))
    assert [{"color": "Teal"}] * 5 == [await described(shop, f"CAP-{number}") for number in range(5)]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"SKU": ".."}, "SKU"),
        ({"Name": ""}, "Name"),
        ({"Price": None}, "Price"),
        ({"Price": "-1"}, "Price"),
        ({"AttributeSet": "Hats"}, "AttributeSet"),
        ({"AttributeSet": None}, "AttributeSet"),
        ({"AttributeCodes": {"Colour": "no/code"}}, "AttributeCodes"),
        ({"AttributeCodes": {"Colour": "colour"}}, "Attributes.colour"),
        ({"Attributes": {"Washable": "maybe"}}, "Attributes.washable"),
        ({"Attributes": {"Size": "M"}, "AttributeSet": "Default"}, "Attributes.size"),
    ],
)
async def test_what_the_shop_cannot_have_is_refused_by_its_field(sink: Sink, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(DataError) as caught:
        await put(sink, 1, **changes)
    assert field == caught.value.field
