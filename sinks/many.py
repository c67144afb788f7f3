"""Writes of many deliveries in one call, where the target has such a call: each delivery has an outcome of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from towpath.delivery.gate import Gate
from towpath.errors import DataError, FencedError
from towpath.http import ApiClient

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Asked(Generic[T]):
    """What one delivery asks to be written, and where it waits."""

    api: ApiClient
    item: T
    done: asyncio.Future[None]


@dataclass(slots=True, eq=False)
class _Queue(Generic[T]):
    """What waits at one connection; `sending` while there is a call under way."""

    waiting: list[_Asked[T]] = field(default_factory=list)
    sending: asyncio.Task[None] | None = None


class Many(Generic[T]):
    """Joins what is asked while a call is under way into the next one, at most `most` at once, so that nobody waits for others to come.

    A batch that is refused is halved until what is refused stands alone: its delivery alone hears of it, and so does the one that another process
    owns now. A call that failed, or whose outcome nobody knows, is so for all in it; so what is written must bear being written again.
    """

    def __init__(self, write_many: Callable[[ApiClient, Sequence[T]], Awaitable[None]], most: int) -> None:
        self._write_many, self._most = write_many, most
        self._queues: WeakKeyDictionary[Gate, _Queue[T]] = WeakKeyDictionary()

    async def write(self, api: ApiClient, item: T) -> None:
        """Return once the item is written, maybe together with others of the connection; raises what that call did."""
        queue = self._queues.setdefault(api.gate, _Queue())
        asked = _Asked(api, item, asyncio.get_running_loop().create_future())
        queue.waiting.append(asked)
        if queue.sending is None or queue.sending.done():
            queue.sending = asyncio.create_task(self._send(queue), name=f"many of {api.name}")
        await asked.done

    async def _send(self, queue: _Queue[T]) -> None:
        while queue.waiting:
            batch, queue.waiting = queue.waiting[: self._most], queue.waiting[self._most :]
            await self._write([asked for asked in batch if not asked.done.done()])

    async def _write(self, batch: Sequence[_Asked[T]]) -> None:
        if not batch:
            return

        async def fence() -> None:
            for asked in batch:
                await asked.api.check_fence()

        try:
            await self._write_many(batch[0].api.fenced(fence), [asked.item for asked in batch])
        except (DataError, FencedError) as error:
            if len(batch) > 1:
                await self._write(batch[: len(batch) // 2])
                await self._write(batch[len(batch) // 2 :])
            else:
                _tell(batch, error)
        except BaseException as error:
            _tell(batch, error)
            if not isinstance(error, Exception):
                raise
        else:
            _tell(batch, None)


def _tell(batch: Sequence[_Asked[T]], error: BaseException | None) -> None:
    for asked in batch:
        if asked.done.done():  # its delivery went to another process meanwhile
            continue
        if error is None:
            asked.done.set_result(None)
        elif isinstance(error, asyncio.CancelledError):
            asked.done.cancel()
        else:
            asked.done.set_exception(error)
