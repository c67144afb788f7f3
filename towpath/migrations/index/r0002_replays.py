"""The newest replay of each dead letter; those that were sent before this revision are not read again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0002"
down_revision = "0001"

KEY = 300


def upgrade(op: Operations) -> None:
    """Make the table."""
    op.create_table(
        "index_replays",
        sa.Column("dead_letter_id", sa.String(KEY), primary_key=True),
        sa.Column("topic", sa.String(KEY), nullable=False),
        sa.Column("partition", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("offset", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("replays", sa.BigInteger, nullable=False),
    )
