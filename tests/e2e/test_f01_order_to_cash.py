from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from towpath.demo.report import ZERO


async def test_f01_demo_once_prints_one_json_object_with_no_duplicate_and_no_loss(tmp_path: Path) -> None:
    options = ["--once", "--pair", "bng-nopcommerce", "--orders", "40", "--faults", "mild", "--seed", "7", "--json", "--dir", str(tmp_path / "demo")]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "towpath", "demo", *options, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, shown = await asyncio.wait_for(process.communicate(), 240)
    assert process.returncode == 0, shown.decode()[-3000:]
    result = json.loads(printed.splitlines()[-1])
    expected = {
        "pair": "bng-nopcommerce",
        "seed": 7,
        "orders_placed": 40,
        "orders_in_target": 40,
        "duplicates": 0,
        "lost": 0,
        "dead_letters": 0,
        "parked": 0,
    }
    assert {name: result[name] for name in expected} == expected
    assert all(
        result["faults_injected"][kind] >= 1 for kind in ("unavailable", "response_lost", "late_commit", "webhook_duplicate", "webhook_shuffle")
    )
    assert [] == [name for name, value in result.items() if value is None]
    assert dict.fromkeys(ZERO, 0) == {name: result[name] for name in ZERO}
    assert result["shipments"] > 0
