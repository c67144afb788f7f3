"""How far each list of a source was read, kept beside the effect ledger: by the source's own clock, and never back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from towpath.clock import Clock
from towpath.delivery.committer import GroupCommitter
from towpath.delivery.database import make_tables, metadata
from towpath.events import EPOCH, micros

cursors = sa.Table(
    "cursors",
    metadata,
    sa.Column("connection", sa.String(40), primary_key=True),
    sa.Column("entity", sa.String(40), primary_key=True),
    sa.Column("began", sa.BigInteger, nullable=False),  # microseconds since 1970, by the source's clock
    sa.Column("cursor", sa.BigInteger, nullable=False),  # the same
    sa.Column("unfinished", sa.Text, nullable=False, default="{}"),  # JSON: digest by id
    sa.Column("updated_at", sa.Float, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Cursor:
    """What is known of a list: nothing from before `began` is wanted, and all that changed up to `reached` is in the inbox.

    `unfinished` is what could still change when it was last read: a digest of what was listed of each entity, by its id.
    """

    began: datetime
    reached: datetime
    unfinished: Mapping[str, str] = field(default_factory=dict)


class Cursors:
    """The cursors of every connection; several processes may share the database."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._clock = clock
        make_tables(engine)
        self._database = GroupCommitter(engine)

    async def find(self, connection: str, entity: str) -> Cursor | None:
        """Return what is known of a list, None where it was never read."""
        return await self._database.run(lambda database: _find(database, connection, entity))

    async def begin(self, connection: str, entity: str, began: datetime) -> Cursor:
        """Return the cursor of a list, which begins there unless it has begun before."""
        values = {"began": micros(began), "cursor": micros(began), "unfinished": "{}", "updated_at": self._now()}

        def work(database: Connection) -> Cursor:
            if (known := _find(database, connection, entity)) is not None:
                return known
            database.execute(sa.insert(cursors).values(connection=connection, entity=entity, **values))
            return Cursor(began, began)

        return await self._database.run(work)

    async def move(self, connection: str, entity: str, reached: datetime) -> None:
        """Note that a list was read to its end; where another process has read further, the cursor stays there."""
        further = sa.case((cursors.c.cursor < micros(reached), micros(reached)), else_=cursors.c.cursor)
        await self._set(connection, entity, cursor=further)

    async def keep(self, connection: str, entity: str, unfinished: Mapping[str, str]) -> None:
        """Note what is unfinished at the source: a digest of what was listed, by id."""
        await self._set(connection, entity, unfinished=json.dumps(unfinished, separators=(",", ":")))

    async def forget(self, connection: str, entity: str) -> None:
        """Forget how far a list was read, as that of a backfill which is done."""
        await self._database.run(lambda database: database.execute(sa.delete(cursors).where(*_is(connection, entity))).rowcount)

    async def close(self) -> None:
        """Commit what waits and leave the database."""
        await self._database.close()

    async def _set(self, connection: str, entity: str, **values: object) -> None:
        statement = sa.update(cursors).where(*_is(connection, entity)).values(updated_at=self._now(), **values)
        await self._database.run(lambda database: database.execute(statement).rowcount)

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _find(database: Connection, connection: str, entity: str) -> Cursor | None:
    row = database.execute(sa.select(cursors).where(*_is(connection, entity))).one_or_none()
    return None if row is None else Cursor(_moment(row.began), _moment(row.cursor), json.loads(row.unfinished))


def _is(connection: str, entity: str) -> list[sa.ColumnElement[bool]]:
    return [cursors.c.connection == connection, cursors.c.entity == entity]


def _moment(since_epoch: int) -> datetime:
    return EPOCH + timedelta(microseconds=since_epoch)
