"""A PostgreSQL where a row is held by who stands still, that ends who does, or that became a standby: others go on, and no record is blamed."""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import URL, Connection

from towpath.clock import SystemClock
from towpath.delivery.claims import Claim, State
from towpath.delivery.committer import GroupCommitter
from towpath.delivery.database import open_engine
from towpath.delivery.ledger import Effect, Ledger, effects
from towpath.errors import RetryableError

LEASE, NOTHING = timedelta(seconds=10), timedelta(0)
OTHERS = 30

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@pytest.fixture
def impatient(database: URL) -> URL:
    """Give the address of the database for who waits for a row no longer than a moment."""
    return database.update_query_dict({"options": f"{database.query['options']} -clock_timeout=300ms"})


@pytest.fixture
async def ledger(impatient: URL) -> AsyncIterator[Ledger]:
    opened = await asyncio.to_thread(lambda: Ledger(open_engine(impatient), SystemClock(), "me"))
    yield opened
    await opened.close()


@pytest.fixture
async def committer(impatient: URL) -> AsyncIterator[GroupCommitter]:
    opened = GroupCommitter(open_engine(impatient))
    yield opened
    await opened.close()


@pytest.fixture
def other(database: URL) -> Iterator[Connection]:
    """Give a session of another host, which is in mid-transaction from its first statement on."""
    engine = open_engine(database)
    with engine.connect() as connection:
        yield connection
        connection.invalidate()
    engine.dispose()


def ended(session: Connection) -> bool:
    """Wait for the server to end a session that stands still; return whether it did."""
    driver: Any = session.connection.driver_connection
    return bool(select.select([driver.fileno()], [], [], 20)[0])


def asked_by(connection: Connection, statement: str) -> object:
    return connection.exec_driver_sql(statement).scalar()


async def begin(ledger: Ledger, key: str) -> Claim:
    return await ledger.begin(Effect("erp", "create_order", key), digest="d", lease=LEASE, settle=NOTHING)


async def test_a_row_that_is_held_holds_up_its_own_effect_alone_until_the_server_ends_who_stands_still(ledger: Ledger, other: Connection) -> None:
    await begin(ledger, "held")
    other.execute(sa.select(effects).with_for_update())

    held, *fresh = await asyncio.wait_for(
        asyncio.gather(begin(ledger, "held"), *(begin(ledger, f"other-{number}") for number in range(OTHERS)), return_exceptions=True), 10
    )
    assert isinstance(held, RetryableError)
    assert not held.system_wide
    assert [True] * OTHERS == [isinstance(claim, Claim) and claim.fresh for claim in fresh]

    other.exec_driver_sql("SET idle_in_transaction_session_timeout = '1ms'")
    assert ended(other)
    assert State.PENDING == (await begin(ledger, "held")).state


async def test_who_stood_still_in_mid_transaction_is_told_that_everything_failed_and_goes_on(committer: GroupCommitter) -> None:
    def stand_still(connection: Connection) -> object:
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = '1ms'")
        assert ended(connection)
        return asked_by(connection, "SELECT 1")

    with pytest.raises(RetryableError, match="idle-in-transaction") as raised:
        await committer.run(stand_still)
    assert raised.value.system_wide
    assert 1 == await committer.run(lambda connection: asked_by(connection, "SELECT 1"))


async def test_a_server_that_became_a_standby_blames_no_record_and_is_left(committer: GroupCommitter) -> None:
    await committer.run(lambda connection: connection.exec_driver_sql("SET default_transaction_read_only = on"))
    with pytest.raises(RetryableError, match="read-only") as raised:
        await committer.run(lambda connection: connection.exec_driver_sql("CREATE TABLE one (value INTEGER)"))
    assert raised.value.system_wide
    await committer.run(lambda connection: connection.exec_driver_sql("CREATE TABLE one (value INTEGER)"))
