"""Only the stock of the locations that a flow names counts for its shop."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from processors.flow_processor import FlowProcessor
from processors.mapping import load_model
from processors.port import Step
from processors.routing import Route
from processors.stock import Shelf
from processors.stockroom import counted_locations
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.delivery.deadletters import Registrar
from towpath.errors import ConfigError
from towpath.records import Record
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


def test_stock_elsewhere_is_counted_as_filtered_and_moves_no_number() -> None:
    processor = FlowProcessor(
        [flow(locations=["2"])], Registrar(default_codec(), "processor", "processor", frozenset({"erp", "shop"})), SystemClock()
    )
    state: dict[bytes, bytes] = {}

    def told(location: str, sequence: int) -> Step:
        value = default_codec().encode("StockChanged", a_stock(available=4, location=location, sequence=sequence))
        step = processor.process(Record("received.stock", 0, sequence, 1.0, b"TP-0001", value), state.get)
        state.update(step.writes)
        return step

    numbers = [
        [output.topic for output in told(location, sequence).outputs if output.topic == "deliver.shop"] for sequence, location in enumerate("72")
    ]
    assert [[], ["deliver.shop"]] == numbers
    assert "filtered" in {count.labels.get("reason") for count in told("7", 9).counts}
