"""Only the stock of the locations that a flow names counts for its shop."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from processors.mapping import load_model
from processors.routing import Route
from processors.stock import Shelf
from processors.stockroom import counted_locations
from towpath.errors import ConfigError
from towpath.testing.events import a_stock

MODEL = load_model("brightpearl-nopcommerce/stock_changed")


def flow(name: str = "stock", **options: Any) -> Route:  # noqa: ANN401 - any option
    return Route(name, "erp", "shop", "StockChanged", MODEL, "", options)


def test_all_locations_count_unless_some_are_named() -> None:
    assert {"erp": None} == counted_locations([flow()])
    assert {"erp": frozenset({"2", "3"})} == counted_locations([flow(locations=["2", "3"]), flow("other", locations=["3", "2"])])


@pytest.mark.parametrize("locations", ["2", [2], [], {"2": True}])
def test_locations_that_are_no_list_of_texts_are_refused_by_their_name(locations: object) -> None:
    with pytest.raises(ConfigError, match=r"flows\.stock\.options\.locations"):
        counted_locations([flow(locations=locations)])


def test_two_flows_of_one_source_count_the_same() -> None:
    with pytest.raises(ConfigError, match=r"flows\.other\.options\.locations: flows\.stock counts others of erp"):
        counted_locations([flow(locations=["2"]), flow("other")])


def test_what_lies_at_a_location_that_counts_no_more_is_forgotten() -> None:
    shelf = Shelf().counted(a_stock(available=4, location="2")).counted(a_stock(available=9, location="7"))
    assert Decimal(13) == shelf.sellable == shelf.within(None).sellable
    assert Decimal(4) == shelf.within(frozenset({"2", "3"})).sellable
