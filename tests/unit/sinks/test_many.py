"""Many deliveries in one call: each has an outcome of its own, whatever becomes of the call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sinks.effects import Effected
from sinks.magento.shop import SOURCE_ITEMS
from towpath.errors import DataError, FencedError, OutcomeUnknownError

Shop = Any
Sink = Any
POST = "POST inventory/source-items"
WRITTEN = 30


@pytest.fixture
async def shop(play: Callable[[str], Awaitable[Any]]) -> Shop:
    return await play("magento")


@pytest.fixture
def sink(shop: Shop, sink_to: Callable[..., Sink]) -> Sink:
    return sink_to(shop)


def an_item(sku: str, quantity: int = 7, source: str = "default") -> dict[str, Any]:
    return {"sku": sku, "source_code": source, "quantity": quantity, "status": 1}


async def lying(shop: Shop) -> dict[str, float]:
    return {row["sku"]: row["quantity"] for row in await shop.rows("source_items") if row["source_code"] == "default"}


async def outcomes(sink: Sink, items: list[dict[str, Any]]) -> list[BaseException | None]:
    return await asyncio.gather(*(SOURCE_ITEMS.write(sink.api, item) for item in items), return_exceptions=True)


async def test_what_is_asked_at_once_goes_in_few_calls_none_larger_than_the_shop_takes(shop: Shop, sink: Sink) -> None:
    assert [None] * WRITTEN == await outcomes(sink, [an_item(f"N-{number}", number) for number in range(WRITTEN)])
    assert {f"N-{number}": number for number in range(WRITTEN)}.items() <= (await lying(shop)).items()
    assert 2 == len(shop.sent(POST)), "20 and 10"


async def test_a_batch_that_is_refused_is_halved_until_only_what_is_refused_hears_of_it(shop: Shop, sink: Sink) -> None:
    items = [an_item(f"N-{number}", source="nowhere" if number in {3, 11} else "default") for number in range(16)]
    found = await outcomes(sink, items)
    assert [3, 11] == [number for number, error in enumerate(found) if isinstance(error, DataError)]
    assert 14 == found.count(None)
    assert {f"N-{number}" for number in range(16) if number not in {3, 11}} <= set(await lying(shop))


async def test_one_that_belongs_to_another_process_now_is_not_written_and_the_others_are(shop: Shop, sink: Sink) -> None:
    async def taken() -> None:
        raise FencedError("another process has it")

    writes = [SOURCE_ITEMS.write(sink.api.fenced(taken) if number == 2 else sink.api, an_item(f"N-{number}")) for number in range(5)]
    found = await asyncio.gather(*writes, return_exceptions=True)
    assert [2] == [number for number, error in enumerate(found) if isinstance(error, FencedError)]
    assert ("N-2" in await lying(shop), 4) == (False, found.count(None))


async def test_a_lost_answer_is_of_unknown_outcome_for_all_in_the_call_and_the_next_call_goes_on(shop: Shop, sink: Sink) -> None:
    shop.cut(POST, "lost")
    found = await outcomes(sink, [an_item(f"N-{number}") for number in range(4)])
    assert all(isinstance(error, OutcomeUnknownError) for error in found)
    assert [None] == await outcomes(sink, [an_item("N-9")])


async def test_a_delivery_that_leaves_while_it_waits_takes_no_other_with_it(shop: Shop, sink: Sink) -> None:
    writes = [asyncio.create_task(SOURCE_ITEMS.write(sink.api, an_item(f"N-{number}"))) for number in range(3)]
    await asyncio.sleep(0)
    writes[0].cancel()
    found = await asyncio.gather(*writes, return_exceptions=True)
    assert (True, [None, None]) == (isinstance(found[0], asyncio.CancelledError), found[1:])
    assert {"N-1", "N-2"} <= set(await lying(shop))


async def test_the_stock_of_many_products_is_set_through_the_ledger_in_fewer_calls_than_products(shop: Shop, sink: Sink) -> None:
    skus = sorted(product["sku"] for product in await shop.rows("products") if product["type_id"] == "simple")[:12]

    async def put(sku: str) -> Effected:
        document = {"SKU": sku, "Salable": 5, "RaisedAt": 1, "SourceCode": "default", "StockID": 1}
        effected: Effected = await sink.insist("set_stock", f"erp/stock/{sku}", document, version=(1, 0))
        return effected

    done = await asyncio.gather(*map(put, skus))
    assert {"applied"} == {effected.outcome for effected in done}
    assert dict.fromkeys(skus, 5).items() <= (await lying(shop)).items()
    assert len(shop.sent(POST)) < len(skus)
