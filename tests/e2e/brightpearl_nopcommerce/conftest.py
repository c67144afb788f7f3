from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.brightpearl_nopcommerce.playing import Pair, running
from tests.e2e.conftest import impatient
from towpath.demo.pairs import ERP, SHOP

MASTER = "master-shop"


def both_ways(content: dict[str, Any]) -> None:
    """Let customers and changes of orders go as well; Brightpearl tells of contacts by its searches alone.

    The shop is two connections, for one of which it is the master of products: it tells of those when it is asked to.
    """
    impatient(content)
    content["connections"][ERP]["poll_seconds"] = 2
    to_erp = {"source": SHOP, "target": ERP, "mapping": "nopcommerce-brightpearl/customer_changed", "reference_prefix": "SHOP-"}
    to_shop = {"source": ERP, "target": SHOP, "mapping": "brightpearl-nopcommerce/customer_changed"}
    for name, flow in (("shop-customers-to-erp", to_erp), ("erp-customers-to-shop", to_shop)):
        content["flows"][name] = {**flow, "event": "CustomerChanged"}
    options = {"brand_id": 74, "price_list": 2, "tax_code": "T20"}
    changes = {"source": SHOP, "target": ERP, "event": "OrderChanged", "mapping": "nopcommerce-brightpearl/order_changed"}
    content["flows"]["shop-changes-to-erp"] = {**changes, "options": content["flows"]["shop-orders-to-erp"]["options"]}
    content["connections"][MASTER] = {name: value for name, value in content["connections"][SHOP].items() if name != "webhook_secret"}
    products = {"source": MASTER, "target": ERP, "event": "ProductChanged", "mapping": "nopcommerce-brightpearl/product_changed"}
    content["flows"]["shop-products-to-erp"] = {**products, "options": options}


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    """Run one stack for all tests of the package."""
    async with running(tmp_path_factory.mktemp("brightpearl"), both_ways) as pair:
        yield pair
