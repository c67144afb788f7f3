"""Reads of single ids, gathered into sets: a burst of webhooks would spend the 200 requests of a minute one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from towpath.delivery.budget import Priority
from towpath.errors import DataError
from towpath.http import ApiClient
from towpath.systems.brightpearl import LARGEST_SET, sets_of

GATHER_SECONDS: Final = 0.02
"""How long the first of a set waits for others."""


class Read(NamedTuple):
    """One entity as it was read: its JSON text, None where it does not exist, and when that was by the system's own clock."""

    text: str | None
    at: datetime | None


class Kind(NamedTuple):
    """A path that takes a set of ids in the place of `{}`, and what finds each id's text in the answer's."""

    path: str
    found: Callable[[str], Mapping[int, str]]


class Batches:
    """Gathers what is asked for at nearly the same time of one connection and kind."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], dict[int, asyncio.Future[Read]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def read(self, api: ApiClient, kind: Kind, one: int) -> Read:
        """Return what the system says of an id; raises RetryableError, or DataError where it refuses that id."""
        key = (api.name, kind.path)
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = {}
            task = asyncio.create_task(self._serve(api, kind, key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if one not in waiting:
            waiting[one] = asyncio.get_running_loop().create_future()
        found, ids = waiting[one], len(waiting)
        if ids >= LARGEST_SET:
            self._waiting.pop(key, None)
        return await asyncio.shield(found)

    async def _serve(self, api: ApiClient, kind: Kind, key: tuple[str, str]) -> None:
        waiting = self._waiting[key]
        await api.gate.clock.sleep(GATHER_SECONDS)
        if self._waiting.get(key) is waiting:
            del self._waiting[key]
        await self._read(api, kind, waiting)

    async def _read(self, api: ApiClient, kind: Kind, waiting: Mapping[int, asyncio.Future[Read]]) -> None:
        (ids,) = sets_of(list(waiting))
        view = api.at(Priority.STOCK)
        try:
            answer = await view.get(kind.path.format(ids))
            found = {} if answer.status == 404 else kind.found(answer.text)  # noqa: PLR2004 - not found: none of them
        except DataError as error:
            if len(waiting) > 1:  # one of them may be at fault
                for one, future in waiting.items():
                    await self._read(api, kind, {one: future})
                return
            _fail(waiting, error)
            return
        except Exception as error:  # noqa: BLE001 - each who waits is told
            _fail(waiting, error)
            return
        for one, future in waiting.items():
            if not future.done():
                future.set_result(Read(found.get(one), view.source_time))


def _fail(waiting: Mapping[int, asyncio.Future[Read]], error: Exception) -> None:
    for future in waiting.values():
        if not future.done():
            future.set_exception(error)
            future.exception()  # who waited may be gone
