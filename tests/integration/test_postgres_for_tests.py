"""The tests' PostgreSQL: it ends with the run, however that ends, and takes its folder along."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from towpath.broker.ready import wait_for
from towpath.testing.postgres import DATABASE, USER, postgres_server, why_no_postgres

pytestmark = pytest.mark.skipif(why_no_postgres() is not None, reason=str(why_no_postgres()))

CHILD = """
import time
from towpath.testing.postgres import postgres_server
with postgres_server() as address:
    print(address.query["host"], flush=True)
    time.sleep(600)
"""


def _processes(folder: Path) -> list[psutil.Process]:
    return [process for process in psutil.process_iter(["cmdline"]) if any(str(folder) in part for part in process.info["cmdline"] or [])]


def _gone(folder: Path) -> Callable[[], bool]:
    return lambda: not folder.exists() and not _processes(folder)


def test_it_serves_and_ends_with_its_folder() -> None:
    with postgres_server() as address:
        folder = Path(str(address.query["host"]))
        with psycopg.connect(host=str(folder), user=USER, dbname=DATABASE) as connection:
            assert connection.execute("SHOW fsync").fetchone() == ("off",)
    assert wait_for(_gone(folder), lambda: False, 10)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_does_not_outlive_a_process_that_is_killed(how: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        folder = Path(parent.stdout.readline().strip())
        assert _processes(folder)
        parent.send_signal(how)
    assert wait_for(_gone(folder), lambda: False, 20)


def test_a_server_that_does_not_start_is_told_with_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towpath.testing.postgres.LIMITS", {"no_such_setting": "1"})
    with pytest.raises(AssertionError, match="no_such_setting"), postgres_server():
        pass


def test_a_server_that_hangs_is_ended_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towpath.testing.postgres.STOP_SECONDS", 2)
    with postgres_server() as address:
        folder = Path(str(address.query["host"]))
        for process in _processes(folder):
            process.suspend()
    assert wait_for(_gone(folder), lambda: False, 20)
