from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from towpath.cli.sandbox import register

Json = Any
STARTER = "import sys, typer; from towpath.cli.sandbox import register; app = typer.Typer(); register(app); app()"
KEY = {"X-API-Key": "towpath-sandbox-key"}


@contextmanager
def running(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-c", STARTER, "sandbox", "run", "bng", "--dir", str(folder), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            assert ready["system"] == "bng"
            yield process, f"http://127.0.0.1:{ready['port']}"
        finally:
            process.kill()


def ask(url: str, body: Json = None) -> Json:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=data, headers=KEY), timeout=10) as answer:  # noqa: S310 - our own server
        return json.load(answer)


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    with running(tmp_path) as (process, url):
        created = [ask(f"{url}/api/v1/customers", {"Email": f"shopper{index}@example.com"})["CustomerID"] for index in range(20)]
        process.send_signal(signal.SIGKILL)
        process.wait()
    with running(tmp_path) as (_, url):
        kept = [item["CustomerID"] for item in ask(f"{url}/_sandbox/store/customers")["items"]]
        journaled = ask(f"{url}/_sandbox/journal?path=/api/v1/customers")["items"]
        following = ask(f"{url}/api/v1/customers", {"Email": "next@example.com"})["CustomerID"]
    assert (kept, len(journaled)) == (created, 20)
    assert following not in created


def test_it_stops_cleanly_on_sigterm(tmp_path: Path) -> None:
    with running(tmp_path) as (process, _):
        process.terminate()
        assert process.wait(timeout=10) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent ended")
def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    arguments = ["sandbox", "run", "bng", "--dir", str(tmp_path), "--with-parent"]
    start = f"p = subprocess.Popen([sys.executable, '-c', {STARTER!r}, *{arguments!r}], stdout=subprocess.PIPE); assert p.stdout.readline()"
    parent = f"import subprocess, sys; {start}; print(p.pid)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", parent], capture_output=True, text=True, check=True, timeout=30)
    child = int(done.stdout)
    state = Path(f"/proc/{child}/stat")
    while state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] != "Z":
        os.sched_yield()


def test_settings_that_are_wrong_are_explained(tmp_path: Path) -> None:
    app = typer.Typer()
    register(app)
    path = tmp_path / "settings.json"
    path.write_text('{"burts": 5}', encoding="utf-8")
    result = CliRunner().invoke(app, ["sandbox", "run", "bng", "--settings", str(path)])
    assert (result.exit_code, "burts" in result.output) == (2, True)
    assert CliRunner().invoke(app, ["sandbox", "run", "nosuch"]).exit_code == 2
    assert CliRunner().invoke(app, ["sandbox", "list"]).output.split() == ["bng", "brightpearl", "magento", "nopcommerce", "threepl"]
