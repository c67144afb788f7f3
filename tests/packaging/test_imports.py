"""Importing any module does nothing, and the sandbox stands alone."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("towpath", "producers", "processors", "sinks", "schemas")


def _modules() -> list[str]:
    found = [info.name for package in PACKAGES for info in pkgutil.walk_packages([str(ROOT / package)], f"{package}.")]
    return [*PACKAGES, *(name for name in found if not name.endswith("__main__"))]


def _watch(packages: tuple[str, ...], modules: list[str], root: Path) -> list[str]:
    command = [sys.executable, "-W", "error", str(Path(__file__).with_name("watch_imports.py")), ",".join(packages), *modules]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, env=os.environ | {"PYTHONPATH": str(root)})
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_importing_any_module_does_nothing() -> None:
    assert [] == _watch(PACKAGES, _modules(), ROOT)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("import threading; threading.Thread(target=len, args=('',)).start()", "starts the thread"),
        ("import socket; socket.socket().bind(('127.0.0.1', 0))", "socket.bind"),
        ("import os; os.environ.get('HOME')", "reads HOME"),
        ("import os; os.getenv('HOME')", "reads HOME"),
        ("open('left-behind', 'w').close()", "open"),
        ("import prometheus_client; prometheus_client.Counter('orders', 'Orders')", "a second time raises"),
    ],
)
def test_the_watch_sees_what_an_import_does(tmp_path: Path, line: str, told: str) -> None:
    (tmp_path / "culprit.py").write_text(line)
    assert told in "".join(_watch(("culprit",), ["culprit"], tmp_path))


def test_the_sandbox_imports_nothing_of_towpath_but_itself() -> None:
    graph = grimp.build_graph("towpath", cache_dir=None)
    sandbox = {"towpath.sandbox", *graph.find_descendants("towpath.sandbox")}
    reached = {(module, one) for module in sandbox for one in graph.find_modules_directly_imported_by(module) if one not in sandbox}
    assert set() == reached
