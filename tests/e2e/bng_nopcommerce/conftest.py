from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.conftest import impatient, running
from towpath.demo.pairs import ERP, SHOP
from towpath.testing.played import Played


def with_options(content: dict[str, Any]) -> None:
    """Let orders carry the merchant's own dimensions and cost centre, and customers go both ways with one field of their own."""
    impatient(content)
    shared = {"custom_fields": ["Customer Type"], "master": {"company": ERP, "*": SHOP}}
    to_erp = {"source": SHOP, "target": ERP, "mapping": "nopcommerce-bng/customer_changed", "reference_prefix": "SHOP-"}
    to_shop = {"source": ERP, "target": SHOP, "mapping": "bng-nopcommerce/customer_changed"}
    for name, flow in (("shop-customers-to-erp", to_erp), ("erp-customers-to-shop", to_shop)):
        content["flows"][name] = {**flow, "event": "CustomerChanged", "options": shared}
    content["flows"]["shop-orders-to-erp"]["options"] = {"cost_centre": "CC-WEB", "dimensions": {"Region": "North", "Channel": "unknown"}}


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Played]:
    """Run one stack for all tests of the package."""
    async with running(tmp_path_factory.mktemp("pair"), changes=with_options) as stack:
        yield Played(stack)
