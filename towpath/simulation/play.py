"""Playing one seed: the world is built, lives through its history, comes to rest, and is judged."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import sqlalchemy as sa

from towpath.codec import default_codec
from towpath.delivery.parking import parked
from towpath.simulation.checker import Violation, violations
from towpath.simulation.database import Database
from towpath.simulation.erp import Erp, Weather
from towpath.simulation.history import FAULTS_END, SKUS, UNKNOWN, History, Strike, Told, history_of, topic_of
from towpath.simulation.log import Log
from towpath.simulation.machines import INPUTS, PATIENCE, Classes, Deployment, start_processor, start_sink
from towpath.simulation.ports import swapped, within
from towpath.simulation.process import STARTS_AT, Process, World

REST_SECONDS = 60.0
LOST_ON_THE_WAY = 3700.0
"""What is parked and was lost on the way back is tried again after an hour: the clock is set so far once, rather than waiting."""
LOOK_SECONDS = 0.5
MOST_TROUBLE = 3
"""A world whose processes end by themselves more often than that is judged at once."""
PARKED = sa.select(sa.func.count()).select_from(parked)
START = {"sink": start_sink, "processor": start_processor}
GROUPS = {"sink": ("sink.erp", ("deliver.erp",)), "processor": ("processor", INPUTS)}


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a seed: `digest` stands for all that happened."""

    seed: int
    digest: str
    violations: list[Violation]
    seconds: float
    struck: int
    story: list[str] = field(default_factory=list)


@functools.cache
def _database() -> Database:
    """Return the database of all worlds of this process, one after the other."""
    return Database()


def play(seed: int, classes: Classes | None = None, *, story: bool = False) -> Played:
    """Return what became of a seed; the same seed, the same world."""
    return play_history(history_of(seed), classes, story=story)


def play_history(history: History, classes: Classes | None = None, *, story: bool = False) -> Played:
    """Return what became of a history."""
    database = _database()
    database.empty()
    world = World(f"world {history.seed}")
    world.told = [] if story else None
    log = Log(world, history.partitions, STARTS_AT.timestamp())
    erp = Erp(world, history.weather, set(SKUS), PATIENCE.settle)
    deployment = Deployment(world, log, database, erp, classes or Classes(), history.rate, history.at_once)
    with swapped(), within(log):
        stage = _Stage(deployment, history)
        try:
            stage.begin()
            quiet = stage.run()
            found = violations(deployment, history, quiet=quiet)
            return Played(history.seed, world.digest, found, world.now, stage.struck, list(world.told or []))
        finally:
            world.end()


class _Stage:
    """Has a history happen in a world."""

    def __init__(self, deployment: Deployment, history: History) -> None:
        self._deployment, self._history, self._world = deployment, history, deployment.world
        self._strikes = {role: [strike for strike in history.strikes if strike.role == role] for role in START}
        self._count = 0
        self._looked = 0.0
        self.struck = 0

    def begin(self) -> None:
        """Start the processes and what is to come."""
        history, world = self._history, self._world
        for role, number in (("processor", history.processors), ("sink", history.sinks)):
            for _ in range(number):
                world.after(world.random.random() / 2, functools.partial(self._start, role))
        for told in history.facts:
            world.after(told.at, functools.partial(self._tell, told))
        for at, role, stays in history.comings:
            world.after(at, functools.partial(self._come, role, stays))
        for at, seconds in history.clock_jumps:
            world.after(at, functools.partial(self._set_clock, seconds))
        world.after(FAULTS_END, self._end_faults)

    def run(self) -> bool:
        """Let the world live until it is at rest; False when it does not come to rest."""
        if self._world.run(self._at_rest, FAULTS_END + REST_SECONDS):
            return True
        self._set_clock(LOST_ON_THE_WAY)
        return self._world.run(self._at_rest, 2 * REST_SECONDS)  # a lane may have begun to wait for a minute just before

    def _start(self, role: str, *, stays: bool = True) -> Callable[[], None]:
        self._count += 1
        stop = START[role](self._deployment, f"{role}-{self._count}")
        process = self._world.processes[-1]
        if self._strikes[role]:
            process.strike = functools.partial(self._strike, self._strikes[role].pop(0))
        if stays:
            process.on_death.append(lambda: self._world.soon(functools.partial(self._start, role), 1.0))
        return stop

    def _come(self, role: str, stays: float) -> None:
        stop = self._start(role, stays=False)
        self._world.after(stays, stop)

    def _strike(self, strike: Strike, process: Process) -> None:
        if self._world.now >= FAULTS_END or (process.acts < strike.acts or process.steps < strike.steps):
            return
        process.strike = None
        self.struck += 1
        self._world.note("strikes", process.name, strike.freeze)
        if strike.freeze:
            process.freeze(strike.freeze)
        else:
            process.die()

    def _tell(self, told: Told) -> None:
        log, event = self._deployment.log, told.event
        value = default_codec().encode(event.type, event.value)
        log.append(log.place(topic_of(event), event.record_key), event.record_key, value, [("ce_source", b"shop")])

    def _set_clock(self, seconds: float) -> None:
        self._world.wall_offset += seconds
        self._world.note("clock", seconds)

    def _end_faults(self) -> None:
        """Let the weather clear up, and the target learn of the product that it did not know, which whoever lives hears of."""
        erp = self._deployment.erp
        erp.weather = Weather(blind=erp.weather.blind, unique=erp.weather.unique)
        erp.products.add(UNKNOWN)
        self._hear()

    def _hear(self) -> None:
        living = next(iter(self._deployment.books.items()), None)
        if living is not None:
            process, books = living
            process.loop.call_soon(lambda: process.loop.create_task(books.wake(f"product {UNKNOWN}")))
            return
        self._world.after(1.0, self._hear)

    def _at_rest(self) -> bool:
        world, log = self._world, self._deployment.log
        if len(self._deployment.trouble) > MOST_TROUBLE:
            return True
        if world.now < FAULTS_END + 1 or world.now < self._looked + LOOK_SECONDS:
            return False
        self._looked = world.now
        if self._deployment.erp.pending or any(log.lag(group, topics) for group, topics in GROUPS.values()):
            return False
        with self._deployment.database.begin() as connection:
            return not connection.execute(PARKED).scalar_one()
