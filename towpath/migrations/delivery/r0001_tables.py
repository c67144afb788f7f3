"""The tables as they were before there were migrations; a database that has them keeps them, and what they hold."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0001"
down_revision = None


def upgrade(op: Operations) -> None:
    """Make what is missing."""
    op.create_table(
        "effects",
        sa.Column("connection", sa.String(40), primary_key=True),
        sa.Column("operation", sa.String(40), primary_key=True),
        sa.Column("effect_key", sa.String(300), primary_key=True),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("owner", sa.String(40), nullable=False),
        sa.Column("external_id", sa.String(200), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("dead_letters", sa.Text, nullable=False),
        sa.Column("leased_until", sa.Float, nullable=False),
        sa.Column("settled_at", sa.Float, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
        sa.Column("major", sa.BigInteger),
        sa.Column("minor", sa.BigInteger),
        sa.Column("external_at", sa.Float),
        if_not_exists=True,
    )
    op.create_index("effects_by_external_id", "effects", ["connection", "operation", "external_id"], if_not_exists=True)
    _make_parked(op)
    _make_those_of_connections(op)


def _make_parked(op: Operations) -> None:
    op.create_table(
        "parked",
        sa.Column("dead_letter_id", sa.String(40), primary_key=True),
        sa.Column("connection", sa.String(40), nullable=False),
        sa.Column("topic", sa.String(80), nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("awaits", sa.String(400), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("retry_at", sa.Float, nullable=False),
        if_not_exists=True,
    )
    op.create_index("parked_by_time", "parked", ["connection", "retry_at"], if_not_exists=True)
    op.create_index("parked_by_awaited", "parked", ["connection", "awaits"], if_not_exists=True)


def _make_those_of_connections(op: Operations) -> None:
    op.create_table(
        "cursors",
        sa.Column("connection", sa.String(40), primary_key=True),
        sa.Column("entity", sa.String(40), primary_key=True),
        sa.Column("began", sa.BigInteger, nullable=False),
        sa.Column("cursor", sa.BigInteger, nullable=False),
        sa.Column("unfinished", sa.Text, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "budgets",
        sa.Column("connection", sa.String(40), primary_key=True),
        sa.Column("tokens", sa.Float, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("paused_until", sa.Float, nullable=False),
        sa.Column("answered_at", sa.Float, nullable=False),
        sa.Column("down_since", sa.Float),
        sa.Column("probe_at", sa.Float, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "tokens",
        sa.Column("connection", sa.String(40), primary_key=True),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("refresh_at", sa.Float),
        sa.Column("expires_at", sa.Float),
        sa.Column("holder", sa.String(32), nullable=False),
        sa.Column("lease_until", sa.Float, nullable=False),
        if_not_exists=True,
    )
