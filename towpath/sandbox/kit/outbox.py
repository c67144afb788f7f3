"""Webhooks that wait to be sent: written with the change they tell of, kept until the receiver said 2xx."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import dataclass
from typing import Any, Final

from towpath.sandbox.kit.clock import Clock, stamp
from towpath.sandbox.kit.faults import Faults
from towpath.sandbox.kit.store import Store

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS webhook (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, body TEXT NOT NULL, created_at TEXT NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, accepted INTEGER NOT NULL DEFAULT 0, copies INTEGER NOT NULL, max_attempts INTEGER,
    next_at REAL NOT NULL, last_status INTEGER, delivered_at TEXT);
CREATE INDEX IF NOT EXISTS webhook_due ON webhook (next_at) WHERE state = 'pending';
"""
COLUMNS: Final = "seq, id, type, body, created_at, state, attempts, accepted, copies, max_attempts, last_status, delivered_at"


@dataclass(frozen=True, slots=True)
class Due:
    """One webhook whose time has come; `failures` are its tries that were not accepted."""

    id: str
    body: str
    attempts: int
    accepted: int
    copies: int
    max_attempts: int | None


class Outbox:
    """The queue on disk; `wake` is set whenever something new waits."""

    def __init__(self, store: Store, clock: Clock, faults: Faults) -> None:
        self._store, self._clock, self._faults = store, clock, faults
        self._store.db.executescript(SCHEMA)
        self.wake = asyncio.Event()
        self.enabled = False

    def emit(self, kind: str, data: dict[str, Any]) -> str | None:
        """Queue an event in the form all systems of ours share and return its id; None where nobody listens."""
        if not self.enabled:
            return None
        number, moment = f"evt_{uuid.uuid4().hex}", stamp(self._clock.now())
        body = json.dumps({"type": kind, "id": number, "occurredAt": moment, "data": data}, ensure_ascii=False)
        return self.tell(kind, body, number)

    def tell(self, kind: str, body: str, number: str | None = None) -> str:
        """Queue a body in a system's own form, subject to the faults that are dialled, and return the webhook's id."""
        return self.queue(number or f"evt_{uuid.uuid4().hex}", kind, body, copies=self._faults.copies(), delay=self._faults.holdback())

    def queue(self, number: str, kind: str, body: str, *, copies: int = 1, delay: float = 0.0, max_attempts: int | None = None) -> str:
        """Queue a body as it is and return the webhook's id."""
        now = self._clock.now()
        sql = "INSERT INTO webhook (id, type, body, created_at, state, copies, max_attempts, next_at) VALUES (?, ?, ?, ?, 'pending', ?, ?, ?)"
        self._store.db.execute(sql, (number, kind, body, stamp(now), copies, max_attempts, now.timestamp() + delay))
        for fault, struck in (("webhook_duplicate", copies > 1), ("webhook_shuffle", delay > 0)):
            if struck:
                self._store.add(f"fault/{fault}")
        self.wake.set()
        return number

    def due(self, limit: int) -> list[Due]:
        """Return what may be sent now, the longest waiting first."""
        sql = (
            "SELECT id, body, attempts, accepted, copies, max_attempts FROM webhook WHERE state = 'pending' AND next_at <= ? ORDER BY next_at LIMIT ?"
        )
        return [Due(*row) for row in self._store.db.execute(sql, (self._clock.now().timestamp(), limit))]

    def seconds_to_next(self) -> float | None:
        """Return how long until a webhook is due, or None where none waits."""
        (moment,) = self._store.db.execute("SELECT min(next_at) FROM webhook WHERE state = 'pending'").fetchone()
        return None if moment is None else max(0.0, float(moment) - self._clock.now().timestamp())

    def record(self, hook: Due, status: int | None, retry_after: float) -> None:
        """Note one try: accepted, to be repeated, or given up after `max_attempts`."""
        good = status is not None and 200 <= status < 300  # noqa: PLR2004 - 2xx
        accepted, attempts = hook.accepted + good, hook.attempts + 1
        state = "delivered" if accepted >= hook.copies else "given_up" if hook.max_attempts and attempts >= hook.max_attempts else "pending"
        now = self._clock.now()
        sql = """UPDATE webhook SET attempts = ?, accepted = ?, state = ?, last_status = ?, next_at = ?,
            delivered_at = coalesce(delivered_at, ?) WHERE id = ?"""
        next_at = now.timestamp() + (0.0 if good else retry_after)
        self._store.db.execute(sql, (attempts, accepted, state, status, next_at, stamp(now) if good else None, hook.id))

    def rows(self, *, after: int = 0, limit: int = -1) -> list[dict[str, Any]]:
        """Return the webhooks in the order they were queued."""
        cursor = self._store.db.execute(f"SELECT {COLUMNS} FROM webhook WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))  # noqa: S608 - names are ours
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def pending(self) -> int:
        """Return how many are not delivered yet."""
        return int(self._store.db.execute("SELECT count(*) FROM webhook WHERE state = 'pending'").fetchone()[0])
