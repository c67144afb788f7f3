"""A played process: an event loop and threads that live, stand still and die together, and the clock of its machine."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import warnings
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

from towpath.simulation.loop import ProcessLoop
from towpath.simulation.scheduler import Scheduler

STARTS_AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
THREAD_SECONDS = 0.002
"""A thread comes to its turn within so long."""


class World(Scheduler):
    """The world's time, the process that runs now, and the digest of what happened."""

    def __init__(self, seed: int | str) -> None:
        super().__init__(seed)
        self.hub = getcurrent()
        self.running: Process | None = None
        self.processes: list[Process] = []
        self.wall_offset = 0.0
        self._digest = hashlib.blake2b(digest_size=16)
        self.told: list[str] | None = None

    def note(self, what: str, *about: object) -> None:
        """Take something into the digest, and into the story where one is told."""
        line = f"{self.now:.6f} {what} {about!r}"
        self._digest.update(line.encode())
        if self.told is not None:
            self.told.append(line)

    @property
    def digest(self) -> str:
        """Return what stands for all that happened: equal worlds have equal ones."""
        return self._digest.hexdigest()

    def end(self) -> None:
        """Let go of everything."""
        for process in self.processes:
            process.die()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a coroutine that its dead process never began
            for process in self.processes:
                process.bury()


class MachineClock:
    """Keeps `towpath.clock.Clock` for a process; the wall clock of its machine may be set."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> datetime:
        """Return the time, UTC, as the machine has it."""
        return STARTS_AT + timedelta(seconds=self._world.now + self._world.wall_offset)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return self._world.now

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        await asyncio.sleep(seconds)


class Worker:
    """A thread of a process."""

    def __init__(self, process: Process, work: Callable[[], None]) -> None:
        self.process, self.waits = process, 0
        self.thread = greenlet(work, process.world.hub)
        self.joining: list[Worker] = []

    def block(self, seconds: float) -> None:
        """Let this thread, which runs now, wait for so long, or until somebody wakes it."""
        self.waits += 1
        mine = self.waits
        due = self.process.world.after(seconds, lambda: self.resume(mine))
        self._leave()
        due.cancel()

    def wait(self) -> None:
        """Let this thread, which runs now, wait until somebody wakes it."""
        self.waits += 1
        self._leave()

    def wake(self, most: float = THREAD_SECONDS) -> None:
        """Have it go on, within so many seconds."""
        mine = self.waits
        self.process.world.soon(lambda: self.resume(mine), most)

    def resume(self, waits: int) -> None:
        """Have it go on in its turn, unless it has since."""
        if waits == self.waits and not self.process.dead:
            self.waits += 1
            self.process.threads.append(self)
            self.process.wake()

    def _leave(self) -> None:
        if self.process.dead:
            raise GreenletExit
        self.process.world.hub.switch()


class Process:
    """One process: `strike` is called with each of its steps, and may kill it or have it stand still."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.clock = MachineClock(world)
        self.loop = ProcessLoop(self)  # type: ignore[abstract]  # what asyncio asks of it is there
        self.threads: deque[Worker] = deque()
        self.dead = False
        self.stands_until = 0.0
        self.steps = self.acts = 0
        self.strike: Callable[[Process], None] | None = None
        self.on_death: list[Callable[[], object]] = []
        self.on_freeze: list[Callable[[float], object]] = []
        self._workers: list[Worker] = []
        self._by_thread: dict[greenlet, Worker] = {}
        self._yielding: list[Worker] = []
        self._queued = False
        world.processes.append(self)

    @property
    def frozen(self) -> bool:
        """Tell whether it stands still."""
        return self.world.now < self.stands_until

    def act(self, what: str, *about: object) -> None:
        """Note something that the process did to the world: after each, it may die."""
        self.acts += 1
        self.world.note(f"{self.name} {what}", *about)

    def wake(self) -> None:
        """Have it run when it can."""
        if self._queued or self.dead:
            return
        self._queued = True
        if self.frozen:
            self.world.after(self.stands_until - self.world.now, lambda: self.world.ready(self))
        else:
            self.world.ready(self)

    def turn(self) -> bool:
        """Run one step of the loop or of a thread; False when there is none to run now."""
        if not self.dead and self.strike is not None:
            self.strike(self)
        if self.dead:
            return False
        if self.frozen:
            self._queued = False
            self.wake()
            return False
        self.steps += 1
        self.world.running = self
        if self.loop.calls:
            self.loop.step()
        elif self.threads:
            self.threads.popleft().thread.switch()
        self.world.running = None
        if not self.loop.calls and self._yielding:
            self.threads.extend(self._yielding)
            self._yielding.clear()
        self._queued = bool(self.loop.calls or self.threads) and not self.dead
        return self._queued

    def start(self, work: Callable[[], None]) -> Worker:
        """Start a thread."""
        worker = Worker(self, lambda: self._run(worker, work))
        self._workers.append(worker)
        self._by_thread[worker.thread] = worker
        worker.wake()
        return worker

    def work(self, call: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        """Have a thread make a call and settle the future."""

        def run() -> None:
            try:
                result, error = call(), None
            except Exception as raised:  # noqa: BLE001 - told to whoever waits for it
                result, error = None, raised
            self.world.soon(lambda: self.loop.call_soon(_settle, future, result, error), THREAD_SECONDS)

        self.start(run)

    def here(self) -> Worker:
        """Return the thread that runs now."""
        return self._by_thread[getcurrent()]

    def in_thread(self) -> bool:
        """Tell whether one of its threads runs now, and not its loop."""
        return getcurrent() in self._by_thread

    def yield_to_loop(self) -> None:
        """Let the loop run until it has nothing to do, where a thread asks."""
        if not self.in_thread():
            return
        worker = self.here()
        self._yielding.append(worker)
        worker.wait()

    def freeze(self, seconds: float) -> None:
        """Stand still for so long, as SIGSTOP and SIGCONT have it."""
        self.stands_until = max(self.stands_until, self.world.now + seconds)
        for call in self.on_freeze:
            call(seconds)

    def die(self) -> None:
        """Be killed: nothing of it runs again."""
        if self.dead:
            return
        self.dead = True
        self.loop.calls.clear()
        for call in self.on_death:
            call()

    def bury(self) -> None:
        """Let go of what a dead process held."""
        self.loop.abandon()
        for worker in self._workers:
            if not worker.thread.dead:
                with contextlib.suppress(BaseException):
                    worker.thread.throw(GreenletExit)

    def _run(self, worker: Worker, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            self._by_thread.pop(worker.thread, None)
            if not self.dead:
                for other in worker.joining:
                    other.wake()


def _settle(future: asyncio.Future[Any], result: object, error: Exception | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
