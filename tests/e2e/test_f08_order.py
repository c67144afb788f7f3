"""F-08: an order of the shop is an order at Brightpearl, with its contact, and its stock reserved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
import pytest_asyncio

from tests.e2e.brightpearl_pair import Pair, running
from towpath.demo.pairs import ERP, SHOP

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    async with running(tmp_path_factory.mktemp("brightpearl")) as pair:
        yield pair


async def test_f08_an_order_of_the_shop_is_one_reserved_order_at_brightpearl(pair: Pair) -> None:
    await pair.buy(1001)
    order = await pair.placed(1001, allocationStatusCode="AAA")
    shop_order = await pair.row(SHOP, "orders", id=1001)
    assert Decimal(str(shop_order["order_total"])) == Decimal(order["totalValue"]["total"])
    (contact,) = [row for row in await pair.rows(ERP, "contacts") if row["contactId"] == order["parties"]["customer"]["contactId"]]
    assert "@" in contact["communication"]["emails"]["PRI"]["email"]
    assert 1 == len(await pair.rows(ERP, "orders", reference="SHOP-1001"))
