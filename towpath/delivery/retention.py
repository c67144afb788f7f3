"""What is known of finished effects is kept for so long and no longer; what is unfinished stays whatever its age."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final

import sqlalchemy as sa
import structlog
from sqlalchemy import Connection, Engine

from towpath.clock import Clock
from towpath.delivery.claims import State
from towpath.delivery.committer import GroupCommitter
from towpath.delivery.ledger import effects
from towpath.errors import RetryableError

log = structlog.get_logger(__name__)

EVERY_SECONDS: Final = 6 * 3600.0
PAGE: Final = 2_000
PAUSE_SECONDS: Final = 0.05
"""After each page, so that whoever delivers is not held up: an index by age would cost every effect two more writes."""
PLACE: Final = (effects.c.connection, effects.c.operation, effects.c.effect_key)
Place = tuple[str, str, str]
FIRST: Final[Place] = ("", "", "")


class Sweeper:
    """Removes what was last touched longer ago than `keep`; any number of processes may do so at the same time."""

    def __init__(self, engine: Engine, clock: Clock, keep: timedelta) -> None:
        self._database, self._clock, self._keep = GroupCommitter(engine), clock, keep

    async def run(self, stop: asyncio.Event) -> None:
        """Sweep every few hours until `stop` is set; what fails now is done another time."""
        while not stop.is_set():
            try:
                if removed := await self.sweep(stop.is_set):
                    log.info("finished effects were forgotten", effects=removed, older_than_days=self._keep.days)
            except RetryableError as error:
                log.warning("forgetting finished effects", reason=str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY_SECONDS)

    async def sweep(self, ended: Callable[[], bool] = lambda: False) -> int:
        """Go through the whole ledger, page by page, until `ended()`; return how many rows were removed."""
        before, place, removed = (self._clock.now() - self._keep).timestamp(), FIRST, 0
        while not ended():
            gone, last = await self._database.run(partial(_remove, after=place, before=before))
            removed += gone
            if last is None:
                break
            place = last
            await self._clock.sleep(PAUSE_SECONDS)
        return removed

    async def close(self) -> None:
        """Leave the database."""
        await self._database.close()


def _remove(database: Connection, after: Place, before: float) -> tuple[int, Place | None]:
    """Remove what is finished and old of the page behind `after`; return how many rows that was, and where the page ended, None where all ended."""
    wanted = sa.select(*PLACE, effects.c.state, effects.c.updated_at).where(sa.tuple_(*PLACE) > sa.tuple_(*map(sa.literal, after)))
    rows = database.execute(wanted.order_by(*PLACE).limit(PAGE)).all()
    old = [row for row in rows if row.state != State.PENDING and row.updated_at < before]
    gone = 0
    for row in old:
        is_it = [column == value for column, value in zip(PLACE, row, strict=False)]
        still = (effects.c.state != State.PENDING, effects.c.updated_at < before)  # nobody has begun it anew meanwhile
        gone += database.execute(sa.delete(effects).where(*is_it, *still)).rowcount
    return gone, (rows[-1].connection, rows[-1].operation, rows[-1].effect_key) if len(rows) == PAGE else None
