"""The tables of the index, and opening it.

Times are microseconds since the epoch. Texts are cut to the lengths here, so that no forged record can be one that PostgreSQL refuses.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from towpath.delivery.database import insert_into, open_engine, reason_of
from towpath.errors import ConfigError, RetryableError
from towpath.migrations.chain import INDEX

WORD, KEY, TEXT = 40, 300, 600

metadata = sa.MetaData()
about = sa.Table("index_about", metadata, sa.Column("name", sa.String(WORD), primary_key=True), sa.Column("value", sa.Text, nullable=False))


def _place(*, primary_key: bool) -> list[sa.Column[Any]]:
    return [
        sa.Column("topic", sa.String(KEY), primary_key=primary_key, nullable=False),
        sa.Column("partition", sa.Integer, primary_key=primary_key, nullable=False, autoincrement=False),
        sa.Column("offset", sa.BigInteger, primary_key=primary_key, nullable=False, autoincrement=False),
    ]


positions = sa.Table(
    "index_positions",
    metadata,
    sa.Column("topic", sa.String(KEY), primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("topic_id", sa.String(WORD), nullable=False),
    sa.Column("low", sa.BigInteger, nullable=False),  # what stood below is gone from the topic, and from here
    sa.Column("next", sa.BigInteger, nullable=False),
)
steps = sa.Table(
    "index_steps",
    metadata,
    *_place(primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("business_key", sa.String(KEY), nullable=False),
    sa.Column("order_number", sa.String(KEY), nullable=False, default=""),
    sa.Column("trace_id", sa.String(WORD), nullable=False, default=""),
    sa.Column("hop", sa.String(WORD), nullable=False),
    sa.Column("what", sa.String(KEY), nullable=False),
    sa.Column("detail", sa.String(TEXT), nullable=False, default=""),
)
numbered = steps.c.order_number != ""
unread = (steps.c.hop == "inbox") & (steps.c.trace_id != "")
unreadable = steps.c.what == "unreadable"
sa.Index("index_steps_key", steps.c.business_key)
for _name, _column, _where in (
    ("index_steps_number", steps.c.order_number, numbered),
    ("index_steps_inbox", steps.c.trace_id, unread),
    ("index_steps_unreadable", steps.c.what, unreadable),
):
    sa.Index(_name, _column, sqlite_where=_where, postgresql_where=_where)
letters = sa.Table(  # the newest failure of each dead letter; the original record stands at `topic`, `partition`, `offset`
    "index_letters",
    metadata,
    sa.Column("dead_letter_id", sa.String(KEY), primary_key=True),
    *_place(primary_key=False),
    sa.Column("state", sa.String(WORD), nullable=False),
    sa.Column("hop", sa.String(WORD), nullable=False),
    sa.Column("connection", sa.String(WORD), nullable=False),
    sa.Column("group", sa.String(KEY), nullable=False),
    sa.Column("flow", sa.String(KEY), nullable=False),
    sa.Column("error_class", sa.String(WORD), nullable=False),
    sa.Column("field", sa.String(KEY), nullable=False),
    sa.Column("reason", sa.String(TEXT), nullable=False),
    sa.Column("mapping_version", sa.String(KEY), nullable=False),
    sa.Column("fingerprint", sa.String(WORD), nullable=False),
    sa.Column("business_key", sa.String(KEY), nullable=False, index=True),
    sa.Column("origin_topic", sa.String(KEY), nullable=False),
    sa.Column("origin_partition", sa.BigInteger, nullable=False),
    sa.Column("origin_offset", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.BigInteger, nullable=False),
    sa.Column("replays", sa.BigInteger, nullable=False),
    sa.Column("first_at", sa.BigInteger, nullable=False),
    sa.Column("last_at", sa.BigInteger, nullable=False),
)
closings = sa.Table(  # the newest receipt of each dead letter, which may be read before it; it closes the failures before it
    "index_closings",
    metadata,
    sa.Column("dead_letter_id", sa.String(KEY), primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("receipt_id", sa.String(KEY), nullable=False),
    sa.Column("outcome", sa.String(WORD), nullable=False),
    sa.Column("reason", sa.String(TEXT), nullable=False, server_default=""),
)
replays = sa.Table(  # the newest replay of each dead letter, which may be read before it: how often it was tried and replayed by then
    "index_replays",
    metadata,
    sa.Column("dead_letter_id", sa.String(KEY), primary_key=True),
    *_place(primary_key=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.BigInteger, nullable=False),
    sa.Column("replays", sa.BigInteger, nullable=False),
)
xref = sa.Table(  # under which id an effect stands, or once stood, at a connection
    "index_xref",
    metadata,
    sa.Column("connection", sa.String(WORD), primary_key=True),
    sa.Column("operation", sa.String(WORD), primary_key=True),
    sa.Column("effect_key", sa.String(KEY), primary_key=True),
    sa.Column("external_id", sa.String(KEY), primary_key=True, index=True),
    sa.Column("business_key", sa.String(KEY), nullable=False, index=True),
    sa.Column("at", sa.BigInteger, nullable=False),
)


def open_index(url: URL) -> Engine:
    """Return an engine to the index at `url`, with the tables of this release.

    Raises RetryableError where the database does not answer, or is none, and ConfigError where a newer Towpath made it.
    """
    engine = open_engine(url, patient=True)
    try:
        try:
            _make_tables(engine)
        except SQLAlchemyError:  # another process opened it for the first time just now
            _make_tables(engine)
    except SQLAlchemyError as error:
        engine.dispose()
        raise named(error, url) from error
    except ConfigError:
        engine.dispose()
        raise
    return engine


def _make_tables(engine: Engine) -> None:
    with engine.begin() as connection:
        INDEX.bring_up(connection)


def named(error: SQLAlchemyError, url: URL) -> RetryableError:
    """Return a database's error with what can be done about it."""
    reason = reason_of(error)
    broken = "not a database" in reason or "malformed" in reason
    advice = "; delete it, and it is built anew from the topics" if broken else ""
    return RetryableError(f"index.url: {url}: {reason}{advice}", system_wide=True)


def put(connection: Connection, table: sa.Table, rows: list[dict[str, Any]], *, newest: Iterable[sa.Column[Any]] = ()) -> None:
    """Insert the rows; where one with the same primary key stands, the greater one in the columns `newest` stays, else the present one."""
    if not rows:
        return
    statement = insert_into(table, connection.dialect)
    order = [column.name for column in newest]
    if order:
        wins = sa.tuple_(*(statement.excluded[name] for name in order)) > sa.tuple_(*(table.c[name] for name in order))
        values = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
        upsert = statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=values, where=wins)
    else:
        upsert = statement.on_conflict_do_nothing()
    connection.execute(upsert, rows)
