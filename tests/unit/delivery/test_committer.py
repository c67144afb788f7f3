from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import URL, Connection

from towpath.clock import SystemClock
from towpath.delivery.committer import GroupCommitter
from towpath.delivery.database import open_engine
from towpath.delivery.ledger import Effect, Ledger
from towpath.errors import RetryableError

TOGETHER = 50


def place(tmp_path: Path) -> URL:
    return sa.make_url(f"sqlite:///{tmp_path / 'towpath.db'}")


async def test_parts_that_wait_together_are_one_call_and_each_gets_its_own_result(tmp_path: Path) -> None:
    sizes: list[int] = []

    def doubled(_connection: Connection, parts: Sequence[int]) -> list[int]:
        sizes.append(len(parts))
        return [2 * part for part in parts]

    committer = GroupCommitter(open_engine(place(tmp_path)))
    found = await asyncio.gather(*(committer.join(doubled, part) for part in range(TOGETHER)), committer.run(lambda _connection: 7))
    await committer.close()
    assert [*(2 * part for part in range(TOGETHER)), 7] == found
    assert len(sizes) < TOGETHER


async def test_a_part_that_fails_harms_none_of_those_that_it_waits_with(tmp_path: Path) -> None:
    def inverse(_connection: Connection, parts: Sequence[int]) -> list[float]:
        return [1 / part for part in parts]

    committer = GroupCommitter(open_engine(place(tmp_path)))
    found = await asyncio.gather(*(committer.join(inverse, part) for part in (4, 0, 2)), return_exceptions=True)
    await committer.close()
    assert 0.25 == found[0]
    assert isinstance(found[1], ZeroDivisionError)
    assert 0.5 == found[2]


@pytest.mark.parametrize(("statement", "everyones"), [("ATTACH '/' AS other", True), ("INSERT INTO one VALUES (1)", False)])
async def test_a_database_that_fails_as_a_whole_blames_no_record_and_one_that_refuses_a_value_does(
    tmp_path: Path, statement: str, *, everyones: bool
) -> None:
    committer = GroupCommitter(open_engine(place(tmp_path)))
    await committer.run(lambda connection: connection.exec_driver_sql("CREATE TABLE one (value INTEGER CHECK (value > 1))"))
    with pytest.raises(RetryableError) as raised:
        await committer.run(lambda connection: connection.exec_driver_sql(statement))
    await committer.close()
    assert everyones is raised.value.system_wide


@pytest.mark.parametrize("others", [0, TOGETHER])
async def test_of_two_that_claim_one_effect_in_the_same_commit_one_has_it(tmp_path: Path, others: int) -> None:
    ledger, lasts = Ledger(open_engine(place(tmp_path)), SystemClock(), owner="a"), timedelta(seconds=60)
    keys = ["1001", *(f"other-{number}" for number in range(others)), "1001"]
    claims = await asyncio.gather(*(ledger.begin(Effect("erp", "create_order", key), digest="d", lease=lasts, settle=lasts) for key in keys))
    await ledger.close()
    assert 1 == sum(claim.mine for key, claim in zip(keys, claims, strict=True) if key == "1001")
    assert all(claim.fresh for key, claim in zip(keys, claims, strict=True) if key != "1001")
