"""What the engines' conformance suite runs on; every test of it runs on each engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from processors.engines.testing import ENGINES, Place


@pytest.fixture(params=list(ENGINES), scope="module")
def kind(request: pytest.FixtureRequest) -> str:
    """Give the name of an engine."""
    return str(request.param)


@pytest.fixture
def place(kafka: str) -> Iterator[Place]:
    """Give fresh topics."""
    with closing(Place(kafka)) as made:
        made.create(made.name, made.out)
        yield made
