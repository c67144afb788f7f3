"""The sinks' target: each call takes 20 ms, and it keeps count of what a target may never see. Run: `python -m benchmarks.slow_target <port>`.

POST /things takes {"Key", "Seq"}: of each key 0, 1, 2, … must come one after the other. POST /begin {"failing": [keys]} forgets all and refuses
calls of these keys from now on. GET /seen tells.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import orjson
import uvloop
from aiohttp import web

CALL_SECONDS = 0.02


@dataclass(slots=True)
class Seen:
    """What came since the last beginning; `done` are effects by key, times are of a clock that only runs forward (seconds)."""

    done: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    at_once: int = 0
    out_of_order: int = 0
    most_in_flight: int = 0
    first_call: float = 0.0
    last_done: float = 0.0


class Target:
    """The server's state."""

    def __init__(self, seconds: float = CALL_SECONDS) -> None:
        self._seconds = seconds
        self._busy: Counter[str] = Counter()
        self._failing: frozenset[str] = frozenset()
        self.seen = Seen()

    def begin(self, failing: list[str]) -> None:
        """Forget all."""
        self._failing, self.seen = frozenset(failing), Seen()

    async def call(self, key: str, sequence: int) -> bool:
        """Take one call; tell whether it was done."""
        seen, now = self.seen, time.monotonic()
        seen.first_call = seen.first_call or now
        seen.at_once += self._busy[key] > 0
        seen.out_of_order += sequence != seen.done[key]
        self._busy[key] += 1
        seen.most_in_flight = max(seen.most_in_flight, self._busy.total())
        await asyncio.sleep(self._seconds)
        self._busy[key] -= 1
        if not self._busy[key]:
            del self._busy[key]
        if key in self._failing:
            seen.refused += 1
            return False
        seen.done[key] += 1
        seen.last_done = time.monotonic()
        return True


def application(target: Target) -> web.Application:
    """Return the target as an HTTP server."""

    async def things(request: web.Request) -> web.Response:
        thing = orjson.loads(await request.read())
        if await target.call(thing["Key"], thing["Seq"]):
            return web.json_response({"Id": f"{thing['Key']}-{thing['Seq']}"})
        return web.Response(status=503)

    async def begin(request: web.Request) -> web.Response:
        target.begin((await request.json())["failing"])
        return web.Response()

    async def seen(_request: web.Request) -> web.Response:
        return web.Response(body=orjson.dumps(target.seen), content_type="application/json")

    app = web.Application()
    app.add_routes([web.post("/things", things), web.post("/begin", begin), web.get("/seen", seen)])
    return app


async def serve(port: int) -> None:
    """Serve until killed."""
    runner = web.AppRunner(application(Target()), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as here:
        here.run(serve(int(sys.argv[1])))
