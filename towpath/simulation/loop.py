"""An asyncio event loop for one played process: it keeps the order of calls, as asyncio promises, and lives in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from towpath.simulation.process import Process


class Handle:
    """A call that a loop is to make."""

    __slots__ = ("args", "at", "call", "context", "gone")

    def __init__(self, call: Callable[..., object], args: tuple[Any, ...], context: contextvars.Context | None, at: float = 0.0) -> None:
        self.call, self.args, self.at, self.gone = call, args, at, False
        self.context = context if context is not None else contextvars.copy_context()

    def cancel(self) -> None:
        """Have it not made."""
        self.gone = True

    def cancelled(self) -> bool:
        """Tell whether it was cancelled."""
        return self.gone

    def when(self) -> float:
        """Return when it is to be made."""
        return self.at


class ProcessLoop(asyncio.AbstractEventLoop):
    """What asyncio's own classes want of a loop, and no more."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.calls: deque[Handle] = deque()
        self.tasks: set[asyncio.Task[Any]] = set()
        self.errors: list[dict[str, Any]] = []

    def call_soon(self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None) -> Handle:  # type: ignore[override]  # noqa: ANN401
        """Call something in its turn."""
        handle = Handle(callback, args, context)
        self._put(handle)
        return handle

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None) -> Handle:  # type: ignore[override]  # noqa: ANN401
        """Call something in its turn; a thread of the process that asks goes on once the loop has done what follows from it."""
        handle = self.call_soon(callback, *args, context=context)
        self.process.yield_to_loop()
        return handle

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None) -> Handle:  # type: ignore[override]  # noqa: ANN401
        """Call something after so many seconds."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None) -> Handle:  # type: ignore[override]  # noqa: ANN401
        """Call something at a time of this loop."""
        handle = Handle(callback, args, context, when)
        self.process.world.after(when - self.time(), lambda: None if handle.gone else self._put(handle))
        return handle

    def time(self) -> float:
        """Return the seconds of the world."""
        return self.process.world.now

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], *, name: object = None, context: contextvars.Context | None = None) -> asyncio.Task[Any]:  # type: ignore[override]
        """Return a task of this loop."""
        task = asyncio.Task(coro, loop=self, name=str(name or "task"), context=context)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def run_in_executor(self, executor: object, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]  # noqa: ANN401, ARG002
        """Return the result of a call that a thread of the process makes."""
        future = self.create_future()
        self.process.work(lambda: func(*args), future)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what went wrong in a callback."""
        self.errors.append(context)

    def get_debug(self) -> bool:
        """Tell that it is not to be watched."""
        return False

    def is_running(self) -> bool:
        """Tell that it runs, as it does whenever anybody asks."""
        return True

    def is_closed(self) -> bool:
        """Tell whether the process is gone."""
        return self.process.dead

    def step(self) -> None:
        """Make the next call."""
        handle = self.calls.popleft()
        if handle.gone:
            return
        events._set_running_loop(self)  # noqa: SLF001 - as every loop does
        try:
            handle.context.run(handle.call, *handle.args)
        except Exception as error:  # noqa: BLE001 - as every loop does
            self.call_exception_handler({"message": "a callback raised", "exception": error})
        finally:
            events._set_running_loop(None)  # noqa: SLF001

    def abandon(self) -> None:
        """Let go of all tasks of a process that is gone, which had no time to end."""
        self.calls.clear()
        for task in list(self.tasks):
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - it was pending when the process died
            coroutine: Any = task.get_coro()
            with contextlib.suppress(BaseException):
                coroutine.close()
        self.tasks.clear()

    def _put(self, handle: Handle) -> None:
        self.calls.append(handle)
        if len(self.calls) == 1:
            self.process.wake()
