from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from towpath.runtime.guardian import PARENT_VARIABLE
from towpath.runtime.runfile import read_run_file

TINY_ROLE = Path(__file__).parent / "frames" / "tiny_role.py"
GREEDY = TINY_ROLE.with_name("greedy.py")
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[subprocess.Popen[str]] = []

    def begin(behaviour: str, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(TINY_ROLE), str(tmp_path), behaviour]
        environment = {**os.environ, **environment}
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment))
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def get(folder: Path, path: str) -> tuple[int, str]:
    run_file = read_run_file(folder / "run", "sink")
    assert run_file is not None
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{run_file.health_port}{path}", timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_running_role_answers_for_its_health(start: Start, tmp_path: Path) -> None:
    wait_until_ready(start("obedient"))
    assert get(tmp_path, "/healthz")[0] == 200
    status, body = get(tmp_path, "/readyz")
    assert (status, json.loads(body)) == (200, {"role": "sink", "ok": True, "checks": {"kafka": {"ok": True, "detail": ""}}})


def test_metrics_are_served_with_the_restarts_the_supervisor_counted(start: Start, tmp_path: Path) -> None:
    wait_until_ready(start("obedient", TOWPATH_RESTARTS="4"))
    status, body = get(tmp_path, "/metrics")
    assert status == 200
    assert 'towpath_restarts{role="sink"} 4.0' in body
    assert "process_resident_memory_bytes" in body


@pytest.mark.parametrize("name", ["terminate", "interrupt"])
def test_a_role_that_is_told_to_stop_ends_with_0_and_takes_its_run_file_along(start: Start, tmp_path: Path, name: str) -> None:
    process = start("obedient")
    wait_until_ready(process)
    process.send_signal({"terminate": 15, "interrupt": 2}[name])
    assert process.wait(5) == 0
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="another C library than glibc gives memory here")
@pytest.mark.parametrize(("environment", "heaps"), [({}, 2), ({"MALLOC_ARENA_MAX": "5"}, 5)])
def test_the_threads_of_a_role_share_two_heaps_unless_its_operator_wants_others(start: Start, environment: dict[str, str], heaps: int) -> None:
    process = start("threads", **environment)
    wait_until_ready(process)
    assert process.stdout is not None
    assert process.stdout.readline() == f"{heaps}\n"


@pytest.mark.parametrize("behaviour", ["slow", "stuck"])
def test_a_role_that_does_not_come_back_ends_within_10_seconds(start: Start, behaviour: str) -> None:
    process = start(behaviour)
    wait_until_ready(process)
    before = time.monotonic()
    process.terminate()
    assert process.wait(15) == 1
    assert time.monotonic() - before < 10


def test_a_process_in_which_no_python_runs_any_more_ends_and_says_where_it_was() -> None:
    ended = subprocess.run([sys.executable, str(GREEDY)], capture_output=True, text=True, timeout=20, check=False)
    assert (ended.returncode, ended.stdout) == (1, "ready\n")
    assert "greedy.py" in ended.stderr


@pytest.mark.parametrize(("behaviour", "code", "told"), [("crash", 1, "a bug"), ("return", 1, "ended by itself"), ("misconfigured", 2, "erp.url")])
def test_the_exit_code_says_whether_to_start_again(start: Start, behaviour: str, code: int, told: str) -> None:
    process = start(behaviour)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == code
    assert told in errors


def test_a_taken_health_port_is_a_configuration_error_that_names_it(start: Start, tmp_path: Path) -> None:
    wait_until_ready(start("obedient"))
    run_file = read_run_file(tmp_path / "run", "sink")
    assert run_file is not None
    process = start("obedient", TINY_ROLE_PORT=str(run_file.health_port))
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 2
    assert f"health.sink: 127.0.0.1:{run_file.health_port} is taken" in errors


def test_a_role_whose_parent_is_gone_does_not_start(start: Start, tmp_path: Path) -> None:
    process = start("obedient", **{PARENT_VARIABLE: "1"})
    assert process.wait(10) == 1
    assert not (tmp_path / "run").exists()
