"""Keeping rows and positions together: each batch is one transaction, which counts only where nobody else was quicker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy import Connection

from towpath.errors import RetryableError
from towpath.index.rows import Rows
from towpath.index.tables import about, closings, letters, metadata, positions, put, replays, steps, xref
from towpath.topic_reader import Extent, Place

_log = structlog.get_logger(__name__)

FORGOTTEN_AT_ONCE = 5_000


def same_cluster(connection: Connection, cluster_id: str) -> bool:
    """Note which cluster this is; where the index was of another one, it is emptied and False returned."""
    put(connection, about, [{"name": "cluster", "value": cluster_id}])
    known = connection.execute(sa.select(about.c.value).where(about.c.name == "cluster")).scalar_one()
    if known == cluster_id:
        return True
    for table in metadata.sorted_tables:
        if table is not about:
            connection.execute(sa.delete(table))
    connection.execute(sa.update(about).where(about.c.name == "cluster").values(value=cluster_id))
    _log.warning("the index was of another Kafka cluster and is built anew", found=known, now=cluster_id)
    return False


def aligned(connection: Connection, extents: Mapping[Place, Extent]) -> dict[Place, int]:
    """Return where to go on at each place, after the index was brought in line with what the topics still hold.

    A place that is new starts at its beginning. One that was made anew, or ends before where we were, is forgotten and starts again. What
    retention took from the topic is taken from here, too.
    """
    known = {Place(row.topic, row.partition): row for row in connection.execute(sa.select(positions))}
    found = {}
    for place, extent in extents.items():
        row = known.get(place)
        if row is not None and (row.topic_id != extent.topic_id or row.next > extent.high):
            _log.warning("the topic was made anew or cut off, and is read again", topic=place.topic, partition=place.partition)
            connection.execute(sa.delete(positions).where(*_at(positions, place)))
            _forget_below(connection, place)
            row = None
        if row is None:
            put(connection, positions, [{**place._asdict(), "topic_id": extent.topic_id, "low": extent.low, "next": extent.low}])
        elif row.low < extent.low:
            _truncated(connection, place, row, extent.low)
        found[place] = extent.low if row is None else max(row.next, extent.low)
    return found


def _truncated(connection: Connection, place: Place, row: sa.Row[Any], low: int) -> None:
    if row.next < low:
        _log.warning("records were deleted before they were indexed", topic=place.topic, partition=place.partition, records=low - row.next)
    connection.execute(sa.update(positions).where(*_at(positions, place)).values(low=low, next=max(row.next, low)))
    _forget_below(connection, place, low)


def _forget_below(connection: Connection, place: Place, low: int | None = None) -> None:
    for table in (steps, letters, replays):
        below = () if low is None else (table.c.offset < low,)
        connection.execute(sa.delete(table).where(*_at(table, place), *below))


def advance(connection: Connection, before: Mapping[Place, int], after: Mapping[Place, int]) -> dict[Place, int]:
    """Move the positions from `before` to `after` and return {}; for places that another process has moved meanwhile, return where they stand.

    Raises RetryableError where the index was emptied meanwhile.
    """
    elsewhere = {}
    for place, offset in sorted(after.items()):
        moved = sa.update(positions).where(*_at(positions, place), positions.c.next == before[place]).values(next=offset)
        if connection.execute(moved).rowcount == 0:
            stands = connection.execute(sa.select(positions.c.next).where(*_at(positions, place))).scalar()
            if stands is None:
                raise RetryableError(f"the index was emptied while {place.topic} was read into it")
            elsewhere[place] = stands
    return elsewhere


def store(connection: Connection, rows: Rows) -> None:
    """Insert the rows; those that are there already change nothing."""
    put(connection, steps, rows.steps)
    put(connection, letters, rows.letters, newest=(letters.c.last_at, letters.c.topic, letters.c.partition, letters.c.offset))
    put(connection, closings, rows.closings, newest=(closings.c.at, closings.c.receipt_id))
    newest = (replays.c.replays, replays.c.attempts, replays.c.at, replays.c.topic, replays.c.partition, replays.c.offset)
    put(connection, replays, rows.replays, newest=newest)
    put(connection, xref, rows.xref, newest=(xref.c.at,))


def forget_before(connection: Connection, at: int) -> int:
    """Remove the oldest cross-references and closings of dead letters that are gone, from before `at`; return how many, FORGOTTEN_AT_ONCE at most."""
    gone = closings.c.dead_letter_id.not_in(sa.select(letters.c.dead_letter_id))
    removed = 0
    for table, conditions in ((xref, (xref.c.at < at,)), (closings, (closings.c.at < at, gone))):
        key = sa.tuple_(*table.primary_key)
        oldest = sa.select(*table.primary_key).where(*conditions).limit(FORGOTTEN_AT_ONCE - removed)
        removed += connection.execute(sa.delete(table).where(key.in_(oldest))).rowcount
    return removed


def _at(table: sa.Table, place: Place) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return table.c.topic == place.topic, table.c.partition == place.partition
