"""What `towpath new system` writes can be imported, is no system's twin, and its contract suites fail with the list of what is left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from towpath.cli.main import build_app
from towpath.errors import ConfigError
from towpath.scaffold import TEMPLATES, write_system

MARKS = sum(path.read_text(encoding="utf-8").count("FILL IN:") for path in TEMPLATES.rglob("*.txt"))


def test_the_suites_of_a_new_system_fail_with_the_list_of_what_to_fill_in(tmp_path: Path) -> None:
    done = CliRunner().invoke(build_app(), ["new", "system", "acme_wms", "--dir", str(tmp_path / "acme")])
    assert (0, "") == (done.exit_code, done.stderr)
    assert f"pytest {tmp_path}/acme/tests" in done.stdout
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", str(tmp_path / "acme" / "tests")]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert 1 == ran.returncode, ran.stdout + ran.stderr
    assert f"acme_wms has {MARKS} places to fill in" in ran.stdout
    listed = {line.strip().partition(": ")[2] for line in ran.stdout.splitlines() if line.lstrip().startswith(("acme/", "sandbox/"))}
    assert MARKS - 4 <= len(listed) <= MARKS, "some places ask for the same"
    assert "2 failed" in ran.stdout
    assert "ERROR" not in ran.stdout


@pytest.mark.parametrize("name", ["", "Acme", "acme-wms", "1acme", "class", "base", "../acme", "a" * 40])
def test_a_name_that_none_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be called"):
        write_system(name, tmp_path / "new")
    assert [] == list(tmp_path.iterdir())


def test_a_system_that_is_there_and_a_folder_that_is_not_empty_are_left_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is a system called bng already"):
        write_system("bng", tmp_path / "new")
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ConfigError, match="is not empty"):
        write_system("acme", tmp_path)
