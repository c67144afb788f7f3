"""The receiver's control: an aiohttp server on uvloop that reads the body and answers 200, and does nothing else. Argument: the port."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import web


async def answer(request: web.Request) -> web.Response:
    """Return 200."""
    await request.read()
    return web.Response()


async def serve(port: int) -> None:
    """Serve until killed."""
    app = web.Application()
    app.router.add_post("/hooks/{connection}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as here:
        here.run(serve(int(sys.argv[1])))
