"""A whole stack as processes in one folder: embedded Kafka, the sandbox systems, and every role under `towpath up`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import yaml

from towpath.broker import Broker
from towpath.broker.ports import free_ports
from towpath.config import Config, load_config
from towpath.demo.pairs import ERP, SHOP, THREEPL, Pair, configuration
from towpath.errors import ConfigError
from towpath.runtime.guardian import PARENT_VARIABLE
from towpath.runtime.runfile import read_run_file

ROLES = ("receiver", "poller", "adapter", "processor", "sink", "indexer", "registry")
START_SECONDS = 180.0
STOP_SECONDS = 15.0


@dataclass(slots=True)
class Stack:
    """One stack; start it again after any of its processes was killed, and it goes on where it was."""

    directory: Path
    pair: Pair
    shop_faults: Mapping[str, Any] = field(default_factory=dict)
    erp_faults: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    changes: Callable[[dict[str, Any]], None] | None = None
    roles: Sequence[str] = ROLES
    """Those that run under `towpath up`."""
    broker: bool = True
    """Whether an embedded Kafka runs beside them; else there is one at `ports["kafka"]` already."""
    systems: bool = True
    """Whether the sandbox systems run beside them; else another stack has them at their `ports`."""
    threepl_faults: Mapping[str, Any] = field(default_factory=dict)
    beside: Sequence[Pair] = ()
    """Other pairs in the same stack, each with names of its own."""
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Every pair of this stack."""
        return (self.pair, *self.beside)

    @property
    def sandboxes(self) -> Mapping[str, str]:
        """The system of each connection that this stack runs."""
        return {name: system for pair in self.pairs for name, system in pair.sandboxes.items()} if self.systems else {}

    @property
    def config_path(self) -> Path:
        """The configuration that was written for it."""
        return self.directory / "towpath.yaml"

    def config(self) -> Config:
        """Return the configuration."""
        return load_config(self.config_path)

    def url(self, name: str) -> str:
        """Return the address of a sandbox system, by its connection's name."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def write(self) -> None:
        """Write configuration, secrets and sandbox settings; raises ConfigError when the folder is not empty."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if any(self.directory.iterdir()):
            raise ConfigError(f"--dir: {self.directory} is not empty; name an empty or new folder")
        names = ("kafka", "receiver", "registry", *self.sandboxes)
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        secrets = self.directory / "secrets"
        secrets.mkdir(mode=0o700)
        for name, value in ((f"{pair.prefix}{name}", value) for pair in self.pairs for name, value in pair.secrets.items()):
            (secrets / name).write_text(value, encoding="utf-8")
            (secrets / name).chmod(0o600)
        content = configuration(self.pairs, self.ports)
        if self.changes is not None:
            self.changes(content)
        self.config_path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        for pair in self.pairs if self.systems else ():
            self._write_settings(pair)

    def _write_settings(self, pair: Pair) -> None:
        dialled = {SHOP: self.shop_faults, ERP: self.erp_faults, THREEPL: self.threepl_faults}
        for part, own in pair.settings.items():
            name = pair.name(part)
            address = f"http://127.0.0.1:{self.ports['receiver']}/hooks/{name}{pair.erp_hook if part == ERP else ''}"
            hooks = {"webhook_url": address, "webhook_retry_max_seconds": 2.0}
            settings = {**own, **hooks, "faults": dict(dialled[part])}
            (self.directory / f"sandbox-{name}.json").write_text(json.dumps(settings), encoding="utf-8")

    async def start(self) -> None:
        """Start what does not run, and return when every role is ready; raises ConfigError with the end of the log when it does not become so."""
        for name, system in self.sandboxes.items():
            self.start_sandbox(name, system)
        if not self._runs("up"):
            self._spawn("up", ["up", *(["--broker"] if self.broker else []), "--roles", ",".join(self.roles), "--config", str(self.config_path)])
        await self._ready()

    def start_sandbox(self, name: str, system: str) -> None:
        """Start the sandbox system of a connection where it does not run."""
        if not self._runs(name):
            place = ["--port", str(self.ports[name]), "--dir", str(self.directory / f"sandbox-{name}")]
            settings = ["--settings", str(self.directory / f"sandbox-{name}.json")]
            self._spawn(name, ["sandbox", "run", system, *place, *settings, "--with-parent"])

    def pid_of(self, role: str) -> int | None:
        """Return the process id of a role as it runs now, None where it does not."""
        found = read_run_file(self.directory / "data" / "run", role)
        return None if found is None else found.pid

    def kill(self, name: str) -> None:
        """Kill one of this stack's own processes with SIGKILL: "broker", "up" (the supervisor), a sandbox by its connection, or a role."""
        if name == "broker":
            if (broker := Broker.find(self.directory / "data" / "kafka")) is not None:
                broker.kill()
        elif name in self.processes:
            process = self.processes.pop(name)
            process.kill()
            process.wait()
        elif (pid := self.pid_of(name)) is not None:
            os.kill(pid, signal.SIGKILL)

    async def stop(self) -> None:
        """Stop everything this stack started."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                await asyncio.to_thread(process.wait, STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def kill_all(self) -> None:
        """Kill everything this stack started with SIGKILL, and return when it is gone."""
        below = [one for process in self.processes.values() if process.poll() is None for one in psutil.Process(process.pid).children(recursive=True)]
        for name in tuple(self.processes):
            self.kill(name)
        for one in below:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(below, timeout=STOP_SECONDS)

    def require_running(self) -> None:
        """Raise ConfigError with the end of its log where a process of this stack has ended by itself."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise ConfigError(f"{name} ended, exit code {process.returncode}:\n{self.log_tail(name)}")

    def log_tail(self, name: str, lines: int = 15) -> str:
        """Return the end of a process's log."""
        path = self.directory / f"{name}.log"
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def _runs(self, name: str) -> bool:
        return name in self.processes and self.processes[name].poll() is None

    def _spawn(self, name: str, arguments: list[str]) -> None:
        environment = {**os.environ, **self.environment, PARENT_VARIABLE: str(os.getpid())}
        with (self.directory / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", "towpath", *arguments]
            self.processes[name] = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=environment,
                process_group=0,  # Ctrl-C reaches whoever started this stack alone, and stop() ends the rest in order
            )

    async def _ready(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            deadline = asyncio.get_running_loop().time() + START_SECONDS
            waiting = {*self.sandboxes, *self.roles}
            while waiting:
                for name in sorted(waiting):
                    if await self._answers(session, name):
                        waiting.discard(name)
                self.require_running()
                if asyncio.get_running_loop().time() > deadline:
                    raise ConfigError(f"not ready after {START_SECONDS:.0f} s: {', '.join(sorted(waiting))}\n{self.log_tail('up')}")
                await asyncio.sleep(0.25)

    async def _answers(self, session: aiohttp.ClientSession, name: str) -> bool:
        if name in self.sandboxes:
            address = f"{self.url(name)}/_sandbox/healthz"
        else:
            found = read_run_file(self.directory / "data" / "run", name)
            if found is None or found.health_port is None:
                return False
            address = f"http://127.0.0.1:{found.health_port}/readyz"
        try:
            async with session.get(address) as response:
                return response.status == 200  # noqa: PLR2004 - OK
        except (aiohttp.ClientError, TimeoutError):
            return False
