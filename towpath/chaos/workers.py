"""Roles that run as processes of the harness's own: each has a data folder to itself, dies when told, and is started again at once."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from towpath.clock import OFFSET_VARIABLE
from towpath.demo.stack import Stack
from towpath.failpoints import CHAOS_VARIABLE, VARIABLE, Armed
from towpath.runtime.guardian import PARENT_VARIABLE
from towpath.runtime.runfile import read_run_file

LOOK_SECONDS = 0.05
END_SECONDS = 15.0


@dataclass(slots=True)
class Worker:
    """One process of a role, and those after it; `arm` is asked for the failpoints of each as it starts.

    `clock_offset` is by how many seconds the clock of the next one is wrong.
    """

    stack: Stack
    role: str
    number: int
    arm: Callable[[], Mapping[str, Armed]] = dict
    wanted: bool = True
    clock_offset: float = 0.0
    process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        """Its data folder."""
        return self.stack.directory / f"data-{self.role}-{self.number}"

    def start(self) -> None:
        """Start it, unless it runs."""
        if self.runs():
            return
        points = ",".join(armed.text(name) for name, armed in self.arm().items())
        own = {PARENT_VARIABLE: str(os.getpid()), VARIABLE: points, CHAOS_VARIABLE: "1", OFFSET_VARIABLE: str(self.clock_offset)}
        environment = {**os.environ, **self.stack.environment, **own}
        with (self.stack.directory / f"{self.role}-{self.number}.log").open("ab") as log:
            command = [sys.executable, "-m", "towpath", "run", self.role, "--config", str(self._config())]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment, process_group=0)

    def runs(self) -> bool:
        """Tell whether its process lives."""
        return self.process is not None and self.process.poll() is None

    def signal(self, number: signal.Signals) -> bool:
        """Send its process a signal; False where there is none."""
        if self.process is None or self.process.poll() is not None:
            return False
        self.process.send_signal(number)
        return True

    def stands_still(self) -> bool:
        """Tell whether its process was stopped by SIGSTOP."""
        if self.process is None:
            return False
        with suppress(OSError):
            return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        return False

    def kill(self) -> bool:
        """Kill its process and collect it; False where there is none."""
        killed = self.signal(signal.SIGKILL)
        if killed and self.process is not None:
            self.process.wait()
        return killed

    async def leave(self) -> None:
        """Have it end in order, and not start again until `wanted`."""
        self.wanted = False
        self.signal(signal.SIGTERM)
        if self.process is not None:
            try:
                await asyncio.to_thread(self.process.wait, END_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def forget_state(self) -> None:
        """Delete its data folder; its process must not run."""
        shutil.rmtree(self.folder, ignore_errors=True)

    async def keep(self) -> None:
        """Start it again whenever it ended, until cancelled."""
        while True:
            if self.wanted and not self.runs():
                self.start()
            await asyncio.sleep(LOOK_SECONDS)

    def address(self, path: str) -> str | None:
        """Return where its process answers for its health (`/readyz`) and its figures (`/metrics`), None while it has not told."""
        found = read_run_file(self.folder / "run", self.role)
        if found is None or self.process is None or found.pid != self.process.pid or not found.health_port:
            return None
        return f"http://127.0.0.1:{found.health_port}{path}"

    def _config(self) -> Path:
        """Write its configuration: the stack's, with a data folder of its own and the ledger where it was."""
        path = self.stack.directory / f"{self.role}-{self.number}.yaml"
        content = yaml.safe_load(self.stack.config_path.read_text(encoding="utf-8"))
        shared = self.stack.directory / "data"
        content["data_dir"] = str(self.folder)
        content["database"] = {"url": f"sqlite:///{shared / 'towpath.db'}"}
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return path
