"""What every role shares: it is found by name, gets a context, answers for its health, and ends in time."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import importlib
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog
import uvloop
from prometheus_client import ProcessCollector

from towpath import logs
from towpath.config import Config
from towpath.errors import ConfigError
from towpath.failpoints import CHAOS_VARIABLE, VARIABLE, Failpoints
from towpath.metrics import RESTARTS, Metrics
from towpath.runtime.guardian import RESTARTS_VARIABLE, Guardian, die_with_parent
from towpath.runtime.health import Health, HealthServer
from towpath.runtime.runfile import RunFile, remove_run_file

REGISTRY = "registry"
ROLE_MODULES = {
    "receiver": "producers.receiver",
    "poller": "producers.poller",
    "adapter": "producers.adapter",
    "processor": "processors.role",
    "sink": "sinks.role",
    "indexer": "towpath.index.role",
    REGISTRY: "towpath.registry.role",
}
SITE_ROLES = ("poller", "adapter", "sink", "indexer")
"""What `towpath up` runs at a site: what calls its systems, outwards alone, and the index that puts back what was parked there."""
DRAIN_SECONDS = 7.0
GARBAGE = (50_000, 20, 100)
"""When Python looks for garbage that refers to itself, of which hardly any is made: a batch of records is more than the usual 700 objects, which
are looked through then as long as they live (a tenth of a processor's time)."""
ARENAS: Final = 2
"""How many heaps glibc keeps for all threads together. It would give each of librdkafka's, a dozen, one of its own, and each keeps what its busiest
moment took."""
ARENAS_VARIABLE, M_ARENA_MAX = "MALLOC_ARENA_MAX", -8
"""glibc's own variable, which counts where it is set, and its option (mallopt(3), malloc.h)."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RoleContext:
    """What a role is given: it works until `stop` is set, then finishes what it began and returns."""

    config: Config
    metrics: Metrics
    stop: asyncio.Event
    health: Health


class Role(Protocol):
    """One kind of process."""

    name: str

    async def run(self, context: RoleContext) -> None:
        """Work until `context.stop` is set, then drain within DRAIN_SECONDS; an exception restarts the process, ConfigError does not."""
        ...


Build = Callable[[Config], Role]


def find_role(name: str) -> Build:
    """Return the `build` function of the role called `name`; its module is imported here and not before."""
    module = ROLE_MODULES.get(name)
    if module is None:
        raise ConfigError(f'no role is called "{name}"; known: {", ".join(ROLE_MODULES)}')
    build: Build = importlib.import_module(module).build
    return build


def run_role(name: str, config: Config, build: Build | None = None) -> int:
    """Run the role called `name` until SIGTERM or SIGINT; return the exit code: 0 stopped, 1 to be restarted. ConfigError passes through."""
    die_with_parent()
    gc.set_threshold(*GARBAGE)
    keep_few_heaps()
    logs.configure(name)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve(name, config, build or find_role(name)))


def keep_few_heaps() -> None:
    """Have the threads that start from now on share ARENAS heaps, where glibc is what gives memory."""
    if sys.platform == "linux" and ARENAS_VARIABLE not in os.environ:
        with suppress(AttributeError):  # musl has no such function
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


async def serve(name: str, config: Config, build: Build) -> int:
    """Run the role in this loop until it is asked to stop; return the exit code."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    metrics, health = Metrics(), Health()
    metrics.register(ProcessCollector(registry=None))
    metrics.set(RESTARTS, int(os.environ.get(RESTARTS_VARIABLE, "0")), role=name)
    with Guardian(lambda: loop.call_soon_threadsafe(stop.set)):
        role = build(config)
        async with HealthServer(name, health, metrics, host=config.health.host, port=config.health.port(name)) as server:
            RunFile(name, os.getpid(), server.port, datetime.now(UTC).isoformat()).write(config.run_dir)
            try:
                _log.info("started", health_port=server.port, pid=os.getpid())
                _tell_of_failpoints()
                return await _work(role, RoleContext(config, metrics, stop, health))
            finally:
                remove_run_file(config.run_dir, name, os.getpid())


def _tell_of_failpoints() -> None:
    """Say it where something has armed failpoints that is not `towpath chaos`."""
    armed = Failpoints.from_environment().armed
    if armed and not os.environ.get(CHAOS_VARIABLE):
        what = f"failpoints are armed: this process will die, stand still or go without a guard; unset {VARIABLE} and start it again"
        _log.error(what, points=sorted(armed))


async def _work(role: Role, context: RoleContext) -> int:
    work = asyncio.create_task(role.run(context), name=role.name)
    stopping = asyncio.create_task(context.stop.wait())
    await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not work.done():
        context.health.set_ready("running", ok=False, detail="stopping")
        await asyncio.wait({work}, timeout=DRAIN_SECONDS)
    if not work.done():
        _log.error("not drained in time: what is unfinished is done again after the next start", seconds=DRAIN_SECONDS)
        work.cancel()
        await asyncio.wait({work})  # the guardian ends the process if this hangs
        return 1
    return _exit_code(work, context)


def _exit_code(work: asyncio.Task[None], context: RoleContext) -> int:
    error = None if work.cancelled() else work.exception()
    if isinstance(error, ConfigError):
        raise error
    if error is not None:
        _log.error("ended by an error", exc_info=error)
        return 1
    if not context.stop.is_set():
        _log.error("ended by itself, though nobody asked it to stop")
        return 1
    _log.info("stopped")
    return 0
