"""One database thread that runs many small transactions as few: each caller waits for the commit that holds its work."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

from towpath.errors import RetryableError

T = TypeVar("T")
Work = Callable[[Connection], Any]
MOST_AT_ONCE = 256


class GroupCommitter:
    """Runs functions of a database connection in one thread, those that wait together in one transaction (a grouped commit)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: queue.SimpleQueue[tuple[Work, asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="database", daemon=True)
        self._started = False

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` returned, after its transaction was committed; raises RetryableError when the database failed."""
        if not self._started:
            self._started = True
            self._thread.start()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put((work, future))
        return await future

    async def close(self) -> None:
        """Finish what waits and end the thread."""
        if self._started:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
        self._engine.dispose()

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

    def _commit(self, batch: list[tuple[Work, asyncio.Future[Any]]], *, again: bool = True) -> None:
        try:
            with self._engine.begin() as connection:
                results = [work(connection) for work, _ in batch]
        except Exception as error:  # noqa: BLE001 - whatever one piece of work raises must neither end the thread nor harm the others
            if again and not _is_everyones(error):  # each for itself, and once more: another process may have inserted the same row just now
                for one in batch:
                    self._commit([one], again=len(batch) > 1)
                return
            told = _retryable(error) if isinstance(error, SQLAlchemyError) else error
            _tell([(future, None, told) for _, future in batch])
            return
        _tell([(future, result, None) for (_, future), result in zip(batch, results, strict=True)])


def _is_everyones(error: Exception) -> bool:
    """Tell whether the database as a whole failed; a deadlock (40P01) is only of the rows that happened to be taken together."""
    return isinstance(error, OperationalError | InterfaceError) and not str(getattr(error.orig, "sqlstate", "")).startswith("40")


def _retryable(error: SQLAlchemyError) -> RetryableError:
    return RetryableError(f"database: {type(error).__name__}: {str(error.__cause__ or error).splitlines()[0]}")


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
