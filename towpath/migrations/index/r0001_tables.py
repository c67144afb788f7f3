"""The tables as they were before there were migrations; an index of an older layout than the last one of then is built anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0001"
down_revision = None

LAYOUT = "2"
TABLES = ("index_steps", "index_letters", "index_closings", "index_xref", "index_positions", "index_about")
WORD, KEY, TEXT = 40, 300, 600


def upgrade(op: Operations) -> None:
    """Make what is missing."""
    database = op.get_bind()
    if sa.inspect(database).has_table("index_about"):
        about = sa.table("index_about", sa.column("name"), sa.column("value"))
        layout = database.execute(sa.select(about.c.value).where(about.c.name == "layout")).scalar()
        if layout == LAYOUT:
            database.execute(sa.delete(about).where(about.c.name == "layout"))  # the revision says it now
        else:
            for table in TABLES:
                op.drop_table(table, if_exists=True)
    op.create_table(
        "index_about", sa.Column("name", sa.String(WORD), primary_key=True), sa.Column("value", sa.Text, nullable=False), if_not_exists=True
    )
    op.create_table(
        "index_positions",
        sa.Column("topic", sa.String(KEY), primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("topic_id", sa.String(WORD), nullable=False),
        sa.Column("low", sa.BigInteger, nullable=False),
        sa.Column("next", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
    _make_steps(op)
    _make_letters(op)
    _make_xref(op)


def _make_steps(op: Operations) -> None:
    op.create_table(
        "index_steps",
        sa.Column("topic", sa.String(KEY), primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("offset", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("business_key", sa.String(KEY), nullable=False),
        sa.Column("order_number", sa.String(KEY), nullable=False),
        sa.Column("trace_id", sa.String(WORD), nullable=False),
        sa.Column("hop", sa.String(WORD), nullable=False),
        sa.Column("what", sa.String(KEY), nullable=False),
        sa.Column("detail", sa.String(TEXT), nullable=False),
        if_not_exists=True,
    )
    op.create_index("index_steps_key", "index_steps", ["business_key"], if_not_exists=True)
    for name, column, condition in (
        ("index_steps_number", "order_number", "order_number != ''"),
        ("index_steps_inbox", "trace_id", "hop = 'inbox' AND trace_id != ''"),
        ("index_steps_unreadable", "what", "what = 'unreadable'"),
    ):
        where = sa.text(condition)
        op.create_index(name, "index_steps", [column], sqlite_where=where, postgresql_where=where, if_not_exists=True)


def _make_letters(op: Operations) -> None:
    words = ("state", "hop", "connection", "error_class", "fingerprint")
    keys = ("group", "flow", "field", "mapping_version", "business_key", "origin_topic")
    numbers = ("offset", "origin_partition", "origin_offset", "attempts", "replays", "first_at", "last_at")
    op.create_table(
        "index_letters",
        sa.Column("dead_letter_id", sa.String(KEY), primary_key=True),
        sa.Column("topic", sa.String(KEY), nullable=False),
        sa.Column("partition", sa.Integer, nullable=False, autoincrement=False),
        *(sa.Column(name, sa.String(WORD), nullable=False) for name in words),
        *(sa.Column(name, sa.String(KEY), nullable=False) for name in keys),
        sa.Column("reason", sa.String(TEXT), nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False, autoincrement=False) for name in numbers),
        if_not_exists=True,
    )
    op.create_index("ix_index_letters_business_key", "index_letters", ["business_key"], if_not_exists=True)
    op.create_table(
        "index_closings",
        sa.Column("dead_letter_id", sa.String(KEY), primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("receipt_id", sa.String(KEY), nullable=False),
        sa.Column("outcome", sa.String(WORD), nullable=False),
        if_not_exists=True,
    )


def _make_xref(op: Operations) -> None:
    op.create_table(
        "index_xref",
        sa.Column("connection", sa.String(WORD), primary_key=True),
        sa.Column("operation", sa.String(WORD), primary_key=True),
        sa.Column("effect_key", sa.String(KEY), primary_key=True),
        sa.Column("external_id", sa.String(KEY), primary_key=True),
        sa.Column("business_key", sa.String(KEY), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_index("ix_index_xref_external_id", "index_xref", ["external_id"], if_not_exists=True)
    op.create_index("ix_index_xref_business_key", "index_xref", ["business_key"], if_not_exists=True)
