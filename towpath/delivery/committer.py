"""One database thread that runs many small transactions as few: each caller waits for the commit that holds its work."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import structlog
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

from towpath.delivery.database import reason_of
from towpath.errors import RetryableError

log = structlog.get_logger(__name__)

T = TypeVar("T")
Part = TypeVar("Part")
Work = Callable[[Connection, Sequence[Any]], Sequence[Any]]
MOST_AT_ONCE = 256
STUCK_SECONDS = 30.0
"""A transaction takes milliseconds; one that waits for another's row, as long as that one takes."""
WAITED: Final = "SET LOCAL lock_timeout = '100ms'"
LOCKED, READ_ONLY, STOOD_STILL = "55P03", "25006", "25P03"
"""SQLSTATEs: a row was not let go in time; the server is a standby now; it ended who stood still in mid-transaction."""


class _Asked(NamedTuple):
    """One part of a piece of work, and who waits for it."""

    work: Work
    part: Any
    future: asyncio.Future[Any]


class GroupCommitter:
    """Runs functions of a database connection in one thread, those that wait together in one transaction (a grouped commit).

    A PostgreSQL that keeps its connection and does not answer (a middlebox may acknowledge for it, which libpq takes for life) is given up
    after `STUCK_SECONDS`: the connection is cut, so the thread hears of it as of any that broke, and takes another. No thread is left
    behind that could write later. The transaction whose answer is missing is rolled back, or was committed at the server, as wherever a
    connection breaks at its commit. That does no harm, since whoever is told of a failure asks again: a claim of ours that stands is ours
    once it has settled, and is looked up first; a `complete` with a version that stands is fenced, and what stands is found; all others write
    again what stands.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._began: float | None = None
        self._connection: Any = None
        self._watch: asyncio.TimerHandle | None = None
        if engine.dialect.name == "postgresql":
            event.listen(engine, "connect", self._connected)
        self._queue: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="database", daemon=True)
        self._started = False

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` returned, after its transaction was committed; raises RetryableError when the database failed."""
        return await self.join(lambda connection, _parts: [work(connection)], None)

    async def join(self, work: Callable[[Connection, Sequence[Part]], Sequence[T]], part: Part) -> T:
        """Return what `work` returned for this part, as `run` does; it is called once for all parts that wait for the same commit.

        It returns something for each of them, in their order: a few statements for all of them cost much less than a few for each.
        """
        if not self._started:
            self._started = True
            self._thread.start()
            if self._engine.dialect.name == "postgresql":
                self._look(asyncio.get_running_loop())
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(_Asked(work, part, future))
        return await future

    async def close(self) -> None:
        """Finish what waits and end the thread."""
        if self._started:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
        if self._watch is not None:
            self._watch.cancel()
        self._engine.dispose()

    def _connected(self, connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own
        self._connection, self._began = connection, time.monotonic()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cut the connection where the database has not answered for too long, and look again soon, whatever becomes of that."""
        self._watch = loop.call_later(STUCK_SECONDS / 6, self._look, loop)
        began, connection = self._began, self._connection
        if began is not None and connection is not None and not connection.closed and time.monotonic() - began > STUCK_SECONDS:
            log.warning("the database does not answer: its connection is cut", seconds=STUCK_SECONDS)
            with contextlib.suppress(OSError, self._engine.dialect.loaded_dbapi.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, more = [first], True
            while more and len(batch) < MOST_AT_ONCE and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    self._queue.put(None)
                    more = False
                else:
                    batch.append(following)
            self._commit(batch)
            self._began = None

    def _commit(self, batch: list[_Asked], *, again: bool = True, waited: bool = False) -> None:
        alike: dict[Work, list[_Asked]] = {}
        for one in batch:
            alike.setdefault(one.work, []).append(one)
        self._began = time.monotonic()
        try:
            with self._engine.begin() as connection:
                if waited:
                    connection.exec_driver_sql(WAITED)
                results = [work(connection, [one.part for one in asked]) for work, asked in alike.items()]
        except Exception as error:  # noqa: BLE001 - whatever one piece of work raises must neither end the thread nor harm the others
            if _sqlstate(error) == READ_ONLY:
                self._engine.dispose()  # the next connection may be to the server that took its place
            if again and not _is_everyones(error):  # each for itself, and once more: another process may have inserted the same row just now
                waited = _sqlstate(error) == LOCKED  # who waits for a row that is not let go holds up all others: from now on hardly at all
                for one in batch:
                    self._commit([one], again=len(batch) > 1 and not waited, waited=waited)
                return
            told = _retryable(error) if isinstance(error, SQLAlchemyError) else error
            _tell([(one.future, None, told) for one in batch])
            return
        told_to = [one.future for asked in alike.values() for one in asked]
        _tell([(future, result, None) for future, result in zip(told_to, itertools.chain(*results), strict=True)])


def _is_everyones(error: Exception) -> bool:
    """Tell whether the database as a whole failed, which blames no record; a deadlock (40P01), or a lock not let go, is of its rows alone."""
    state = _sqlstate(error)
    return state in {READ_ONLY, STOOD_STILL} or (isinstance(error, OperationalError | InterfaceError) and not state.startswith(("40", LOCKED)))


def _sqlstate(error: Exception) -> str:
    return str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")


def _retryable(error: SQLAlchemyError) -> RetryableError:
    return RetryableError(f"database: {type(error).__name__}: {reason_of(error)}", system_wide=_is_everyones(error))


def _tell(outcomes: list[tuple[asyncio.Future[Any], object, Exception | None]]) -> None:
    """Settle the futures of one commit, which are of one loop, with one call into it."""

    def settle() -> None:
        for future, result, error in outcomes:
            if future.cancelled():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

    outcomes[0][0].get_loop().call_soon_threadsafe(settle)
