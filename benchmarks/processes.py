"""Processes that are measured: started, asked what they cost, stopped or killed; only ever those that were started here."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from towpath.broker import launch

ROOT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 15.0


class Measured:
    """One process; it is killed with the one that started it."""

    def __init__(self, log: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-I", launch.__file__, str(os.getpid()), sys.executable, "-m", *arguments],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                process_group=0,  # Ctrl-C reaches the harness alone, which then ends the rest
            )
        self.pid = self._process.pid
        self._facts = psutil.Process(self.pid)

    def require_running(self) -> None:
        """Raise RuntimeError with the end of its log where it has ended by itself."""
        if self._process.poll() is not None:
            raise RuntimeError(f"process {self.pid} ended, exit code {self._process.returncode}:\n{self.log_tail()}")

    def log_tail(self, lines: int = 20) -> str:
        """Return the end of what it printed."""
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def cpu_s(self) -> float:
        """Return the processor time that it has used."""
        return cpu_s(self._facts)

    def peak_mb(self) -> float:
        """Return the most memory it ever held."""
        return memory_mb(self.pid, "VmHWM")

    def now_mb(self) -> float:
        """Return the memory it holds."""
        return memory_mb(self.pid, "VmRSS")

    def stop(self) -> None:
        """End it: SIGTERM, and SIGKILL where it still runs after 15 s."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._process.kill()
        self._process.wait()


@contextmanager
def measured(log: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Measured]:
    """Run `python -m <arguments>` while entered."""
    process = Measured(log, *arguments, environment=environment)
    try:
        yield process
    finally:
        process.stop()


def output_of(*arguments: str, seconds: float) -> str:
    """Return what `python -m <arguments>` prints; raises RuntimeError where it does not end well."""
    command: Sequence[str] = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments[:2])} ended, exit code {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def cpu_s(process: psutil.Process) -> float:
    """Return the processor time that a process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def memory_mb(pid: int, field: str) -> float:
    """Return a figure of /proc/<pid>/status in MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"process {pid} has no {field}")


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 60.0, every: float = 0.05) -> None:
    """Return once it holds; raises TimeoutError that says what was waited for."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(every)
