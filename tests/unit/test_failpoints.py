from __future__ import annotations

import os
import signal
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from towpath.config import Config
from towpath.failpoints import CHAOS_VARIABLE, KILL, OFF, STOP, VARIABLE, Armed, Failpoints
from towpath.runtime.role import RoleContext, serve

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


def test_a_point_may_be_armed_for_one_call_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = list[int]()
    monkeypatch.setattr("towpath.failpoints.os.kill", lambda _pid, number: sent.append(number))
    armed = Armed(2, tmp_path / "marker", STOP)
    points = Failpoints({"here POST /orders": armed})
    for call in ("", "POST /orders", "POST /customers", "POST /orders", "POST /orders"):
        points.hit("here", call)
    assert ([signal.SIGSTOP], "here POST /orders") == (sent, armed.marker.read_text())


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


async def test_a_call_that_stands_still_before_it_is_sent_has_its_connection_and_goes_out_when_it_wakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected, arrived, seen = list[object](), list[str](), list[tuple[int, int, int]]()

    async def answer(request: web.Request) -> web.Response:
        arrived.append(request.path)
        return web.Response()

    def stand_still(_process: int, signal_number: int) -> None:
        seen.append((signal_number, len(connected), len(arrived)))

    async def made(_session: object, _context: object, told: object) -> None:
        connected.append(told)

    monkeypatch.setattr("towpath.failpoints.os.kill", stand_still)
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", answer)
    points = Failpoints({"sink.before_send POST /orders": Armed(1, tmp_path / "marker", STOP)})
    connecting = aiohttp.TraceConfig()
    connecting.on_connection_create_end.append(made)
    async with TestServer(app) as server, aiohttp.ClientSession(trace_configs=[connecting, *points.traces("sink.before_send")]) as session:
        for method, path in (("POST", "/others"), ("GET", "/orders"), ("POST", "/orders"), ("POST", "/orders")):
            async with session.request(method, server.make_url(path), json={}) as response:
                assert response.status == HTTPStatus.OK
    assert ([(signal.SIGSTOP, 1, 2)], ["/others", "/orders", "/orders", "/orders"]) == (seen, arrived)
    assert [] == Failpoints().traces("sink.before_send")


class Idle:
    """A role that ends at once."""

    name = "sink"

    async def run(self, context: RoleContext) -> None:
        """Do nothing."""


@pytest.mark.parametrize(("armed", "chaos", "told"), [(True, "", 1), (True, "1", 0), (False, "", 0)])
async def test_a_role_that_starts_with_armed_points_says_so_unless_chaos_armed_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, armed: bool, chaos: str, told: int
) -> None:
    monkeypatch.setenv(VARIABLE, Armed(1, tmp_path / "marker").text("sink.before_call") if armed else "")
    monkeypatch.setenv(CHAOS_VARIABLE, chaos)
    config = Config.model_validate({"data_dir": str(tmp_path), "health": {"sink": 0}, "connections": {}})
    with capture_logs() as logged:
        await serve("sink", config, lambda _config: Idle())
    assert told == sum(one["log_level"] == "error" and one.get("points") == ["sink.before_call"] for one in logged)
