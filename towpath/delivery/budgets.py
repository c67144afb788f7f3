"""The budgets of all connections, kept beside the effect ledger, so that every process spends the same ones.

Nothing here need survive a power failure: what is lost is at most a moment's tokens.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Final

import sqlalchemy as sa
import structlog
from sqlalchemy import URL, Connection, event

from towpath.clock import Clock
from towpath.delivery.budget import Ask, OwnBudget, Standing, Terms, Told
from towpath.delivery.committer import GroupCommitter
from towpath.delivery.database import metadata, now_of, open_engine
from towpath.errors import RetryableError
from towpath.migrations.chain import DELIVERY

log = structlog.get_logger(__name__)

ANSWERS_WITHIN: Final = 15.0  # a busy database is not one that is away: two who then spent alone would overdraw
ASKED_AGAIN_AFTER: Final = 30.0

budgets = sa.Table(
    "budgets",
    metadata,
    sa.Column("connection", sa.String(40), primary_key=True),
    sa.Column("tokens", sa.Float, nullable=False),  # calls that may go out now; below 0: those that are booked
    sa.Column("at", sa.Float, nullable=False),  # seconds since 1970, as all times here, when that was so
    sa.Column("paused_until", sa.Float, nullable=False),
    sa.Column("answered_at", sa.Float, nullable=False),
    sa.Column("down_since", sa.Float),  # null: the circuit is closed
    sa.Column("probe_at", sa.Float, nullable=False),
)


class Budgets:
    """The budgets as one process spends them. While the database does not answer, it spends them as if it were alone.

    Times are those that `now_of` tells.
    `tell` is called when the database stops answering, with the reason, and with "" when it answers again.
    """

    def __init__(self, url: URL, clock: Clock, tell: Callable[[str], object] = lambda _trouble: None) -> None:
        self.clock, self._tell = clock, tell
        engine = open_engine(url)
        event.listen(engine, "connect", _set_lazy)
        self._database = GroupCommitter(engine)
        self._has_table = False
        self._trouble, self._alone_until = "", 0.0

    def of(self, connection: str) -> SharedBudget:
        """Return the budget of a connection."""
        return SharedBudget(self, connection)

    async def exchange(self, connection: str, terms: Terms, ask: Ask) -> tuple[Told, Standing] | None:
        """Return what the connection's budget tells, and how it then stands; None while the database does not answer."""
        if self.clock.monotonic() < self._alone_until:
            return None
        try:
            async with asyncio.timeout(ANSWERS_WITHIN):
                found = await self._database.run(lambda database: self._exchange(database, connection, terms, ask))
        except (RetryableError, TimeoutError) as error:
            self._has_table, self._alone_until = False, self.clock.monotonic() + ASKED_AGAIN_AFTER
            if not self._trouble:
                self._trouble = str(error) or f"database: no answer within {ANSWERS_WITHIN:.0f} s"
                log.warning("budgets are not shared with other processes now", reason=self._trouble)
                self._tell(f"spent as if no other process did: {self._trouble}")
            return None
        self._has_table = True
        if self._trouble:
            self._trouble = ""
            log.info("budgets are shared with other processes again")
            self._tell("")
        return found

    async def close(self) -> None:
        """Leave the database."""
        await self._database.close()

    def _exchange(self, database: Connection, connection: str, terms: Terms, ask: Ask) -> tuple[Told, Standing]:
        if not self._has_table:
            DELIVERY.bring_up(database)
        is_it = budgets.c.connection == connection
        statement = sa.select(*budgets.c[1:]).where(is_it)
        row = database.execute(statement.with_for_update() if ask.changes else statement).one_or_none()
        now = now_of(database, self.clock)  # asked for after the row is locked: nobody's comes before that of whoever had it last
        standing = Standing.new(terms, now) if row is None else Standing(*row)
        told = standing.exchange(terms, ask, now)
        if ask.changes:
            values = dataclasses.asdict(standing)
            database.execute(
                sa.insert(budgets).values(connection=connection, **values) if row is None else sa.update(budgets).where(is_it).values(**values)
            )
        return told, standing


class SharedBudget:
    """The budget of one connection, which other processes spend as well."""

    shared = True

    def __init__(self, budgets: Budgets, connection: str) -> None:
        self._budgets, self._connection = budgets, connection
        self._own = OwnBudget(lambda: budgets.clock.now().timestamp())

    async def exchange(self, terms: Terms, ask: Ask) -> Told:
        """Tell and be told."""
        found = await self._budgets.exchange(self._connection, terms, ask)
        if found is None:
            return await self._own.exchange(terms, ask)
        told, standing = found
        self._own.standing = dataclasses.replace(standing, tokens=min(standing.tokens, 0.0))  # once all are alone, nobody begins with a full bucket
        return told


def _set_lazy(connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    is_sqlite = type(connection).__module__.startswith("sqlite3")
    cursor.execute("PRAGMA synchronous=NORMAL" if is_sqlite else "SET synchronous_commit TO off")
    cursor.close()
    if not is_sqlite:
        connection.commit()
