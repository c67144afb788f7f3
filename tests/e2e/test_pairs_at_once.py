"""The three pairs in one Towpath: the same ids at every shop, and each order where it belongs."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from towpath.demo.pairs import ALL, PAIRS
from towpath.demo.report import ZERO
from towpath.sandbox.kit.catalogue import catalogue

ORDERS = 10
SHOWN = ("dead_letters", "parked", *ZERO)


async def test_three_pairs_at_once_with_ids_that_overlap_leave_nothing_where_it_does_not_belong(tmp_path: Path) -> None:
    options = ["--once", "--pair", ALL, "--orders", str(ORDERS), "--faults", "none", "--json", "--dir", str(tmp_path / "demo")]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "towpath", "demo", *options, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, shown = await asyncio.wait_for(process.communicate(), 240)
    assert process.returncode == 0, shown.decode()[-3000:]
    whole = json.loads(printed.splitlines()[-1])
    assert [*PAIRS] == [*whole["pairs"]]
    for result, pairs in ((whole, len(PAIRS)), *((one, 1) for one in whole["pairs"].values())):
        assert dict.fromkeys(SHOWN, 0) == {name: result[name] for name in SHOWN}
        assert (ORDERS * pairs, ORDERS * pairs) == (result["orders_placed"], result["orders_in_target"])
        assert [] == [name for name, value in result.items() if value is None]
        assert result["shipments"] > 0
    assert whole["shared_ids"]["products"] == len(catalogue())
    assert whole["shared_ids"]["orders"] > 0
