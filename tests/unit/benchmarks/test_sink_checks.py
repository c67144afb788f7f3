from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.sink import deliveries, unbooked, wrongly_called
from benchmarks.slow_target import Seen, Target
from towpath.codec import default_codec

KEYS, EACH = 4, 2


def plain(seen: Seen) -> dict[str, Any]:
    return {**asdict(replace(seen, done=Counter())), "done": dict(seen.done)}


@pytest.fixture
async def target() -> Target:
    target = Target(seconds=0)
    target.begin(["thing-0"])
    return target


async def call_all(target: Target) -> None:
    for key in range(KEYS):
        for sequence in range(EACH if key else 1):
            await target.call(f"thing-{key}", sequence)


async def judged(target: Target) -> list[str]:
    return wrongly_called(plain(target.seen), KEYS, EACH, ["thing-0"])


async def test_calls_in_order_and_one_at_a_time_are_right(target: Target) -> None:
    await call_all(target)
    assert [] == await judged(target)


async def test_two_calls_of_one_key_at_once_are_seen(target: Target) -> None:
    await call_all(target)
    target.seen.done["thing-1"] -= 2
    await asyncio.gather(target.call("thing-1", 0), target.call("thing-1", 0))
    assert ["1 calls were at once"] == await judged(target)


async def test_a_call_out_of_order_is_seen(target: Target) -> None:
    await call_all(target)
    target.seen.done["thing-1"] -= 2
    await target.call("thing-1", 1)
    await target.call("thing-1", 0)
    assert ["2 calls were out of order"] == await judged(target)


async def test_an_effect_that_is_missing_or_made_twice_is_seen(target: Target) -> None:
    await call_all(target)
    target.seen.done["thing-2"] -= 1
    target.seen.done["thing-3"] += 1
    assert ["2 keys have not each effect once, such as thing-2"] == await judged(target)


async def test_too_many_calls_in_flight_are_seen(target: Target) -> None:
    target.begin([])
    await asyncio.gather(*(target.call(f"thing-{key}", 0) for key in range(33)))
    assert "33 calls were in flight, 32 may be" in wrongly_called(plain(target.seen), 33, 1, [])


async def test_failing_keys_that_were_never_called_prove_nothing(target: Target) -> None:
    await call_all(target)
    target.seen.refused = 0
    assert ["no call of a failing key was refused"] == await judged(target)


def test_effects_that_ledger_or_receipts_do_not_hold_are_told(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "towpath.db")) as database:
        database.execute("CREATE TABLE effects (state TEXT)")
        database.executemany("INSERT INTO effects VALUES (?)", [("done",), ("done",), ("pending",)])
        database.commit()
    assert [] == unbooked(tmp_path / "towpath.db", receipts=2, effects=2)
    told = ["2 effects are done in the ledger, 3 were made", "4 receipts were written, 3 were made"]
    assert told == unbooked(tmp_path / "towpath.db", receipts=4, effects=3)


def test_deliveries_of_a_key_are_in_order_and_each_is_an_effect_of_its_own() -> None:
    sent = list(deliveries("slow", keys=5, each=3))
    decoded = [default_codec().decode_as("Delivery", one.value) for one in sent]
    assert (15, 15) == (len(sent), len({one["effect_key"] for one in decoded}))
    for key in range(5):
        assert [0, 1, 2] == [one["version"]["minor"] for one in decoded if one["key"] == f"shop/thing-{key}"]
    assert [one.key for one in sent] != sorted(one.key for one in sent)
