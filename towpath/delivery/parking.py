"""What is tried again by itself, and when: an index row for each such record, kept beside the effect ledger; the records stand in Kafka.

What is parked (`parked.*`) is tried by the clock, and at once when the effect that it waits for is there. A dead letter (`dlq.*`) that
waits for something to arrive is tried once more by the clock, lest that arrived before its row stood here, and then when it arrives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from towpath.clock import Clock
from towpath.delivery.committer import GroupCommitter
from towpath.delivery.database import fitting, insert_into, make_tables, metadata, now_of
from towpath.delivery.deadletters import PARKED, Failure

LONGEST = timedelta(hours=1)
HAND_OVER = timedelta(minutes=1)
"""How long whoever claims what is due has to send it: a process that dies meanwhile leaves it for no longer."""
NEVER = 1e15
"""A time that does not come: what is not tried by the clock."""
AT_ONCE = 100
LONGEST_AWAITED = 400

parked = sa.Table(
    "parked",
    metadata,
    sa.Column("dead_letter_id", sa.String(40), primary_key=True),
    sa.Column("connection", sa.String(40), nullable=False),
    sa.Column("topic", sa.String(80), nullable=False),
    sa.Column("partition", sa.Integer, nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("awaits", sa.String(LONGEST_AWAITED), nullable=False, default=""),  # "operation key" of an effect, or "entity key" of what is to arrive
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("retry_at", sa.Float, nullable=False),
    sa.Index("parked_by_time", "connection", "retry_at"),
    sa.Index("parked_by_awaited", "connection", "awaits"),
)


PLACE = (parked.c.topic, parked.c.partition, parked.c.offset)


class Parked(NamedTuple):
    """One parked record: its dead letter's id, and where in `parked.*` it stands."""

    dead_letter_id: str
    topic: str
    partition: int
    offset: int


