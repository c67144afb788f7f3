"""A sandbox server as a process: says where it listens, and ends on SIGTERM or with its parent."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
from pathlib import Path

from aiohttp import web

from towpath.sandbox.kit.server import build
from towpath.sandbox.kit.settings import Settings
from towpath.sandbox.kit.system import System

PR_SET_PDEATHSIG = 1
HOST = "127.0.0.1"


def run(system: System, *, port: int, folder: Path, settings: Settings, with_parent: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; prints one JSON line `{"system", "port"}` once requests are taken."""
    if with_parent:
        die_with(os.getppid())
    asyncio.run(_serve(system, port, folder, settings))


def die_with(parent: int) -> None:
    """Have Linux kill this process when the thread that started it ends; elsewhere do nothing."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


async def _serve(system: System, port: int, folder: Path, settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(build(system, folder, settings), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port)
        await site.start()
        sys.stdout.write(json.dumps({"system": system.name, "port": runner.addresses[0][1]}) + "\n")
        sys.stdout.flush()
        await stop.wait()
    finally:
        await runner.cleanup()
