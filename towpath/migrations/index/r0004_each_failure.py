"""Each failure that others wrote is a dead letter of its own now: what was read of their topics goes, and is read again where they are named."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0004"
down_revision = "0003"

FOREIGN = ("connect", "spring", "other")


def upgrade(op: Operations) -> None:
    """Forget those topics."""
    database = op.get_bind()
    letters = sa.table("index_letters", sa.column("topic"), sa.column("hop"))
    topics = list(database.execute(sa.select(letters.c.topic).where(letters.c.hop.in_(FOREIGN)).distinct()).scalars())
    for name in ("index_letters", "index_steps", "index_positions"):
        table = sa.table(name, sa.column("topic"))
        database.execute(sa.delete(table).where(table.c.topic.in_(topics)))
