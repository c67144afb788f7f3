from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.brightpearl_nopcommerce.playing import Pair, running
from tests.e2e.conftest import impatient
from towpath.demo.pairs import ERP, SHOP


def with_customers(content: dict[str, Any]) -> None:
    """Let customers go both ways; Brightpearl tells of contacts by its searches alone."""
    impatient(content)
    content["connections"][ERP]["poll_seconds"] = 2
    to_erp = {"source": SHOP, "target": ERP, "mapping": "nopcommerce-brightpearl/customer_changed", "reference_prefix": "SHOP-"}
    to_shop = {"source": ERP, "target": SHOP, "mapping": "brightpearl-nopcommerce/customer_changed"}
    for name, flow in (("shop-customers-to-erp", to_erp), ("erp-customers-to-shop", to_shop)):
        content["flows"][name] = {**flow, "event": "CustomerChanged"}


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    """Run one stack for all tests of the package."""
    async with running(tmp_path_factory.mktemp("brightpearl"), with_customers) as pair:
        yield pair