class Parking:
    """What is parked for the connections of one deployment; several processes may share the database.

    Args:
        pause: how long a parked record waits before it is tried again; twice as long after each try, up to an hour
        at_once: how many are tried again together, at most
    """

    def __init__(self, engine: Engine, clock: Clock, pause: timedelta, at_once: int = AT_ONCE) -> None:
        self._clock, self._pause, self._at_once = clock, pause, at_once
        make_tables(engine)
        self._database = GroupCommitter(engine)

    async def keep(self, connection: str, one: Parked, failure: Failure) -> None:
        """Note what was just stored: parked it is tried again, and dead where it awaits something; else it is noted no more."""
        if failure.state == PARKED:
            await self.park(connection, one, failure.awaits)
        elif failure.awaits:
            await self.park(connection, one, failure.awaits, by_clock=1)
        else:
            await self.forget([one.dead_letter_id])

    async def park(self, connection: str, one: Parked, awaits: str = "", *, by_clock: float = math.inf) -> None:
        """Note that a record is parked, or parked again: what it `awaits` wakes it, and the clock so many times."""
        awaits = fitting(awaits, LONGEST_AWAITED)

        def work(database: Connection) -> None:
            is_it = parked.c.dead_letter_id == one.dead_letter_id
            known = database.execute(sa.select(parked).where(is_it).with_for_update()).first()
            now = now_of(database, self._clock)
            same = known is not None and known.awaits == awaits
            tries = known.tries if known is not None and (same or by_clock == math.inf) else 0  # what it awaits now may have come just before
            retry_at = now + min(self._pause * 2 ** min(tries, 16), LONGEST).total_seconds() if tries < by_clock else NEVER
            if known is not None and same and known.retry_at <= now:
                retry_at = now  # woken while it was tried
            values = {**one._asdict(), "connection": connection, "awaits": awaits, "tries": tries + 1, "retry_at": retry_at}
            if known is None:
                database.execute(sa.insert(parked).values(**values))
            else:  # the same row: whoever wakes it now waits for this commit, and would not find another
                database.execute(sa.update(parked).where(is_it).values(**values))

        await self._database.run(work)

    async def look_again(self, connection: str, one: Parked, seconds: float) -> None:
        """Have what stands at a place of any topic due in so many seconds, once: whoever saw to it forgets it."""

        def work(database: Connection) -> None:
            when = {"awaits": "", "tries": 1, "retry_at": now_of(database, self._clock) + seconds}
            statement = insert_into(parked, database.dialect).on_conflict_do_nothing()
            database.execute(statement.values(**one._asdict(), **when, connection=connection))

        await self._database.run(work)

    async def restore(self, found: Sequence[tuple[str, Parked]]) -> int:
        """Note again what is parked, each with its connection, and has no row, as after a database was lost; return how many rows were missing.

        What each waited for is not known then: they are tried by the clock, the first time after the pause.
        """

        def work(database: Connection) -> int:
            when = {"awaits": "", "tries": 1, "retry_at": now_of(database, self._clock) + self._pause.total_seconds()}
            rows = [{**one._asdict(), **when, "connection": connection} for connection, one in found]
            statement = insert_into(parked, database.dialect).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
            return sum(database.execute(statement, row).rowcount for row in rows)

        return await self._database.run(work)

    async def wake(self, connection: str, awaited: str) -> None:
        """Have what waits for this effect or arrival tried now."""
        await self._try_now(parked.c.connection == connection, parked.c.awaits == fitting(awaited, LONGEST_AWAITED))

    async def forget(self, ids: Sequence[str]) -> None:
        """Drop the rows of what is parked no more: it succeeded, was superseded, or died."""

        def work(database: Connection) -> None:
            for first in range(0, len(ids), AT_ONCE):  # a statement takes so many ids, which differs from database to database
                database.execute(sa.delete(parked).where(parked.c.dead_letter_id.in_(ids[first : first + AT_ONCE])))

        if ids:
            await self._database.run(work)

    async def due(self, connection: str) -> list[Parked]:
        """Return what is to be tried now, and claim it: nobody else gets it for a minute, nor after that once it is `sent`."""

        def work(database: Connection) -> list[Parked]:
            now = now_of(database, self._clock)
            wanted = sa.select(parked).where(parked.c.connection == connection, parked.c.retry_at <= now).order_by(parked.c.retry_at, *PLACE)
            rows = database.execute(wanted.limit(self._at_once).with_for_update(skip_locked=True)).all()
            ids = [row.dead_letter_id for row in rows]
            until = now + HAND_OVER.total_seconds()
            database.execute(sa.update(parked).where(parked.c.dead_letter_id.in_(ids)).values(retry_at=until))
            return [Parked(row.dead_letter_id, row.topic, row.partition, row.offset) for row in rows]

        return await self._database.run(work)

    async def sent(self, claimed: Sequence[Parked]) -> None:
        """Note that Kafka has what was claimed: parked again, it gets its own time; one that was lost even so comes back after an hour."""

        def work(database: Connection) -> None:
            now = now_of(database, self._clock)
            same = sa.tuple_(*PLACE).in_([(one.topic, one.partition, one.offset) for one in claimed])
            still = sa.update(parked).where(same, parked.c.retry_at > now)  # else it was woken meanwhile
            database.execute(still.values(retry_at=now + LONGEST.total_seconds()))

        if claimed:
            await self._database.run(work)

    async def give_back(self, ids: Sequence[str]) -> None:
        """Have tried at once what was claimed as due, and could not be tried."""
        if ids:
            await self._try_now(parked.c.dead_letter_id.in_(ids))

    async def count(self, connection: str) -> int:
        """Return how many records are parked, dead letters apart."""
        wanted = sa.select(sa.func.count()).select_from(parked).where(parked.c.connection == connection, parked.c.topic.like("parked.%"))
        return await self._database.run(lambda database: database.execute(wanted).scalar_one())

    async def close(self) -> None:
        """Commit what waits and leave the database."""
        await self._database.close()

    async def _try_now(self, *which: sa.ColumnElement[bool]) -> None:
        statement = sa.update(parked).where(*which)
        await self._database.run(lambda database: database.execute(statement.values(retry_at=now_of(database, self._clock))).rowcount)
