"""Some worlds (`make simulate` plays ten thousand), the bugs that they must find, and that each of them can be played again."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.unit.simulation.planted import BUGS
from towpath.simulation.__main__ import main
from towpath.simulation.history import history_of
from towpath.simulation.play import play

CLEAN = range(1, 51)
FOUND_WITHIN = 1_000


def test_nothing_is_violated_in_any_world() -> None:
    assert {} == {played.seed: played.violations for played in map(play, CLEAN) if played.violations}


def has_zombie(seed: int) -> bool:
    """Tell whether a sink stands still for longer than its lease beside another: no other world needs a fence."""
    history = history_of(seed)
    return history.sinks > 1 and any(strike.role == "sink" and strike.freeze == 8.0 for strike in history.strikes)


def has_changes_apart(seed: int) -> bool:
    """Tell whether two changes of an order may be parked beside each other, and come back at different times."""
    history = history_of(seed)
    return history.slow and any(order.poisoned and len(order.quantities) > 2 for order in history.orders)


def has_stops(seed: int) -> bool:
    """Tell whether sinks stand still between their fence and their call."""
    return history_of(seed).weather.stopped > 0


ONLY = {
    "no fence": has_zombie,
    "an older version's success closes the dead letter of a newer one": has_changes_apart,
    "an old state left over a newer one": has_stops,
}
"""The worlds that can show a bug at all, where few do."""


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str) -> None:
    worlds = (seed for seed in range(1, FOUND_WITHIN + 1) if bug not in ONLY or ONLY[bug](seed))
    classes, breaks = BUGS[bug]
    found = next((seed for seed in worlds if breaks in {one.invariant for one in play(seed, classes).violations}), None)
    assert found is not None, f"{bug} was not found in {FOUND_WITHIN} seeds"
    assert not play(found).violations, "it is the bug that was found, and nothing of the production code"


def test_a_seed_is_the_same_world_whenever_it_is_played() -> None:
    first, again, other = play(7), play(7), play(8)
    assert (first.digest, first.seconds) == (again.digest, again.seconds)
    assert first.digest != other.digest


def test_a_seed_is_the_same_world_in_another_process() -> None:
    command = [sys.executable, "-m", "towpath.simulation", "--seed", "7", "--json"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
    assert play(7).digest == told["digest"]
    assert told["story"]


def test_worlds_have_all_kinds_of_trouble() -> None:
    histories = [history_of(seed) for seed in CLEAN]
    assert {"sink", "processor"} == {strike.role for one in histories for strike in one.strikes}
    assert {0.0, 0.5, 3.5, 8.0} == {strike.freeze for one in histories for strike in one.strikes}
    assert all(
        any(getattr(one.weather, name) for one in histories) for name in ("lost", "late", "throttled", "away", "broken", "slow", "blind", "stopped")
    )
    assert {True, False} == {one.weather.unique for one in histories}
    assert any(one.clock_jumps for one in histories)
    assert {True, False} == {one.slow for one in histories}
    assert any(one.comings for one in histories)


def test_the_command_tells_what_the_seeds_came_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["--seeds", "3", "--processes", "1", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (3, {}, {}) == (told["seeds"], told["failed"], told["violations"])


def test_a_number_of_seeds_that_makes_no_sense_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--seeds", "0"])
    assert "give 1 or more" in capsys.readouterr().err
