from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.conftest import impatient, running
from towpath.demo.pairs import ERP, SHOP
from towpath.testing.played_magento import PlayedMagento


def with_customers(content: dict[str, Any]) -> None:
    """Let customers go both ways; the shop's groups are segments at the ERP."""
    impatient(content)
    groups = {"name": "Customer Group", "values": {"0": "Guest", "1": "General", "2": "Wholesale", "3": "Retailer"}}
    shared = {"custom_fields": ["Customer Segment"], "translated": {"Customer Segment": groups}}
    to_erp = {"source": SHOP, "target": ERP, "mapping": "magento-bng/customer_changed", "reference_prefix": "SHOP-"}
    to_shop = {"source": ERP, "target": SHOP, "mapping": "bng-magento/customer_changed"}
    for name, flow, more in (("shop-customers-to-erp", to_erp, {"payment_terms": "NET14"}), ("erp-customers-to-shop", to_shop, {"telephone": "000"})):
        content["flows"][name] = {**flow, "event": "CustomerChanged", "options": {**shared, **more}}


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def magento(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PlayedMagento]:
    """Run one stack for all tests of the package."""
    async with running(tmp_path_factory.mktemp("magento"), pair="bng-magento", changes=with_customers) as stack:
        yield PlayedMagento(stack)
