"""The shop's stock: the newest number, never raised over what the shop sold since, whatever comes twice, late or is lost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from sinks.effects import Effected
from towpath.errors import DataError, FencedError, OutcomeUnknownError, RetryableError
from towpath.testing.waiting import until

Shop = Any
Sink = Any
SKU = "BOT-PLU-020"
KEY = f"erp/stock/{SKU}"
UPDATE = "PUT Product/Update"


async def product(shop: Shop) -> dict[str, Any]:
    return next(row for row in await shop.rows("products") if row["sku"] == SKU)


async def put(sink: Sink, quantity: object, version: int, raised_at: object = None, **changes: object) -> Effected:
    """Put a number that rose with this version, or with an earlier one."""
    document = {"SKU": SKU, "StockQuantity": quantity, "RaisedAt": version if raised_at is None else raised_at} | changes
    effected: Effected = await sink.apply("set_stock", KEY, document, version=(version, 0))
    return effected


async def sell(shop: Shop, quantity: int) -> None:
    number = (await product(shop))["id"]
    await shop.ask("POST", f"Product/AdjustInventory/{number}?quantityToChange=-{quantity}&message=sold")


async def test_the_stock_is_written_and_nothing_else_of_the_product_changes(shop: Shop, sink: Sink) -> None:
    await shop.control("POST", f"products/{SKU}", {"price": 19.999999999999996, "weight": 1e-9, "full_description": "<p>ü</p>"})
    before = await product(shop)
    assert Effected("applied", str(before["id"])) == await put(sink, 7, 100)
    assert {**before, "stock_quantity": 7} == await product(shop)
    assert [f"GET Product/GetProductBySku?sku={SKU}", "PUT Product/Update"] == shop.calls[-2:], "nothing between the read and the write"


async def test_a_number_that_stands_is_found_and_not_written(shop: Shop, sink: Sink) -> None:
    there = (await product(shop))["stock_quantity"]
    assert "found" == (await put(sink, there, 100)).outcome
    assert [] == shop.sent(UPDATE)


async def test_an_older_number_after_a_newer_one_is_superseded_and_an_equal_one_unchanged(shop: Shop, sink: Sink) -> None:
    await put(sink, 7, 200)
    calls = len(shop.calls)
    assert "superseded" == (await put(sink, 9, 199)).outcome
    assert "unchanged" == (await put(sink, 7, 200)).outcome
    assert (calls, 7) == (len(shop.calls), (await product(shop))["stock_quantity"])


async def test_the_same_version_with_another_number_is_told_and_not_so_while_a_newer_one_is_on_its_way(shop: Shop, sink: Sink) -> None:
    await put(sink, 7, 200)
    assert "the content changed after it was written; the change was not applied" == (await put(sink, 8, 200)).reason
    shop.cut(UPDATE, "unsent")
    with pytest.raises(OutcomeUnknownError):
        await put(sink, 9, 300)
    assert Effected("unchanged", "20") == await put(sink, 7, 200)


@pytest.mark.parametrize("order", list(itertools.permutations([(100, 5), (200, 9), (300, 4)])))
async def test_in_whatever_order_numbers_come_the_newest_stands(shop: Shop, sink: Sink, order: list[tuple[int, int]]) -> None:
    for version, quantity in order:
        await put(sink, quantity, version)
    assert 4 == (await product(shop))["stock_quantity"]


async def test_a_number_that_fell_is_written_and_never_raises_what_the_shop_has_sold_since(shop: Shop, sink: Sink) -> None:
    await put(sink, 10, 100)
    assert "applied" == (await put(sink, 8, 200, raised_at=100)).outcome
    await sell(shop, 5)
    assert "found" == (await put(sink, 6, 300, raised_at=100)).outcome, "3 at the shop: it sold 5 of 8, of which the source knows 2"
    assert 3 == (await product(shop))["stock_quantity"]
    assert "applied" == (await put(sink, 2, 400, raised_at=100)).outcome
    assert 2 == (await product(shop))["stock_quantity"]


async def test_a_number_that_rose_since_is_written_above_what_the_shop_has(shop: Shop, sink: Sink) -> None:
    await put(sink, 10, 100)
    await sell(shop, 5)
    assert "found" == (await put(sink, 9, 200, raised_at=100)).outcome
    assert "applied" == (await put(sink, 12, 300, raised_at=300)).outcome
    assert "applied" == (await put(sink, 11, 400, raised_at=300)).outcome
    assert 11 == (await product(shop))["stock_quantity"]


async def test_a_number_that_fell_is_written_above_what_the_shop_has_where_the_rise_was_missed(shop: Shop, sink: Sink) -> None:
    await put(sink, 5, 100)
    assert "applied" == (await put(sink, 9, 300, raised_at=200)).outcome, "10 at 200 never came"
    assert 9 == (await product(shop))["stock_quantity"]
    assert "superseded" == (await put(sink, 10, 200)).outcome


async def test_the_first_number_is_written_whatever_the_shop_has(shop: Shop, sink: Sink) -> None:
    await shop.control("POST", f"products/{SKU}", {"stock_quantity": -2})
    assert "applied" == (await put(sink, 0, 300, raised_at=200)).outcome
    assert 0 == (await product(shop))["stock_quantity"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"SKU": "GHOST"}, "SKU"),
        ({"SKU": None}, "SKU"),
        ({"StockQuantity": -1}, "StockQuantity"),
        ({"StockQuantity": 2.5}, "StockQuantity"),
        ({"StockQuantity": "7"}, "StockQuantity"),
        ({"StockQuantity": 2**31}, "StockQuantity"),
        ({"StockQuantity": 1e400}, "StockQuantity"),
        ({"RaisedAt": None}, "RaisedAt"),
    ],
)
async def test_what_names_no_product_or_number_is_refused_by_its_field(shop: Shop, sink: Sink, change: dict[str, object], field: str) -> None:
    with pytest.raises(DataError) as refused:
        await sink.apply("set_stock", KEY, {"SKU": SKU, "StockQuantity": 7, "RaisedAt": 1} | change, version=(1, 0))
    assert field == refused.value.field
    assert [] == shop.sent(UPDATE)


async def test_a_product_that_comes_to_the_shop_later_gets_its_stock_then(shop: Shop, sink: Sink) -> None:
    await shop.control("POST", f"products/{SKU}", {"deleted": True})
    with pytest.raises(DataError, match=f"SKU {SKU} is unknown at to"):
        await put(sink, 7, 100)
    await shop.control("POST", f"products/{SKU}", {"deleted": False})
    assert "applied" == (await put(sink, 7, 100)).outcome


async def test_a_product_in_several_warehouses_is_refused_with_what_to_do(shop: Shop, sink: Sink) -> None:
    await shop.control("POST", f"products/{SKU}", {"use_multiple_warehouses": True})
    with pytest.raises(DataError, match=f"SKU {SKU} is in several warehouses at to; let it use one there, or leave it out of the flow") as refused:
        await put(sink, 7, 100)
    assert "SKU" == refused.value.field
    assert [] == shop.sent(UPDATE)


async def test_a_sku_with_signs_in_it_is_asked_for_as_it_is(shop: Shop, sink: Sink) -> None:
    await shop.control("POST", f"products/{SKU}", {"sku": "A&B=1/2 #ü+"})
    assert "applied" == (await put(sink, 7, 100, SKU="A&B=1/2 #ü+")).outcome


@pytest.mark.parametrize(("how", "outcome"), [("lost", "found"), ("unsent", "applied"), ("late", "found")])
async def test_a_number_whose_answer_was_lost_stands_in_the_end(shop: Shop, sink: Sink, how: str, outcome: str) -> None:
    shop.cut(UPDATE, how)
    with pytest.raises(OutcomeUnknownError):
        await put(sink, 7, 100)
    with pytest.raises(RetryableError, match="may still commit"):
        await put(sink, 7, 100)
    for commit in shop.late:
        await commit()
    await sink.clock.advance(5)
    assert outcome == (await put(sink, 7, 100)).outcome
    assert 7 == (await product(shop))["stock_quantity"]


async def test_a_newer_number_waits_until_a_lost_one_has_settled_and_then_stands(shop: Shop, sink: Sink, sink_to: Callable[..., Sink]) -> None:
    shop.cut(UPDATE, "late")
    with pytest.raises(OutcomeUnknownError):
        await put(sink, 7, 100)
    for process in (sink, sink_to(shop, "other")):
        with pytest.raises(RetryableError, match="may still commit"):
            await put(process, 4, 200, raised_at=50)
    await shop.late[0]()
    await sink.clock.advance(5)
    assert "applied" == (await put(sink, 4, 200, raised_at=50)).outcome
    assert "superseded" == (await put(sink, 7, 100)).outcome
    assert 4 == (await product(shop))["stock_quantity"]


async def test_a_process_that_was_stopped_before_its_write_does_not_write_over_a_newer_number(
    shop: Shop, sink: Sink, sink_to: Callable[..., Sink]
) -> None:
    other = sink_to(shop, "other")

    async def slow_down(_call: str) -> None:
        sink.api.gate.throttled(60)

    shop.heard = slow_down
    stopped = asyncio.create_task(put(sink, 7, 100))

    async def waits() -> bool:
        return bool(sink.clock.sleeping)

    await until(waits)
    shop.heard = None
    await sink.clock.advance(25)
    assert "applied" == (await put(other, 4, 200)).outcome
    with pytest.raises(FencedError):
        await sink.clock.run(stopped)
    assert "superseded" == (await put(sink, 7, 100)).outcome
    assert (4, 1) == ((await product(shop))["stock_quantity"], len(shop.sent(UPDATE)))
