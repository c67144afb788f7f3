from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from towpath.failpoints import KILL, OFF, STOP, VARIABLE, Armed, Failpoints

PASSING = "from towpath.failpoints import Failpoints\npoints = Failpoints.from_environment()\nfor _ in range(3): points.hit('here')\nprint('alive')"


def program(armed: Armed) -> subprocess.Popen[str]:
    """Start a program that passes the point `here` three times."""
    environment = {**os.environ, VARIABLE: armed.text("here")}
    return subprocess.Popen([sys.executable, "-c", PASSING], env=environment, stdout=subprocess.PIPE, text=True)


def test_a_process_dies_at_the_point_whose_turn_has_come_and_not_again(tmp_path: Path) -> None:
    armed = Armed(3, tmp_path / "marker", KILL)
    first = program(armed)
    assert "" == first.communicate(timeout=30)[0]
    assert (-signal.SIGKILL, "here") == (first.returncode, armed.marker.read_text())
    assert "alive\n" == program(armed).communicate(timeout=30)[0]


def test_a_point_that_comes_later_does_nothing(tmp_path: Path) -> None:
    armed = Armed(4, tmp_path / "marker")
    assert "alive\n" == program(armed).communicate(timeout=30)[0]
    assert not armed.marker.exists()


def test_a_process_stands_still_until_it_is_woken(tmp_path: Path) -> None:
    armed = Armed(1, tmp_path / "marker", STOP)
    process = program(armed)
    os.waitpid(process.pid, os.WUNTRACED)
    assert armed.marker.exists()
    assert "T" == Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    process.send_signal(signal.SIGCONT)
    assert "alive\n" == process.communicate(timeout=30)[0]


def test_a_guard_is_off_from_its_turn_on_and_a_point_of_that_name_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    armed = Armed(2, tmp_path / "marker", OFF)
    monkeypatch.setenv(VARIABLE, f"{armed.text('guard')},other:1:{tmp_path / 'other'}")
    points = Failpoints.from_environment()
    assert [False, True, True] == [points.off("guard") for _ in range(3)]
    assert armed.marker.exists()
    points.hit("guard")
    assert not points.off("other")


def test_without_the_variable_nothing_is_armed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    points = Failpoints.from_environment()
    points.hit("sink.before_call")
    assert ({}, {}, False) == (points.armed, points.passed, points.off("sink.ledger"))
