"""The example of a system that stands outside the tree keeps every promise, in fewer lines than it may take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler

from towpath.errors import RetryableError
from towpath.plugging import plugged_in
from towpath.testing.contracts import mapping_tests, sink_tests, source_tests
from towpath.testing.contracts.bench import bench_of
from towpath.testing.contracts.example import Reply
from towpath.testing.contracts.wire import Once, answers

SHOPIFY = Path(__file__).parents[2] / "examples" / "shopify"

with plugged_in(SHOPIFY):
    TestShopifyAsSource = source_tests("shopify")
    TestShopifyAsTarget = sink_tests("shopify")
    EXAMPLE = TestShopifyAsSource.example
TestShopifysMappings = mapping_tests(SHOPIFY / "mappings")


@pytest.fixture(autouse=True, scope="module")
def _plugged() -> Iterator[None]:
    with plugged_in(SHOPIFY):
        yield


def test_both_roles_together_take_under_two_hundred_lines_of_code() -> None:
    paths = [SHOPIFY / "systems" / "shopify.py", SHOPIFY / "producers" / "shopify.py", SHOPIFY / "sinks" / "shopify.py"]
    code = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(code) < 200


async def test_a_200_that_says_throttled_is_flow_control(tmp_path: Path) -> None:
    throttled = answers(Reply(200, {"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]}))
    async with bench_of(EXAMPLE, tmp_path) as bench, bench.sink() as sink:
        asked = await EXAMPLE.writes["set_stock"].ask(bench, 1)
        with bench.wire.acting(Once(throttled)), pytest.raises(RetryableError) as caught:
            await sink.apply("set_stock", "erp/stock/1", asked)
        assert caught.value.throttled
        assert "applied" == (await sink.insist("set_stock", "erp/stock/1", asked)).outcome


async def test_what_the_shop_sells_between_the_read_and_the_write_is_not_overwritten(tmp_path: Path) -> None:
    async with bench_of(EXAMPLE, tmp_path) as bench, bench.sink() as sink:
        asked = await EXAMPLE.writes["set_stock"].ask(bench, 1)

        async def sells(request: web.Request, handler: Handler) -> web.StreamResponse:
            await bench.control("PUT", "variants/CAP-1", {"available": 0})
            return await handler(request)

        with bench.wire.acting(Once(sells, nth=1)), pytest.raises(RetryableError, match="stock of CAP-1 moved while it was set"):
            await sink.apply("set_stock", "erp/stock/1", asked)
        assert [0] == [row["available"] for row in await bench.rows("variants")]
        await sink.insist("set_stock", "erp/stock/1", asked)
        assert 1 == await EXAMPLE.writes["set_stock"].count(bench, asked.document)
