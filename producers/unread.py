"""What could not be read of a source, noted by entity: a later reading of the same entity ends it, as nothing but a replay or a discard would.

What tells of an entity by itself ends nothing: a webhook that carries its content may be older than what failed, or say something else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime
from typing import Final

from producers.base import PART, READING
from towpath.delivery.books import Draft
from towpath.delivery.ledger import Effect, Ledger
from towpath.records import LONGEST_OFFSET, Record

OPERATION: Final = "read"
"""Stands in the ledger for what the adapter does with an entity; it is never done there, for it is done again and again."""
LONGEST_NAME: Final = 300
"""One as long as this may have been cut off, and so be another's as well."""
REPLACED: Final = "\ufffd"


class Unread:
    """The dead letters and parked records of one connection's inbox, in the ledger; the database is asked only for entities that have some.

    All records of an entity come to one partition, and so to one process, which knows what it noted itself; `moved` has it read in what others
    noted before.
    """

    def __init__(self, connection: str, ledger: Ledger) -> None:
        self._connection, self._ledger = connection, ledger
        self._noted: set[str] = set()
        self._moves, self._read_in, self._reading = 1, 0, asyncio.Lock()

    def moved(self) -> None:
        """Take notice that partitions came here."""
        self._moves += 1

    async def blame(self, record: Record, draft: Draft) -> None:
        """Note what is about to be given up, where it is known of which entity it tells."""
        if name := _name(record):
            read_for = _read_for(record)
            version = (record.origin if read_for is None else read_for, 0)
            await self._ledger.blame(self._effect(name), draft.dead_letter_id, version, at=draft.last_at)
            self._noted.add(name)

    async def ended(self, record: Record) -> dict[str, datetime]:
        """Return what ends as this record is done, each with when it failed last: what it is a replay of, and what an older reading was told for."""
        closes = {} if record.replay is None else record.replay.closes
        await self._know()
        if not self._noted or (read_for := _read_for(record)) is None or (name := _name(record)) not in self._noted:
            return closes
        noted = await self._ledger.peek(self._effect(name))
        return closes if noted is None else closes | noted.closed_by((read_for, 0))

    async def forgive(self, record: Record, ended: Collection[str]) -> None:
        """Note that it was told that these have ended."""
        if (name := _name(record)) not in self._noted:
            return
        await self._ledger.forgive(self._effect(name), ended)
        noted = await self._ledger.peek(self._effect(name))
        if noted is None or not noted.dead_letters:
            self._noted.discard(name)

    async def _know(self) -> None:
        """Read in what others noted, where partitions came here since that was done last."""
        if self._read_in == self._moves:
            return
        async with self._reading:
            if self._read_in != (moves := self._moves):
                self._noted |= await self._ledger.blamed(self._connection, OPERATION)
                self._read_in = moves

    def _effect(self, name: str) -> Effect:
        return Effect(self._connection, OPERATION, name)


def _name(record: Record) -> str:
    """Return the entity, or the part of one, that a record of the inbox tells of; empty where its key names none, or no database could hold it."""
    key, part = (record.key or b"").decode("utf-8", "replace"), record.header(PART)
    name = f"{part} {key}" if part else key
    return name if key.partition("/")[2] and name.isprintable() and REPLACED not in name and len(name) < LONGEST_NAME else ""


def _read_for(record: Record) -> int | None:
    """Return the offset of the record for which an entity was read; None where this is no reading."""
    text = record.header(READING) or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < LONGEST_OFFSET else None
