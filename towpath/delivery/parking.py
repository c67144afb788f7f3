"""What is parked and when it is tried again: an index row for each parked record, kept beside the effect ledger; `parked.*` holds the records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from towpath.clock import Clock
from towpath.delivery.committer import GroupCommitter
from towpath.delivery.database import make_table, metadata
from towpath.delivery.deadletters import PARKED, Failure

LONGEST = timedelta(hours=1)
AT_ONCE = 100

parked = sa.Table(
    "parked",
    metadata,
    sa.Column("dead_letter_id", sa.String(40), primary_key=True),
    sa.Column("connection", sa.String(40), nullable=False),
    sa.Column("topic", sa.String(80), nullable=False),
    sa.Column("partition", sa.Integer, nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("awaits", sa.String(400), nullable=False, default=""),  # "operation key" of the effect that it depends on
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("retry_at", sa.Float, nullable=False),
    sa.Index("parked_by_time", "connection", "retry_at"),
    sa.Index("parked_by_awaited", "connection", "awaits"),
)


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
    """

    def __init__(self, engine: Engine, clock: Clock, pause: timedelta) -> None:
        self._clock, self._pause = clock, pause
        make_table(engine, parked)
        self._database = GroupCommitter(engine)

    async def keep(self, connection: str, one: Parked, failure: Failure) -> None:
        """Note what was just stored: parked it is tried again, dead it is parked no more."""
        if failure.state == PARKED:
            await self.park(connection, one, failure.awaits)
        else:
            await self.forget([one.dead_letter_id])

    async def park(self, connection: str, one: Parked, awaits: str = "") -> None:
        """Note that a record is parked, or parked again; `awaits` names the effect ("operation key") whose success wakes it."""
        now = self._clock.now().timestamp()

        def work(database: Connection) -> None:
            tries = database.execute(sa.select(parked.c.tries).where(parked.c.dead_letter_id == one.dead_letter_id)).scalar() or 0
            wait = min(self._pause * 2 ** min(tries, 16), LONGEST).total_seconds()
            database.execute(sa.delete(parked).where(parked.c.dead_letter_id == one.dead_letter_id))
            values = {**one._asdict(), "connection": connection, "awaits": awaits, "tries": tries + 1, "retry_at": now + wait}
            database.execute(sa.insert(parked).values(**values))

        await self._database.run(work)

    async def wake(self, connection: str, awaited: str) -> None:
        """Have what waits for this effect tried now."""
        waiting = (parked.c.connection == connection, parked.c.awaits == awaited)
        statement = sa.update(parked).where(*waiting).values(retry_at=self._clock.now().timestamp())
        await self._database.run(lambda database: database.execute(statement).rowcount)

    async def forget(self, ids: Sequence[str]) -> None:
        """Drop the rows of what is parked no more: it succeeded, was superseded, or died."""
        if ids:
            await self._database.run(lambda database: database.execute(sa.delete(parked).where(parked.c.dead_letter_id.in_(ids))).rowcount)

    async def due(self, connection: str) -> list[Parked]:
        """Return what is to be tried now, and claim it: nobody else gets it before its next time."""
        now = self._clock.now().timestamp()

        def work(database: Connection) -> list[Parked]:
            wanted = sa.select(parked).where(parked.c.connection == connection, parked.c.retry_at <= now).order_by(parked.c.retry_at)
            rows = database.execute(wanted.limit(AT_ONCE).with_for_update(skip_locked=True)).all()
            ids = [row.dead_letter_id for row in rows]
            later = now + LONGEST.total_seconds()  # parked again, it gets its own time; one that was lost on the way comes back after this
            database.execute(sa.update(parked).where(parked.c.dead_letter_id.in_(ids)).values(retry_at=later))
            return [Parked(row.dead_letter_id, row.topic, row.partition, row.offset) for row in rows]

        return await self._database.run(work)

    async def count(self, connection: str) -> int:
        """Return how many records are parked."""
        wanted = sa.select(sa.func.count()).select_from(parked).where(parked.c.connection == connection)
        return await self._database.run(lambda database: database.execute(wanted).scalar_one())

    async def close(self) -> None:
        """Commit what waits and leave the database."""
        await self._database.close()
