"""`towpath demo` as somebody runs it in a terminal: it plays until it is told to end, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from towpath.broker.ports import QUIET
from towpath.demo.pairs import ERP, SHOP
from towpath.demo.stack import ROLES
from towpath.runtime.runfile import read_run_file
from towpath.testing.waiting import until

TAKE_TERMINAL = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
AT_BNG = re.compile(r"orders at BNG\W+(\d+)")


class Terminal:
    """A command in the foreground of a pseudo-terminal; `shown` is everything it printed, without the colours."""

    def __init__(self, *command: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
        self._raw, self.children = b"", list[psutil.Process]()
        start = [sys.executable, "-c", TAKE_TERMINAL, *command]
        environment = {**os.environ, "TERM": "xterm"}
        self.process = subprocess.Popen(start, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=environment)
        os.close(slave)
        asyncio.get_running_loop().add_reader(self._master, self._read)

    @property
    def shown(self) -> str:
        return COLOURS.sub("", self._raw.decode("utf-8", "replace"))

    @property
    def orders_at_bng(self) -> int:
        return max((int(count) for count in AT_BNG.findall(self.shown)), default=0)

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    async def ended(self, seconds: float) -> int:
        """Return the exit code, once there is one."""

        async def over() -> bool:
            return self.process.poll() is not None

        await until(over, seconds=seconds, what=f"{self.shown[-2000:]}\nthe end of it")
        return int(self.process.returncode)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for child in self.children:  # none, where the test holds
            with suppress(psutil.NoSuchProcess):
                child.kill()
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)

    def _read(self) -> None:
        try:
            self._raw += os.read(self._master, 65_536)
        except OSError:  # nobody holds the other side any more
            asyncio.get_running_loop().remove_reader(self._master)


def left_alive(processes: list[psutil.Process], seconds: float) -> list[str]:
    """Return what has not ended; a zombie has, and waits for an init that takes its time."""
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    found = []
    for process in alive:
        with suppress(psutil.NoSuchProcess):  # as a zombie is to `cmdline`
            found.append(" ".join(process.cmdline()))
    return found


def still_answering(ports: list[int]) -> list[int]:
    found = []
    for port in ports:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                found.append(port)
    return found


ENDS: dict[str, tuple[Callable[[Terminal], object], int, int]] = {
    "Ctrl-C": (lambda terminal: terminal.type(b"\x03"), 0, 10),
    "SIGKILL": (lambda terminal: terminal.process.kill(), -signal.SIGKILL, 1),
}
"""What is done to it, the exit code that follows, and how many orders are at the ERP before."""


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[Terminal]:
    terminal = Terminal(sys.executable, "-m", "towpath", "demo", "--dir", str(tmp_path / "demo"))
    yield terminal
    terminal.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent ended")
@pytest.mark.parametrize("end", ENDS)
async def test_the_live_demo_plays_until_it_is_ended_and_leaves_nothing_behind(end: str, demo: Terminal, tmp_path: Path) -> None:
    act, code, orders = ENDS[end]

    async def orders_arrive() -> bool:
        assert demo.process.poll() is None, demo.shown
        return demo.orders_at_bng >= orders

    await until(orders_arrive, seconds=120, what="the table of orders at BNG")
    demo.children = processes = psutil.Process(demo.process.pid).children(recursive=True)
    ports = [connection.laddr.port for process in processes for connection in process.net_connections() if connection.status == psutil.CONN_LISTEN]
    assert len(processes) >= len({*ROLES, SHOP, ERP, "up", "kafka", "java"})
    assert len(ports) >= len({*ROLES, SHOP, ERP, "kafka", "webhooks"})

    act(demo)
    assert await demo.ended(20) == code
    assert left_alive(processes, 10 if end == "SIGKILL" else 1) == []
    assert still_answering([port for port in ports if port in QUIET]) == []  # one that the system gave may be another program's by now
    assert "Traceback" not in demo.shown
    if end != "SIGKILL":
        assert [read_run_file(tmp_path / "demo" / "data" / "run", role) for role in ROLES] == [None] * len(ROLES)
