from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.conftest import impatient, running
from towpath.testing.played import Played


def with_options(content: dict[str, Any]) -> None:
    """Let orders carry the merchant's own dimensions and cost centre."""
    impatient(content)
    content["flows"]["shop-orders-to-erp"]["options"] = {"cost_centre": "CC-WEB", "dimensions": {"Region": "North", "Channel": "unknown"}}


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Played]:
    """Run one stack for all tests of the package."""
    async with running(tmp_path_factory.mktemp("pair"), changes=with_options) as stack:
        yield Played(stack)
