"""Products at Brightpearl, where the shop is their master: one for each SKU, with its price in one list."""

from __future__ import annotations

from typing import Any

import pytest

from sinks.effects import Effected
from tests.unit.sinks.test_brightpearl import Brightpearl, To, erp, sink, sink_as
from towpath.errors import DataError

__all__ = ["erp", "sink", "sink_as"]
NEW = {"SKU": "CAP-1", "Name": "Cap", "Price": "12.50", "PriceListID": 2, "BrandID": 74, "CategoryCode": "296", "TaxCode": "T"}


async def put(sink: To, version: int, **changes: object) -> Effected:
    return await sink.insist("put_product", "shop/product/1", NEW | changes, version=(version, 0))


async def stands(erp: Brightpearl, sku: str = "CAP-1") -> tuple[int, str, list[Any]]:
    """Return the id, the name and the prices by list of the one product of a SKU."""
    (row,) = [row for row in await erp.rows("products") if row["identity"]["sku"] == sku]
    prices = await erp.ask("GET", f"product-service/product-price/{row['id']}")
    lists = [(one["priceListId"], one["quantityPrice"]["1"]) for one in prices[0]["priceLists"]]
    return row["id"], row["salesChannels"][0]["productName"], lists


async def test_a_new_product_is_made_and_then_changed_in_what_was_told(erp: Brightpearl, sink: To) -> None:
    made = await put(sink, 1)
    number, name, prices = await stands(erp)
    assert (Effected("applied", str(number)), "Cap", [(2, "12.5")]) == (made, name, prices)
    assert "applied" == (await put(sink, 2, Name="Cap, wool", Price="11.00", PriceListID=3)).outcome
    assert (number, "Cap, wool", [(2, "12.5"), (3, "11.0")]) == await stands(erp)


async def test_what_stands_is_found_and_not_written_and_an_older_one_superseded(erp: Brightpearl, sink: To) -> None:
    await put(sink, 2)
    erp.calls.clear()
    assert ["found", "superseded"] == [(await put(sink, version, Price="12.500")).outcome for version in (3, 1)]
    assert {"GET"} == {call.partition(" ")[0] for call in erp.calls}


@pytest.mark.parametrize("how", ["lost", "unsent"])
@pytest.mark.parametrize("call", ["POST product-service/product", "PUT product-service/product-price"])
async def test_a_lost_answer_makes_nothing_twice(erp: Brightpearl, sink: To, call: str, how: str) -> None:
    erp.cut(call, how)
    await put(sink, 1)
    assert ("Cap", [(2, "12.5")]) == (await stands(erp))[1:]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"SKU": ""}, "SKU"),
        ({"Name": None}, "Name"),
        ({"Price": "free"}, "Price"),
        ({"BrandID": "x/y"}, "BrandID"),
        ({"PriceListID": None}, "PriceListID"),
    ],
)
async def test_what_is_no_product_is_refused_by_its_field(sink: To, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(DataError) as caught:
        await put(sink, 1, **changes)
    assert field == caught.value.field
