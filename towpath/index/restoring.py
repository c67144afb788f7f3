"""What is parked is tried again by rows beside the effect ledger; where those were lost, they are made anew from what the topics hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from towpath.clock import SystemClock
from towpath.config import Config
from towpath.delivery.database import open_engine
from towpath.delivery.deadletters import PARKED
from towpath.delivery.parking import Parked, Parking
from towpath.events import micros
from towpath.index.indexer import Indexer
from towpath.index.queries import still_open, with_closings
from towpath.index.tables import letters
from towpath.startup import in_daemon

SETTLED: Final = timedelta(hours=1)
"""What parked later may only be about to get its row."""
AT_ONCE: Final = 1_000


async def restore_parked(config: Config, indexer: Indexer, settled: timedelta = SETTLED) -> int:
    """Have the open parked records that have no row, as after a database was lost, tried again by the clock; return how many those were.

    Raises RetryableError where a database does not answer.
    """
    found = await in_daemon(lambda: _parked(config, indexer, datetime.now(UTC) - settled))
    if not found:
        return 0
    engine = await in_daemon(lambda: open_engine(config.database_url()))
    parking = await in_daemon(lambda: Parking(engine, SystemClock(), timedelta(seconds=config.defaults.park_retry_seconds)))
    try:
        return sum([await parking.restore(found[first : first + AT_ONCE]) for first in range(0, len(found), AT_ONCE)])
    finally:
        await parking.close()


def _parked(config: Config, indexer: Indexer, before: datetime) -> list[tuple[str, Parked]]:
    """Return what has been parked since before then, with its connection; one that no connection of ours has is not ours to try."""
    columns = (letters.c.connection, letters.c.dead_letter_id, letters.c.topic, letters.c.partition, letters.c.offset)
    wanted = sa.select(*columns).select_from(with_closings)
    conditions = (still_open, letters.c.state == PARKED, letters.c.last_at < micros(before), letters.c.connection.in_(list(config.here)))
    with indexer.transaction() as connection:
        return [(row.connection, Parked(*row[1:])) for row in connection.execute(wanted.where(*conditions))]
