"""The database of a deployment: SQLite on one host, PostgreSQL beyond; whoever needs it first makes its tables, or upgrades them."""

from __future__ import annotations

import hashlib
import math
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.exc import SQLAlchemyError

from towpath.clock import Clock, SystemClock
from towpath.migrations.chain import DELIVERY

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

metadata = sa.MetaData()
ASKED_EVERY: Final = 5.0  # seconds
BUSY_SECONDS: Final = 10.0
GIVEN_UP: Final = {"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}
"""When a PostgreSQL that is not there any more is given up (by libpq's own names); Linux alone would wait a quarter of an hour, or two hours."""
LET_GO: Final = "-c idle_in_transaction_session_timeout=10s -c lock_timeout=5s"
"""How long a row is kept on PostgreSQL by who stands still (a host that vanished would keep its rows for two hours), and waited for."""
PATIENT: Final = "-c idle_in_transaction_session_timeout=60s"


def open_engine(url: URL, *, reading: bool = False, patient: bool = False) -> Engine:
    """Return a SQLAlchemy engine; SQLite in WAL mode with full durability, its folder made where it is missing.

    One that is for `reading` takes no write lock of SQLite's, so that nobody who writes waits for it. On PostgreSQL a `patient` one waits for
    others' locks however long they hold them: who makes tables, and the index, where one works at a time.
    """
    if url.get_backend_name() != "sqlite":
        bounds = GIVEN_UP | {"options": PATIENT if patient else LET_GO}
        return sa.create_engine(url, pool_pre_ping=True, connect_args={name: bound for name, bound in bounds.items() if name not in url.query})
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url)
    event.listen(engine, "connect", _set_pragmas)
    if not reading:
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def reason_of(error: SQLAlchemyError) -> str:
    """Return what the database itself said of an error, its first line."""
    return next(iter(str(error.__cause__ or error).splitlines()), type(error).__name__)


def make_tables(engine: Engine) -> None:
    """Bring the delivery database to the tables of this release; raises ConfigError where a newer one made it."""
    writing = open_engine(engine.url, patient=True)
    try:
        for tries_left in (2, 1, 0):
            try:
                with writing.begin() as connection:
                    DELIVERY.bring_up(connection)
                return
            except SQLAlchemyError:  # another process opened it for the first time just now
                if not tries_left:
                    raise
    finally:
        writing.dispose()


def insert_into(table: sa.Table, dialect: sa.Dialect) -> sqlite.Insert | postgresql.Insert:
    """Return the dialect's own INSERT, which can say what becomes of a row that stands already."""
    if dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert  # noqa: PLC0415 - of the two, a process needs one

        return insert(table)
    from sqlalchemy.dialects.postgresql import insert as insert_in_postgresql  # noqa: PLC0415 - the same; slow to import

    return insert_in_postgresql(table)


def fitting(text: str, longest: int) -> str:
    """Return a text as a column of this length takes it on every database: one that is longer, or has a NUL, ends with its digest instead.

    SQLite takes any text; PostgreSQL would refuse it each time that it is tried again.
    """
    if len(text) <= longest and "\0" not in text:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{text.replace(chr(0), '')[: longest - len(digest) - 1]}#{digest}"


def now_of(database: Connection, clock: Clock) -> float:
    """Return seconds since 1970 by the database's own clock, that of its machine, for the hosts that share it may differ in theirs.

    Where `clock` is no machine's, as in a simulation, it is the database's as well.
    """
    if not isinstance(clock, SystemClock):
        return clock.now().timestamp()
    if database.dialect.name == "postgresql":
        return float(database.execute(sa.select(sa.extract("epoch", sa.func.clock_timestamp()))).scalar_one())
    return time.time()


class DatabaseTime:
    """What `now_of` tells, for whoever asks often: PostgreSQL is asked every few seconds, and in between it is known what has passed."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._told, self._told_at = clock, 0.0, -math.inf

    def now(self, database: Connection) -> float:
        """Return seconds since 1970 by the database's own clock."""
        passed = time.monotonic() - self._told_at
        if database.dialect.name == "postgresql" and isinstance(self._clock, SystemClock) and passed < ASKED_EVERY:
            return self._told + passed
        self._told, self._told_at = now_of(database, self._clock), time.monotonic()
        return self._told


def _set_pragmas(connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's own BEGIN, so that a transaction takes the write lock at once
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000:.0f}")
    _write_ahead(cursor)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _write_ahead(cursor: sa.engine.interfaces.DBAPICursor) -> None:
    """Have the file in WAL mode: who opens a new one while another does is refused at once, whatever the timeout, and tries again here."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return
