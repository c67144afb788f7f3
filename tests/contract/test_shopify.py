"""The example of a system that stands outside the tree keeps every promise, in fewer lines than it may take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from towpath.plugging import plugged_in
from towpath.testing.contracts import sink_tests, source_tests

SHOPIFY = Path(__file__).parents[2] / "examples" / "shopify"

with plugged_in(SHOPIFY):
    TestShopifyAsSource = source_tests("shopify")
    TestShopifyAsTarget = sink_tests("shopify")


@pytest.fixture(autouse=True, scope="module")
def _plugged() -> Iterator[None]:
    with plugged_in(SHOPIFY):
        yield


def test_both_roles_together_take_under_two_hundred_lines_of_code() -> None:
    paths = [SHOPIFY / "systems" / "shopify.py", SHOPIFY / "producers" / "shopify.py", SHOPIFY / "sinks" / "shopify.py"]
    code = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(code) < 200
