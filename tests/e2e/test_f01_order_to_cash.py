from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

from towpath.demo.pairs import SHOP
from towpath.demo.play import ZERO, figures, place, settle
from towpath.testing.reading import read_all
from towpath.topics import load_topics

CANARY_CARD = "4929420573595709"


async def test_f01_demo_once_prints_one_json_object_with_no_duplicate_and_no_loss(tmp_path: Path) -> None:
    options = ["--once", "--pair", "bng-nopcommerce", "--orders", "60", "--faults", "mild", "--seed", "7", "--json", "--dir", str(tmp_path / "demo")]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "towpath", "demo", *options, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, shown = await asyncio.wait_for(process.communicate(), 240)
    assert process.returncode == 0, shown.decode()[-3000:]
    result = json.loads(printed.splitlines()[-1])
    expected = {
        "pair": "bng-nopcommerce",
        "seed": 7,
        "orders_placed": 60,
        "orders_in_target": 60,
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


async def test_f01_card_numbers_reach_no_topic_database_or_log(start: Callable[..., Any]) -> None:
    async with start() as stack:
        await place(stack, orders=5, seed=5)
        await settle(stack)
        async with aiohttp.ClientSession() as session, session.get(f"{stack.url(SHOP)}/_sandbox/store/orders") as response:
            assert CANARY_CARD in await response.text()  # the shop did send it, or the search below proves nothing
        assert (await figures(stack)).orders_in_target == 5
        topics = [spec.name for spec in load_topics().expand(stack.config().connections)]
        records = read_all(stack.config().kafka, topics)  # segments on disk are compressed, so the records are searched as well
        await stack.stop()  # so that all that would be written has been
    assert len(records) >= 5
    assert [record for record in records if CANARY_CARD.encode() in (record.value or b"")] == []
    found = [str(path) for path in _files(stack.directory) if CANARY_CARD.encode() in path.read_bytes()]
    assert found == []


def _files(folder: Path) -> list[Path]:
    """Return every file that Towpath or its Kafka wrote, the sandbox's own stores left out."""
    files = (Path(root) / name for root, _, names in os.walk(folder) for name in names)
    return [path for path in files if "sandbox-" not in str(path.relative_to(folder)) and path.name not in ("shop.log", "erp.log")]
