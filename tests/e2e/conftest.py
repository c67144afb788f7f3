"""Whole stacks for the end-to-end tests: real Kafka, real HTTP between processes, the sandbox systems."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from towpath.demo.pairs import find_pair
from towpath.demo.stack import Stack
from towpath.testing.played import Played
from towpath.testing.played_magento import PlayedMagento


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


@pytest.fixture(scope="module")
def changes() -> Callable[[dict[str, Any]], None]:
    """Return what the stack that a module's tests share has of its own in the configuration: no long waits, as nothing commits late."""
    return impatient


def impatient(content: dict[str, Any]) -> None:
    """Let what is unknown settle, and what waits be tried again, after a second; webhooks alone tell what happened."""
    content["defaults"] = {"dependency_wait_seconds": 1, "park_retry_seconds": 1}
    for connection in content["connections"].values():
        connection["poll_seconds"] = None
        connection["limits"] |= {"request_timeout_seconds": 2, "settle_seconds": 1}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def magento(tmp_path_factory: pytest.TempPathFactory, changes: Callable[[dict[str, Any]], None]) -> AsyncIterator[PlayedMagento]:
    """Run one stack of BNG and Magento for all tests of a module."""
    async with running(tmp_path_factory.mktemp("magento"), pair="bng-magento", changes=changes) as stack:
        yield PlayedMagento(stack)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory, changes: Callable[[dict[str, Any]], None]) -> AsyncIterator[Played]:
    """Run one stack for all tests of a module, each of which has orders and products of its own."""
    async with running(tmp_path_factory.mktemp("pair"), changes=changes) as stack:
        yield Played(stack)
