"""Whatever hinders `towpath demo --once`, it ends by itself, says why, and does not end with 0."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from towpath.demo.pairs import ERP, SHOP, find_pair
from towpath.demo.play import settle
from towpath.demo.stack import Stack
from towpath.demo.stores import session
from towpath.errors import ConfigError
from towpath.testing.waiting import until


@pytest.fixture
async def shop_alone(tmp_path: Path) -> AsyncIterator[Stack]:
    """Give a stack of which only the shop runs."""
    stack = Stack(tmp_path / "stack", find_pair("bng-nopcommerce"))
    stack.write()
    stack.start_sandbox(SHOP, stack.pair.shop)
    async with session() as http:
        await until(lambda: stack._answers(http, SHOP), what="the shop")
    yield stack
    await stack.stop()


async def test_settling_ends_with_what_kept_it(shop_alone: Stack) -> None:
    with pytest.raises(TimeoutError, match="not settled after 9 s: ClientConnectorError"):
        await settle(shop_alone, seconds=9)


async def test_settling_ends_where_a_system_never_answers(shop_alone: Stack) -> None:
    shop_alone.processes[SHOP].send_signal(signal.SIGSTOP)
    with pytest.raises(TimeoutError, match="not settled after 2 s: neither the sandbox nor Kafka has told what is left"):
        await settle(shop_alone, seconds=2)
    shop_alone.processes[SHOP].send_signal(signal.SIGCONT)


async def test_settling_ends_at_once_where_a_process_has_ended(shop_alone: Stack) -> None:
    shop_alone.processes[SHOP].kill()
    async with asyncio.timeout(10):
        with pytest.raises(ConfigError, match="shop ended, exit code -9"):
            await settle(shop_alone)


async def play(folder: Path) -> tuple[Process, psutil.Process]:
    """Start the bounded demonstration and return it with its sandbox of BNG, as soon as that is there."""
    options = ["--once", "--orders", "20", "--dir", str(folder / "demo")]
    with (folder / "shown").open("wb") as shown:
        demo = await asyncio.create_subprocess_exec(sys.executable, "-m", "towpath", "demo", *options, stdin=DEVNULL, stdout=shown, stderr=shown)
    found: list[psutil.Process] = []

    async def there() -> bool:
        found[:] = [child for child in psutil.Process(demo.pid).children() if "bng" in child.cmdline()]
        return bool(found)

    await until(there, seconds=30, what="the sandbox of BNG")
    return demo, found[0]


async def ends(demo: Process, folder: Path, seconds: float, act: Callable[[], object]) -> tuple[int, str]:
    """Return the exit code after `act`, and what was shown; no child may be left then."""
    children = psutil.Process(demo.pid).children(recursive=True)
    act()
    try:
        code = await asyncio.wait_for(demo.wait(), seconds)
    finally:
        with suppress(ProcessLookupError):
            demo.kill()
    assert psutil.wait_procs(children, timeout=10)[1] == []
    return code, (folder / "shown").read_text(encoding="utf-8")


async def test_the_demo_ends_where_a_system_is_gone(tmp_path: Path) -> None:
    demo, bng = await play(tmp_path)
    code, shown = await ends(demo, tmp_path, 30, bng.kill)
    assert (code, "Traceback" in shown) == (2, False)
    assert f"towpath: {ERP} ended, exit code -9" in shown


async def test_a_demo_that_was_interrupted_proved_nothing(tmp_path: Path) -> None:
    demo, _ = await play(tmp_path)
    code, shown = await ends(demo, tmp_path, 20, lambda: demo.send_signal(signal.SIGINT))
    assert (code, "Traceback" in shown) == (130, False)
