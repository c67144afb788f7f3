from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.e2e.conftest import impatient, running
from towpath.testing.played_magento import PlayedMagento


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def magento(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PlayedMagento]:
    """Run one stack for all tests of the package."""
    async with running(tmp_path_factory.mktemp("magento"), pair="bng-magento", changes=impatient) as stack:
        yield PlayedMagento(stack)
