from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.e2e.brightpearl_nopcommerce.playing import Pair, running


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    """Run one stack for all tests of the package."""
    async with running(tmp_path_factory.mktemp("brightpearl")) as pair:
        yield pair
