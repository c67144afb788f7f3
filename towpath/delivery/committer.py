"""One database thread that runs many small transactions as few: each caller waits for the commit that holds its work."""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

from towpath.errors import RetryableError

T = TypeVar("T")
Part = TypeVar("Part")
Work = Callable[[Connection, Sequence[Any]], Sequence[Any]]
MOST_AT_ONCE = 256


class _Asked(NamedTuple):
    """One part of a piece of work, and who waits for it."""

    work: Work
    part: Any
    future: asyncio.Future[Any]


class GroupCommitter:
    """Runs functions of a database connection in one thread, those that wait together in one transaction (a grouped commit)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
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
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(_Asked(work, part, future))
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

    def _commit(self, batch: list[_Asked], *, again: bool = True) -> None:
        alike: dict[Work, list[_Asked]] = {}
        for one in batch:
            alike.setdefault(one.work, []).append(one)
        try:
            with self._engine.begin() as connection:
                results = [work(connection, [one.part for one in asked]) for work, asked in alike.items()]
        except Exception as error:  # noqa: BLE001 - whatever one piece of work raises must neither end the thread nor harm the others
            if again and not _is_everyones(error):  # each for itself, and once more: another process may have inserted the same row just now
                for one in batch:
                    self._commit([one], again=len(batch) > 1)
                return
            told = _retryable(error) if isinstance(error, SQLAlchemyError) else error
            _tell([(one.future, None, told) for one in batch])
            return
        told_to = [one.future for asked in alike.values() for one in asked]
        _tell([(future, result, None) for future, result in zip(told_to, itertools.chain(*results), strict=True)])


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
