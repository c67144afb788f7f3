"""Keeps one process for each role: starts it again when it ends, and ends them all together."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from towpath.errors import ConfigError
from towpath.prefork import Prefork
from towpath.runtime.guardian import ERROR_FILE_VARIABLE, PARENT_VARIABLE, RESTARTS_VARIABLE
from towpath.runtime.lock import only_one
from towpath.runtime.runfile import RunFile, read_run_file, remove_run_file

CONFIG_ERROR_CODE = 2
GRACE_SECONDS = 9.0
ALL_SECONDS = 9.7

Tell = Callable[[str], None]
Prepare = Callable[[asyncio.Event], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a start: doubled with each failure up to `cap`, with jitter; forgotten after `healthy` seconds of running."""

    first: float = 0.5
    cap: float = 30
    healthy: float = 60
    random: random.Random = field(default_factory=random.Random)

    def delay(self, failures: int) -> float:
        """Return the seconds to wait after `failures` earlier ones in a row: between half of the step and all of it."""
        step = min(self.cap, self.first * float(1 << min(failures, 30)))
        return step * self.random.uniform(0.5, 1)


class Running(Protocol):
    """A process that was started, however it was."""

    @property
    def pid(self) -> int:
        """Its number."""

    async def wait(self) -> int:
        """Return its exit code once it ended; minus the signal where one ended it."""
        ...

    def terminate(self) -> None:
        """Send SIGTERM."""


@dataclass(slots=True)
class Child:
    """One role's process, and the ones after it."""

    role: str
    command: Sequence[str]
    run_dir: Path
    tell: Tell
    backoff: Backoff
    health_port: int | None = None
    grace: float = GRACE_SECONDS
    prefork: Prefork | None = None

    async def keep(self, stop: asyncio.Event) -> None:
        """Keep the role running until `stop` is set, then end it; ConfigError where the role says that starting again cannot help."""
        failures = restarts = 0
        while not stop.is_set():
            process, since = await self._start(restarts), asyncio.get_running_loop().time()
            self.tell(f"{self.role}: started, process {process.pid}")
            stopped = not await _first(stop, process.wait())
            if stopped:
                await self._end(process)
            code = await process.wait()
            remove_run_file(self.run_dir, self.role, process.pid)
            if stopped:
                self.tell(f"{self.role}: stopped")
                return
            if code == CONFIG_ERROR_CODE:
                raise ConfigError(self._reason())
            failures = 0 if asyncio.get_running_loop().time() - since >= self.backoff.healthy else failures
            delay = self.backoff.delay(failures)
            failures, restarts = failures + 1, restarts + 1
            self.tell(f"{self.role}: {_ending(code)}, starting again in {delay:.1f} s")
            await _first(stop, asyncio.sleep(delay))

    async def _start(self, restarts: int) -> Running:
        self._error_file.unlink(missing_ok=True)
        own = {PARENT_VARIABLE: str(os.getpid()), RESTARTS_VARIABLE: str(restarts), ERROR_FILE_VARIABLE: str(self._error_file)}
        process = await self._launch(own)
        current = read_run_file(self.run_dir, self.role)
        if current is None or current.pid != process.pid:  # the role itself may have been quicker, and knows its port
            RunFile(self.role, process.pid, self.health_port or None, datetime.now(UTC).isoformat()).write(self.run_dir)
        return process

    async def _launch(self, own: Mapping[str, str]) -> Running:
        if self.prefork is not None and (forked := await self.prefork.start(self.command, own)) is not None:
            return forked
        return await asyncio.create_subprocess_exec(
            *self.command,
            env={**os.environ, **own},
            stdin=asyncio.subprocess.DEVNULL,
            process_group=0,  # Ctrl-C reaches the supervisor alone, which then ends the roles in order
        )

    async def _end(self, process: Running) -> None:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), self.grace)
        except TimeoutError:
            self.tell(f"{self.role}: did not end in {self.grace:g} s, killed")
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    @property
    def _error_file(self) -> Path:
        return self.run_dir / f"{self.role}.error"

    def _reason(self) -> str:
        try:
            return self._error_file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return f"{self.role} ended with a configuration error; its own message stands above"


class Supervisor:
    """Runs `commands` (role to command line) for one data folder until SIGTERM, SIGINT or SIGHUP, which end all within 10 seconds.

    `base` are processes that the roles need (a broker): started before them, ended after them. `prepare` is awaited in between; it
    returns when the roles can start, or when the event it is given (stop) is set. Roles are forked from `prefork` where it can, else started anew.
    """

    def __init__(  # noqa: PLR0913 - one place knows all of them
        self,
        commands: Mapping[str, Sequence[str]],
        data_dir: Path,
        *,
        tell: Tell,
        base: Mapping[str, Sequence[str]] | None = None,
        prepare: Prepare | None = None,
        health_ports: Mapping[str, int] | None = None,
        backoff: Backoff | None = None,
        grace: float = GRACE_SECONDS,
        prefork: Prefork | None = None,
    ) -> None:
        self._data_dir, self._prepare = data_dir, prepare
        self._stop, self._stop_base, self._stopped_at = asyncio.Event(), asyncio.Event(), 0.0
        run_dir, pause, ports = data_dir / "run", backoff or Backoff(), health_ports or {}
        self._base = [Child(name, command, run_dir, tell, pause) for name, command in (base or {}).items()]
        self._roles = [Child(role, command, run_dir, tell, pause, ports.get(role), grace, prefork) for role, command in commands.items()]

    def stop(self) -> None:
        """End every role; `run` returns when they have ended."""
        if not self._stop.is_set():
            self._stopped_at = asyncio.get_running_loop().time()
            self._stop.set()

    async def run(self) -> None:
        """Return after a stop; ConfigError where the folder is in use, or where a role cannot start as it is set up."""
        loop = asyncio.get_running_loop()
        with only_one(self._data_dir):
            for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.add_signal_handler(name, self.stop)
            base = [asyncio.create_task(child.keep(self._stop_base)) for child in self._base]
            roles = asyncio.create_task(self._run_roles())
            await asyncio.wait([roles, *base], return_when=asyncio.FIRST_COMPLETED)
            self.stop()
            await asyncio.wait([roles])
            for child in self._base:
                child.grace = max(0.5, ALL_SECONDS - (loop.time() - self._stopped_at))
            self._stop_base.set()
            _raise_first(await asyncio.gather(*base, roles, return_exceptions=True))

    async def _run_roles(self) -> None:
        if self._prepare is not None:
            await self._prepare(self._stop)
        tasks = [asyncio.create_task(child.keep(self._stop)) for child in self._roles]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        self.stop()
        _raise_first(await asyncio.gather(*tasks, return_exceptions=True))


def _raise_first(endings: Sequence[BaseException | None]) -> None:
    for ending in endings:
        if ending is not None:
            raise ending


async def _first(stop: asyncio.Event, other: Coroutine[object, object, object]) -> bool:
    """Return whether `other` ended before `stop` was set; it is given up otherwise."""
    stopping, work = asyncio.create_task(stop.wait()), asyncio.ensure_future(other)
    done, pending = await asyncio.wait({stopping, work}, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return work in done


def _ending(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
