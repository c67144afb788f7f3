"""The small edition of `towpath chaos`: a fault and a control on one stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from towpath.chaos.arena import arena
from towpath.chaos.controls import all_controls
from towpath.chaos.fault import Run
from towpath.chaos.faults import all_faults
from towpath.chaos.strike import strike

RUN = Run(events=60, seed=7)


@pytest.mark.timeout(600)
async def test_sinks_that_die_at_every_failpoint_break_nothing_and_a_sink_without_ledger_is_caught(tmp_path: Path) -> None:
    control = all_controls()["no-ledger"]
    async with arena(tmp_path, RUN, control.needs) as made:
        killed = (await strike(made, all_faults()["F2"])).told()
        slow = {"I6"}  # how long it takes to recover says here how busy the machine is
        broken = {name: count for name, count in killed["violations"].items() if count and name not in slow}
        assert (4, {}) == (killed["injected"], broken), killed["why"]

        unguarded = await strike(made, control)
        assert unguarded.holds, unguarded.told()
        assert unguarded.told()["violations"]["I2"] > 0
