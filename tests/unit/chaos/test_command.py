from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from towpath.chaos.controls import all_controls
from towpath.chaos.fault import BOUNDS, INVARIANTS, Fault, Outcome, Run
from towpath.chaos.faults import all_faults
from towpath.cli.main import build_app
from towpath.errors import ConfigError


def invoke(*options: str, exit_code: int = 0) -> str:
    result = CliRunner().invoke(build_app(), ["chaos", *options])
    assert exit_code == result.exit_code, result.output
    return result.stdout


async def nothing(_arena: object) -> int:
    return 0


FAULT = Fault("F0", "nothing", nothing)
MAKEFILE = Path(__file__).parents[3] / "Makefile"
WHOLE: dict[str, list[str]] = {name: [] for name in INVARIANTS}


def test_faults_are_listed_in_the_order_of_their_numbers() -> None:
    numbers = [int(line.split()[0].removeprefix("F")) for line in invoke("--list").splitlines()]
    assert numbers == sorted(set(numbers))
    assert len(all_faults()) == len(numbers)


def test_what_is_named_is_listed_once_and_controls_break_one_invariant_each() -> None:
    assert ["F7", "F2"] == [line.split()[0] for line in invoke("--list", "--faults", "F7, F2,F7").splitlines()]
    assert list(all_controls()) == [line.split()[0] for line in invoke("--list", "--controls").splitlines()]
    assert {"I1", "I2", "I3"} == {control.breaks for control in all_controls().values()}
    assert {""} == {fault.breaks for fault in all_faults().values()}


def test_a_fault_that_nobody_knows_is_refused_with_those_that_are() -> None:
    result = CliRunner().invoke(build_app(), ["chaos", "--faults", "F2,F99,plain-faust"])
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception).startswith("--faults: F99, plain-faust is none of F1, F2, ")


@pytest.mark.parametrize("events", ["0", "-1", "59", "many"])
def test_too_little_traffic_to_prove_anything_is_refused(events: str) -> None:
    assert 2 == CliRunner().invoke(build_app(), ["chaos", "--events", events, "--list"]).exit_code


@pytest.mark.parametrize(("injected", "broken", "holds"), [(1, "", True), (0, "", False), (1, "I3", False)])
def test_a_fault_holds_where_it_was_injected_and_broke_nothing(injected: int, broken: str, *, holds: bool) -> None:
    found = WHOLE | ({broken: ["something"]} if broken else {})
    assert holds == Outcome(FAULT, 7, injected, found, 1.0).holds


def test_a_fault_that_is_impossible_here_says_why_and_breaks_nothing_but_shows_nothing_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = replace(FAULT, impossible=lambda: "only root may")
    monkeypatch.setattr("towpath.chaos.faults.all_faults", lambda: {"F0": fault})
    told = json.loads(invoke("--json", exit_code=1))
    assert ("F0", "only root may", 0, dict.fromkeys((*INVARIANTS, BOUNDS), 0)) == tuple(
        told[name] for name in ("fault", "skipped", "injected", "violations")
    )
    assert "F0   skipped: nothing; only root may" == invoke(exit_code=1).strip()


def test_what_others_show_is_shown_where_one_fault_is_impossible(monkeypatch: pytest.MonkeyPatch) -> None:
    async def struck(fault: Fault, run: Run, _directory: object) -> Outcome:
        return Outcome.none(fault, run.seed, "only root may") if fault.impossible else Outcome(fault, run.seed, 1, WHOLE, 1.0)

    monkeypatch.setattr("towpath.chaos.faults.all_faults", lambda: {"F0": FAULT, "F1": replace(FAULT, name="F1", impossible=lambda: "root")})
    monkeypatch.setattr("towpath.cli.chaos._strike", struck)
    assert [0, 1] == [json.loads(line)["injected"] for line in sorted(invoke("--json").splitlines(), key=lambda line: "skipped" not in line)]


@pytest.mark.parametrize(("injected", "broken", "holds"), [(1, "I3", True), (0, "I3", False), (1, "I1", False), (1, "", False)])
def test_a_control_is_caught_where_what_it_breaks_is_found_broken(injected: int, broken: str, *, holds: bool) -> None:
    control = Fault("none", "nothing", nothing, breaks="I3")
    outcome = Outcome(control, 7, injected, WHOLE | ({broken: ["something"]} if broken else {}), 1.0)
    assert (holds, holds) == (outcome.holds, outcome.told()["caught"])


def test_what_is_told_of_a_fault_is_what_an_operator_needs() -> None:
    outcome = Outcome(FAULT, 7, 3, WHOLE | {"I1": [f"lost {number}" for number in range(12)]}, 2.5)
    told = outcome.told()
    assert {"fault": "F0", "seed": 7, "injected": 3, "recovery_s": 2.5} == {name: told[name] for name in ("fault", "seed", "injected", "recovery_s")}
    assert dict.fromkeys(INVARIANTS, 0) | {"I1": 12} == told["violations"]
    assert [f"I1: lost {number}" for number in range(10)] == told["why"]


@pytest.mark.parametrize(("fails", "code"), [("--events", 2), ("--controls", 2), ("none", 0)])
def test_make_runs_the_controls_whatever_the_faults_say_and_fails_where_either_does(tmp_path: Path, fails: str, code: int) -> None:
    (tmp_path / "towpath").write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/ran\ncase "$*" in *{fails}*) exit 1;; esac\n', encoding="utf-8")
    (tmp_path / "towpath").chmod(0o700)
    (tmp_path / "stamp").touch()
    command = ["make", "-f", str(MAKEFILE), "-o", str(tmp_path / "stamp"), "chaos", f"BIN={tmp_path}", f"STAMP={tmp_path / 'stamp'}", "SEED=9"]
    assert code == subprocess.run(command, cwd=MAKEFILE.parent, capture_output=True, check=False).returncode
    assert ["chaos --json --events 5000 --seed 9", "chaos --json --controls --seed 9"] == (tmp_path / "ran").read_text().splitlines()


@pytest.mark.parametrize(("events", "times"), [(60, 4), (600, 6), (5_000, 50), (100_000, 50)])
def test_more_traffic_meets_more_injections_up_to_those_that_are_promised(events: int, times: int) -> None:
    assert times == Run(events, 7).share_of(50, 4)
