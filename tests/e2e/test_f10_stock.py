"""F-10: what any warehouse of Brightpearl has on hand is what the shop may sell."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.e2e.brightpearl_pair import Pair, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    async with running(tmp_path_factory.mktemp("brightpearl")) as pair:
        yield pair


async def test_f10_a_count_in_any_warehouse_changes_what_the_shop_may_sell(pair: Pair) -> None:
    await pair.erp("POST", "warehouse/count", {"sku": "MUG-PLU-050", "warehouse": 2, "in_stock": 7})
    await pair.shelved("MUG-PLU-050", 7)
    await pair.erp("POST", "warehouse/count", {"sku": "MUG-PLU-050", "warehouse": 3, "in_stock": 5})
    await pair.shelved("MUG-PLU-050", 12)
