from __future__ import annotations

import subprocess
import sys
from pathlib import Path

GOOD = 'connections: {erp: {system: bng, url: "http://127.0.0.1:1", credentials: {api_key: "env:ERP_KEY"}}}\n'


def check(folder: Path, text: str, **environment: str) -> subprocess.CompletedProcess[str]:
    file = folder / "towpath.yaml"
    file.write_text(text, encoding="utf-8")
    environment = {"TOWPATH_CONFIG": str(file), "COLUMNS": "200", **environment}
    return subprocess.run([sys.executable, "-m", "towpath", "check"], capture_output=True, text=True, check=False, env=environment)


def test_check_shows_what_is_set_up_and_ends_with_0(tmp_path: Path) -> None:
    done = check(tmp_path, GOOD, ERP_KEY="canary")
    assert (done.returncode, done.stderr) == (0, "")
    assert "env:ERP_KEY" in done.stdout
    assert "canary" not in done.stdout


def test_check_lists_every_problem_and_ends_with_2(tmp_path: Path) -> None:
    done = check(tmp_path, f"{GOOD}enginee: faust\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert "2 problems" in done.stderr
    assert 'enginee: unknown key; did you mean "engine"?' in done.stderr
    assert "the environment variable ERP_KEY is not set" in done.stderr
