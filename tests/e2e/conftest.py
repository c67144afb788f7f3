"""Whole stacks for the end-to-end tests: real Kafka, real HTTP between processes, the sandbox systems."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from towpath.demo.pairs import find_pair
from towpath.demo.stack import Stack


@asynccontextmanager
async def running(
    folder: Path,
    *,
    faults: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    changes: Callable[[dict[str, Any]], None] | None = None,
) -> AsyncIterator[Stack]:
    """Run a stack of BNG and NopCommerce in `folder` while entered."""
    stack = Stack(folder / "stack", find_pair("bng-nopcommerce"), faults or {}, faults or {}, environment or {}, changes)
    stack.write()
    try:
        await stack.start()
        yield stack
    finally:
        await stack.stop()


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Any]:
    """Return a context manager that runs a stack in a folder of this test's own."""

    def begin(**options: Any) -> Any:  # noqa: ANN401 - passed on
        return running(tmp_path, **options)

    return begin
