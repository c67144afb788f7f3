"""One system as an aiohttp application over a folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from aiohttp import web

from towpath.sandbox.kit.clock import Clock, SystemClock
from towpath.sandbox.kit.control import Controls
from towpath.sandbox.kit.faults import Faults
from towpath.sandbox.kit.gate import Gate, read_call, to_response
from towpath.sandbox.kit.journal import Journal
from towpath.sandbox.kit.limits import RateLimit
from towpath.sandbox.kit.messages import Answer, Control, Endpoint, Refusal
from towpath.sandbox.kit.outbox import Outbox
from towpath.sandbox.kit.sender import Sender
from towpath.sandbox.kit.settings import Settings
from towpath.sandbox.kit.store import Store
from towpath.sandbox.kit.system import System, World
from towpath.sandbox.kit.tasks import Tasks
from towpath.sandbox.kit.tokens import Tokens

AioHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LARGEST_BODY = 16 * 1024 * 1024


def build(system: System, folder: Path, settings: Settings, clock: Clock | None = None) -> web.Application:
    """Return the application; the store in `folder` is opened, and closed when the application is cleaned up."""
    clock = clock or SystemClock()
    store = Store(folder / f"{system.name}.sqlite3", system.indexes)
    faults = Faults(settings.faults)
    outbox = Outbox(store, clock, faults)
    outbox.enabled = settings.webhook_url is not None
    world = World(store, clock, outbox, Tokens(store, clock, settings.token_seconds), Tasks())
    with store.transaction():
        site = system.open(world, settings)
    journal = Journal(store)
    gate = Gate(world, site, journal, faults, _limit(settings, clock))
    app = web.Application(client_max_size=LARGEST_BODY)
    for control in Controls(system.name, world, site, journal, faults).paths():
        app.router.add_route(control.method, control.path, _control(control))
    for endpoint in site.endpoints:
        app.router.add_route(endpoint.method, endpoint.path, _api(gate, endpoint))
    app.router.add_route("*", "/{anything:.*}", _api(gate, None))
    app.cleanup_ctx.append(_background(world, Sender(outbox, clock, settings, system.sign), settings))
    return app


def _limit(settings: Settings, clock: Clock) -> RateLimit | None:
    if settings.requests_per_minute is None:
        return None
    return RateLimit(clock, per_minute=settings.requests_per_minute, burst=settings.burst, minute_seconds=settings.minute_seconds)


def _api(gate: Gate, endpoint: Endpoint | None) -> AioHandler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await gate.handle(request, endpoint)

    return handle


def _control(control: Control) -> AioHandler:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return to_response(await control.handle(await read_call(request)))
        except Refusal as refusal:
            error = {"code": refusal.code, "message": refusal.message, "field": refusal.field}
            return to_response(Answer(refusal.status, {"error": error}))

    return handle


def _background(world: World, sender: Sender, settings: Settings) -> Callable[[web.Application], AsyncIterator[None]]:
    async def run(_app: web.Application) -> AsyncIterator[None]:
        task = None
        if settings.webhook_url is not None:
            task = asyncio.create_task(sender.run(settings.webhook_url, settings.webhook_secret))
        yield
        await world.tasks.stop()
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        world.store.close()

    return run
