"""Whole stacks for the end-to-end tests: real Kafka, real HTTP between processes, the sandbox systems."""

from __future__ import annotations

import asyncio
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
    pair: str = "bng-nopcommerce",
    faults: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    changes: Callable[[dict[str, Any]], None] | None = None,
) -> AsyncIterator[Stack]:
    """Run a stack of a pair in `folder` while entered; it is killed at the end."""
    stack = Stack(folder / "stack", find_pair(pair), faults or {}, faults or {}, environment or {}, changes)
    stack.write()
    try:
        await stack.start()
        yield stack
    finally:
        await asyncio.to_thread(stack.kill_all)  # how a stack ends in order is the demonstration's tests to say


@pytest.fixture(scope="module")
def starts() -> Callable[..., Any]:
    """Return a context manager that runs a stack in a folder that it is given."""
    return running


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Any]:
    """Return a context manager that runs a stack in a folder of this test's own."""

    def begin(**options: Any) -> Any:  # noqa: ANN401 - passed on
        return running(tmp_path, **options)

    return begin


def impatient(content: dict[str, Any]) -> None:
    """Let what is unknown settle, and what waits be tried again, after a second; webhooks alone tell what happened."""
    content["defaults"] = {"dependency_wait_seconds": 1, "park_retry_seconds": 1}
    for connection in content["connections"].values():
        connection["poll_seconds"] = None
        connection["limits"] |= {"request_timeout_seconds": 2, "settle_seconds": 1}
