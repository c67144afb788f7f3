"""Roles that are forked from a process with everything imported: the supervisor's children as any other, and started anew where it is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from towpath.broker.ready import wait_for
from towpath.runtime.role import ROLE_MODULES
from towpath.runtime.runfile import read_run_file

SUPERVISE = Path(__file__).parent / "frames" / "supervise.py"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt another's child")


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(SUPERVISE), "--forked", str(tmp_path), "sink=obedient", "adapter=obedient"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        up(process, 2)
        yield process
        process.kill()


def up(supervisor: subprocess.Popen[str], count: int) -> None:
    assert supervisor.stdout is not None
    while count:
        count -= "obedient child" in next(supervisor.stdout)


def role(folder: Path, name: str) -> psutil.Process:
    assert wait_for(lambda: read_run_file(folder / "run", name) is not None, lambda: False, 5)
    run_file = read_run_file(folder / "run", name)
    assert run_file is not None
    return psutil.Process(run_file.pid)


def forking(supervisor: subprocess.Popen[str], folder: Path) -> psutil.Process:
    roles = {role(folder, name).pid for name in ("sink", "adapter")}
    (found,) = [child for child in psutil.Process(supervisor.pid).children() if child.pid not in roles]
    return found


def test_a_role_is_the_supervisors_child_in_a_group_of_its_own_and_reads_nothing(supervisor: subprocess.Popen[str], tmp_path: Path) -> None:
    sink = role(tmp_path, "sink")
    assert str(SUPERVISE) in sink.cmdline()  # forked: nobody started child.py
    assert (sink.ppid(), os.getpgid(sink.pid)) == (supervisor.pid, sink.pid)
    assert Path(f"/proc/{sink.pid}/fd/0").readlink() == Path(os.devnull)


def test_killed_roles_are_forked_again_and_leave_no_zombie(supervisor: subprocess.Popen[str], tmp_path: Path) -> None:
    for _ in range(3):
        role(tmp_path, "sink").kill()
        up(supervisor, 1)
    assert str(SUPERVISE) in role(tmp_path, "sink").cmdline()
    assert [child for child in psutil.Process(supervisor.pid).children(recursive=True) if child.status() == psutil.STATUS_ZOMBIE] == []


def test_without_the_process_that_forks_the_roles_go_on_and_start_anew(supervisor: subprocess.Popen[str], tmp_path: Path) -> None:
    adapter, origin = role(tmp_path, "adapter"), forking(supervisor, tmp_path)
    origin.kill()
    role(tmp_path, "sink").kill()
    up(supervisor, 1)
    assert str(SUPERVISE) not in role(tmp_path, "sink").cmdline()
    assert adapter.is_running()
    os.kill(supervisor.pid, signal.SIGTERM)
    assert supervisor.wait(10) == 0


def test_the_process_that_forks_ends_with_the_supervisor(supervisor: subprocess.Popen[str], tmp_path: Path) -> None:
    origin = forking(supervisor, tmp_path)
    supervisor.kill()
    assert psutil.wait_procs([origin], timeout=5)[1] == []


def test_what_is_imported_before_a_fork_has_no_thread_yet() -> None:
    asked = "import importlib, os, sys; [importlib.import_module(name) for name in sys.argv[1:]]; print(len(os.listdir('/proc/self/task')))"
    done = subprocess.run([sys.executable, "-c", asked, "towpath.prefork", *ROLE_MODULES.values()], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
