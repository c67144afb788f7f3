"""Why a dead letter was closed, and by whom; the receipts that were read before this revision are not read again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0003"
down_revision = "0002"

TEXT = 600


def upgrade(op: Operations) -> None:
    """Make the column."""
    op.add_column("index_closings", sa.Column("reason", sa.String(TEXT), nullable=False, server_default=""))
