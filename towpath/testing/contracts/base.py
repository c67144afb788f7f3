"""What both suites need: the system running, and a test for each of the things that its example names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar, Final

import pytest
import pytest_asyncio

from towpath.testing.contracts.bench import Bench, bench_of
from towpath.testing.contracts.example import Example
from towpath.testing.contracts.unfilled import unfilled

SHORTEST: Final = 16


class Contract:
    """A suite; `example` says which system it is run on."""

    pytestmark = pytest.mark.asyncio(loop_scope="class")
    example: ClassVar[Example]

    def parameters(self) -> Mapping[str, list[Any]]:
        """Return the values of each argument that a test has a run for each of."""
        return {}

    def has_no_secret(self, said: str) -> None:
        """Fail where a credential of the system stands in what is said; what is short is a name, such as an app's reference."""
        for name, secret in self.example.credentials.items():
            assert len(secret) < SHORTEST or secret not in said, f"{name} stands in an error"

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Have a test of an entity, an operation or a status run for each of them."""
        for name, values in self.parameters().items():
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, values, ids=str)

    async def test_nothing_is_left_to_fill_in(self) -> None:
        left = unfilled(self.example.system)
        if left:
            pytest.fail("\n  ".join([f"{self.example.system} has {len(left)} places to fill in (docs/add-a-system.md):", *left]), pytrace=False)

    @pytest_asyncio.fixture(scope="class", loop_scope="class")
    @classmethod
    async def bench(cls, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
        """Give the system, the same for all tests of the suite, once there is nothing left to fill in."""
        if unfilled(cls.example.system):
            pytest.skip("test_nothing_is_left_to_fill_in says what is to be written first")
        async with bench_of(cls.example, tmp_path_factory.mktemp(cls.example.system)) as bench:
            yield bench
