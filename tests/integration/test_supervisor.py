from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from towpath.broker.ready import wait_for
from towpath.runtime.runfile import read_run_file

SUPERVISE = Path(__file__).parent / "frames" / "supervise.py"


@dataclass
class Running:
    """A supervisor in a process of its own; `line` gives its next line that holds a text."""

    process: subprocess.Popen[str]
    data_dir: Path

    def line(self, text: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            sys.stdout.write(line)  # for whoever reads that the test took too long
            if text in line:
                return line
        pytest.fail(f"no line with {text!r}")

    def pid(self, role: str) -> int:
        assert wait_for(lambda: read_run_file(self.data_dir / "run", role) is not None, lambda: False, 5)
        run_file = read_run_file(self.data_dir / "run", role)
        assert run_file is not None
        return run_file.pid


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Give a function that starts a supervisor of these children, `<role>=<behaviour>` each, where wanted with options before them."""
    running: list[Running] = []

    def begin(*words: str) -> Running:
        process = subprocess.Popen([sys.executable, str(SUPERVISE), str(tmp_path), *words], stdout=subprocess.PIPE, text=True)
        running.append(Running(process, tmp_path))
        return running[-1]

    yield begin
    for each in running:
        each.process.kill()
        each.process.communicate()


@pytest.fixture(params=["started", "forked"])
def start_either(start: Start, request: pytest.FixtureRequest) -> Start:
    """Give that function for each way in which a child comes to be."""
    options = ["--forked"] if request.param == "forked" else []
    return lambda *children: start(*options, *children)


def test_a_killed_child_is_started_again(start_either: Start) -> None:
    supervisor = start_either("sink=obedient")
    supervisor.line("obedient child")
    first = supervisor.pid("sink")
    os.kill(first, signal.SIGKILL)
    assert "sink: killed by SIGKILL, starting again in" in supervisor.line("killed by")
    supervisor.line("obedient child")
    assert supervisor.pid("sink") != first
    assert not psutil.pid_exists(first)


def test_a_failing_child_does_not_disturb_the_others(start_either: Start) -> None:
    supervisor = start_either("sink=failing", "adapter=obedient")
    for _ in range(3):
        assert "sink: ended with exit code 3" in supervisor.line("sink: ended")
    assert psutil.pid_exists(supervisor.pid("adapter"))


def test_the_children_die_when_the_supervisor_is_killed(start_either: Start) -> None:
    supervisor = start_either("sink=stubborn", "adapter=stubborn")
    supervisor.line("stubborn child")
    supervisor.line("stubborn child")
    roles = {supervisor.pid("sink"), supervisor.pid("adapter")}
    children = psutil.Process(supervisor.process.pid).children(recursive=True)
    supervisor.process.kill()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert roles <= {child.pid for child in children}
    assert alive == []


def test_sigterm_ends_everything_and_leaves_no_run_files(start_either: Start) -> None:
    supervisor = start_either("sink=obedient", "adapter=obedient")
    supervisor.line("obedient child")
    supervisor.line("obedient child")
    supervisor.process.terminate()
    assert supervisor.process.wait(10) == 0
    assert [file.name for file in (supervisor.data_dir / "run").iterdir()] == ["lock"]


def test_a_child_that_ignores_sigterm_is_killed_after_the_grace(start_either: Start) -> None:
    supervisor = start_either("sink=stubborn")
    supervisor.line("stubborn child")
    before = time.monotonic()
    supervisor.process.terminate()
    supervisor.line("sink: did not end in 1 s, killed")
    assert supervisor.process.wait(10) == 0
    assert time.monotonic() - before < 5


def test_a_configuration_error_of_one_child_stops_everything_with_its_message(start_either: Start) -> None:
    supervisor = start_either("adapter=obedient", "sink=misconfigured")
    assert supervisor.line("config:") == "config: connections.erp.url: must be another one\n"
    assert supervisor.process.wait(10) == 2
    assert read_run_file(supervisor.data_dir / "run", "adapter") is None


def test_a_second_supervisor_of_one_folder_is_refused(start: Start) -> None:
    first = start("sink=obedient")
    first.line("obedient child")
    second = start("sink=obedient")
    assert f"is in use by process {first.process.pid}" in second.line("config:")
    assert second.process.wait(10) == 2


def test_the_folder_is_free_again_after_a_kill(start: Start) -> None:
    first = start("sink=obedient")
    first.line("obedient child")
    first.process.kill()
    first.process.wait()
    start("sink=obedient").line("obedient child")


def test_what_the_roles_need_starts_before_them_and_ends_after_them(start: Start) -> None:
    supervisor = start("sink=obedient", "broker=obedient")
    seen: list[str] = []
    while sum("obedient child" in line for line in seen) < 2 or sum(": started" in line for line in seen) < 2:
        seen.append(supervisor.line(""))  # a child may be quicker with its line than the supervisor
    assert ["broker", "sink"] == [line.partition(":")[0] for line in seen if ": started" in line]
    supervisor.process.terminate()
    for text in ("sink: stopped", "broker: stopped"):
        supervisor.line(text)
    assert supervisor.process.wait(10) == 0


def test_a_configuration_error_below_the_roles_stops_them_too(start: Start) -> None:
    supervisor = start("sink=obedient", "broker=misconfigured")
    supervisor.line("config: connections.erp.url: must be another one")
    assert supervisor.process.wait(10) == 2
