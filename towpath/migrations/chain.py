"""Bringing a database to the tables of this release: older ones are upgraded, each step and its note in one transaction; newer ones are refused."""

from __future__ import annotations

import logging
import pkgutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import sqlalchemy as sa
import structlog
from sqlalchemy import Connection

from towpath.errors import ConfigError

log = structlog.get_logger(__name__)

DIGITS: Final = slice(1, 5)
"""A revision's module is called r0001_what: its id is 0001."""
ONE_AT_A_TIME: Final = sa.text("SELECT pg_advisory_xact_lock(hashtext('towpath.migrations'))")


@dataclass(frozen=True)
class Chain:
    """The revisions of one database; `remedy` says what else can be done with one that a newer Towpath made."""

    name: str
    remedy: str

    @property
    def table(self) -> str:
        """Return the table with one row: the revision that the database is at."""
        return f"{self.name}_version"

    @property
    def folder(self) -> Path:
        """Return where the revisions stand."""
        return Path(__file__).parent / self.name

    @cached_property
    def head(self) -> str:
        """Return the newest revision."""
        return max(info.name[DIGITS] for info in pkgutil.iter_modules([str(self.folder)]))

    @cached_property
    def row(self) -> sa.TableClause:
        """Return the table of the revision, to be read and locked."""
        return sa.table(self.table, sa.column("version_num", sa.String))

    def current(self, connection: Connection) -> str:
        """Return the revision that the database is at, empty where it has none."""
        if not sa.inspect(connection).has_table(self.table):
            return ""
        return connection.execute(sa.select(self.row.c.version_num)).scalar() or ""

    def bring_up(self, connection: Connection) -> str:
        """Upgrade the database where it is older, within the connection's transaction, and return the revision it was at.

        Raises ConfigError where a newer Towpath has upgraded it: what that wrote cannot be known here.
        """
        found = self.current(connection)
        if found != self.head and connection.dialect.name == "postgresql":
            connection.execute(ONE_AT_A_TIME)  # SQLite's transactions have their lock from the beginning
            found = self.current(connection)
        if found > self.head:
            place = connection.engine.url
            raise ConfigError(
                f"the {self.name} database {place} is at {found}, made by a newer Towpath; this one knows up to {self.head}: "
                f"run that newer Towpath, or {self.remedy}"
            )
        if found < self.head:
            self._upgrade(connection)
            if found:
                log.info("the database was upgraded", database=self.name, found=found, now=self.head)
        return found

    def _upgrade(self, connection: Connection) -> None:
        from alembic.migration import MigrationContext  # noqa: PLC0415 - nearly every process finds the database up to date, and needs none of it
        from alembic.operations import Operations  # noqa: PLC0415 - the same
        from alembic.script import ScriptDirectory  # noqa: PLC0415 - the same

        logging.getLogger("alembic").setLevel(logging.WARNING)
        scripts = ScriptDirectory(str(self.folder), version_locations=[str(self.folder)])
        context = MigrationContext.configure(connection, opts={"version_table": self.table})
        for script in reversed(list(scripts.iterate_revisions(self.head, context.get_current_revision()))):
            script.module.upgrade(Operations(context))  # its own, not alembic's global one: several threads may be at it
            context.stamp(scripts, script.revision)


DELIVERY: Final = Chain("delivery", "restore the backup of the database from before its upgrade")
INDEX: Final = Chain("index", "delete the index, which is then built anew from the topics")
