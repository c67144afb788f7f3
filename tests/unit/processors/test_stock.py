"""What a shop may sell, whatever the order in which its orders and the source's own figures are heard of."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.stock import DROPPED, HELD, STANDING, Shelf, taken_by
from towpath.events import StockChanged, StockHold
from towpath.testing.events import PLACED_AT, a_stock


def said(available: int, *, allocated: int = 0, second: int = 0, location: str = "MAIN") -> StockChanged:
    stock = a_stock(available=available, location=location, allocated=Decimal(allocated))
    stock["meta"]["occurred_at"] = PLACED_AT + timedelta(seconds=second)
    return stock


def hold(state: str = HELD, quantity: int = 2, *, order: str = "shop/order/1001", second: int = 0) -> StockHold:
    at = PLACED_AT + timedelta(seconds=second)
    return {
        "connection": "erp", "sku": "TP-0001", "order_key": order, "quantity": Decimal(quantity), "state": state,
        "standing_at": at if state == STANDING else None, "at": at,
    }  # fmt: skip


STOCKED = Shelf().counted(said(10))


def test_every_location_counts() -> None:
    assert Decimal(14) == STOCKED.counted(said(4, location="WEST")).sellable


def test_a_location_that_is_told_of_again_counts_once() -> None:
    assert Decimal(7) == STOCKED.counted(said(7, second=1)).sellable


def test_what_an_order_holds_cannot_be_sold_again() -> None:
    assert Decimal(8) == STOCKED.held_by(hold(), Decimal(0)).sellable


def test_a_hold_that_is_told_again_holds_once() -> None:
    held = STOCKED.held_by(hold(), Decimal(0))
    assert held == held.held_by(hold(), Decimal(2))


def test_an_order_that_stands_holds_until_the_source_tells_of_it() -> None:
    standing = STOCKED.held_by(hold(), Decimal(0)).held_by(hold(STANDING, second=5), Decimal(2))
    assert Decimal(8) == standing.sellable
    assert Decimal(8) == standing.counted(said(8, allocated=2, second=5)).sellable


def test_figures_from_before_an_order_stood_do_not_free_what_it_holds() -> None:
    standing = STOCKED.held_by(hold(), Decimal(0)).held_by(hold(STANDING, second=5), Decimal(2))
    assert Decimal(9) == standing.counted(said(11, second=4)).sellable


def test_an_order_that_is_given_up_holds_nothing() -> None:
    assert STOCKED == STOCKED.held_by(hold(), Decimal(0)).held_by(hold(DROPPED), Decimal(2))


@pytest.mark.parametrize("steps", list(permutations(["source", "standing"])))
def test_no_order_in_which_the_source_and_the_receipt_are_heard_moves_the_number(steps: tuple[str, ...]) -> None:
    shelf = STOCKED.held_by(hold(), Decimal(0))
    seen = [shelf.sellable]
    for step in steps:
        shelf = shelf.counted(said(8, allocated=2, second=5)) if step == "source" else shelf.held_by(hold(STANDING, second=5), Decimal(2))
        seen.append(shelf.sellable)
    assert [Decimal(8)] * 3 == seen


def test_what_others_take_at_the_source_lowers_the_number_once_no_order_is_under_way() -> None:
    shelf = STOCKED.held_by(hold(), Decimal(0)).counted(said(7, allocated=3, second=1))
    shelf = shelf.counted(said(5, allocated=5, second=5)).held_by(hold(STANDING, second=5), Decimal(2))
    assert (Decimal(5), Decimal(0)) == (shelf.sellable, shelf.credit)


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=6))
def test_when_all_is_heard_the_number_is_the_sources_own(orders: list[tuple[int, bool]]) -> None:
    shelf, allocated, told = Shelf().counted(said(100)), 0, []
    for number, (quantity, _) in enumerate(orders):
        shelf = shelf.held_by(hold(quantity=quantity, order=str(number)), Decimal(0))
    for number, (quantity, source_first) in enumerate(orders):
        allocated += quantity
        stands = hold(STANDING, order=str(number), second=number + 1)
        figures = said(100 - allocated, allocated=allocated, second=number + 1)
        if source_first:
            shelf = shelf.counted(figures)
            told.append(shelf.sellable)
            shelf = shelf.held_by(stands, Decimal(quantity))
        else:
            shelf = shelf.held_by(stands, Decimal(quantity))
            told.append(shelf.sellable)
            shelf = shelf.counted(figures)
        told.append(shelf.sellable)
    assert {Decimal(100 - allocated)} == set(told)


def test_a_number_that_rises_is_marked_and_one_that_falls_is_not() -> None:
    first = STOCKED.telling(100.0)
    lower = first.held_by(hold(), Decimal(0)).telling(100.0)
    higher = lower.counted(said(30, second=9)).telling(100.0)
    assert (100_000_000, 100_000_000) == (first.version, first.raised)
    assert (100_000_001, 100_000_000) == (lower.version, lower.raised)
    assert (100_000_002, 100_000_002) == (higher.version, higher.raised)


def test_the_version_passes_any_that_a_lost_state_had() -> None:
    assert replace(STOCKED, version=3).telling(100.0).version > Shelf(version=100).telling(50.0).version


def test_a_shelf_comes_back_from_the_state_as_it_was() -> None:
    shelf = STOCKED.held_by(hold(), Decimal(0)).held_by(hold(order="b"), Decimal(0)).held_by(hold(STANDING, second=9), Decimal(2)).telling(7.5)
    assert shelf == Shelf.load(shelf.dump())
    assert Shelf() == Shelf.load(None)


def test_lines_of_one_product_take_their_sum() -> None:
    lines = [{"sku": "a", "quantity": Decimal(1)}, {"sku": "b", "quantity": Decimal(2)}, {"sku": "a", "quantity": Decimal(3)}]
    assert {"a": Decimal(4), "b": Decimal(2)} == taken_by(lines)
