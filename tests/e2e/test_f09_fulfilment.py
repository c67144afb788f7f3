"""F-09, the shop's half: what leaves Brightpearl's warehouse is a shipment with its tracking number at the shop."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.e2e.brightpearl_pair import Pair, running
from towpath.demo.pairs import SHOP
from towpath.testing.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    async with running(tmp_path_factory.mktemp("brightpearl")) as pair:
        yield pair


async def test_f09_a_shipped_note_is_a_shipment_with_tracking_at_the_shop(pair: Pair) -> None:
    await pair.buy(1002)
    order = await pair.placed(1002, allocationStatusCode="AAA")
    await pair.erp("POST", "warehouse/ship", {"order": order["id"], "tracking_number": "1Z999"})

    async def is_shipped() -> bool:
        return any(row["shipped_date_utc"] for row in await pair.rows(SHOP, "shipments", order_id=1002))

    await until(is_shipped, seconds=40, what="the shipment of order 1002 at the shop")
    shipment = await pair.row(SHOP, "shipments", order_id=1002)
    assert "1Z999" == shipment["tracking_number"]
    assert "DHL" in shipment["admin_comment"]
