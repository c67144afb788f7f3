"""The negative controls: each takes away one guard, and the checker must find what that breaks."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from towpath.chaos.arena import Arena
from towpath.chaos.checker import unpublished
from towpath.chaos.evidence import facts_of, read_topics
from towpath.chaos.fault import Fault, Inject, Needs
from towpath.chaos.faults.systems import dialled
from towpath.chaos.faults.webhooks import old_news
from towpath.demo.pairs import ERP
from towpath.demo.play import settle
from towpath.failpoints import OFF, Armed
from towpath.kafka import KafkaSettings, make_producer
from towpath.lag import lag
from towpath.runtime.guardian import PARENT_VARIABLE
from towpath.startup import in_daemon
from towpath.topic_setup import ensure
from towpath.topics import TopicSpec

UNGUARDED_SECONDS = 15.0
DEATHS, DEATH_SECONDS = 6, 60.0
COPIED, COPIED_SECONDS = 40, 90.0
COPY, FORWARDED = "chaos.copy", "chaos.forwarded"
DAY_MS = 86_400_000


def without(role: str, guard: str, inject: Inject) -> Inject:
    """Return what injects a fault while a role works without one of its guards."""

    async def unguarded(arena: Arena) -> int:
        off = arena.point(1, OFF)
        _restart(arena, role, lambda: {guard: off})
        await arena.ready()
        injected = await inject(arena)
        _restart(arena, role, dict)
        return injected if off.marker.exists() else 0

    return unguarded


async def unversioned(arena: Arena) -> int:
    """Have the processor take older versions for newer ones, while traffic flows."""
    off = arena.point(1, OFF)
    _restart(arena, "processor", lambda: {"processor.version": off})
    await asyncio.sleep(UNGUARDED_SECONDS)
    return 1


async def old_news_last(arena: Arena) -> Sequence[str]:
    """Tell old stock once more when nothing newer comes any more, so that what it does stays."""
    await old_news(arena)
    await settle(arena.stack)
    return []


async def state_first(arena: Arena) -> int:
    """Have the processor write its state before its outputs, and die in between, again and again."""
    deaths = list[Armed]()

    def arm() -> Mapping[str, Armed]:
        if len(deaths) == DEATHS:
            return {}
        deaths.append(arena.point(arena.dice.randint(1, 3)))
        return {"processor.outputs_first": arena.point(1, OFF), "processor.after_state": deaths[-1]}

    _restart(arena, "processor", arm)

    async def all_happened() -> bool:
        return len(deaths) == DEATHS and all(death.marker.exists() for death in deaths)

    await arena.until(all_happened, DEATHS * DEATH_SECONDS, f"the processor died {DEATHS} times")
    return DEATHS


def _restart(arena: Arena, role: str, arm: Callable[[], Mapping[str, Armed]]) -> None:
    for worker in arena.workers[role]:
        worker.arm = arm
        worker.kill()


async def plain_faust(arena: Arena) -> int:
    """Have plain Faust forward copies of events, two at once and one of them slow; kill it, and let it go on."""
    kafka = arena.stack.config().kafka
    await arena.until(lambda: _copied(kafka), COPIED_SECONDS, f"{COPIED} events to copy")
    process = _forwarder(arena)
    try:
        await arena.until(lambda: _slow_and_done(arena, kafka), COPIED_SECONDS, "one message is slow and the others are done")
        process.kill()
        process.wait()
        process = _forwarder(arena)
        await arena.until(lambda: _caught_up(kafka), COPIED_SECONDS, "plain Faust went on")
    finally:
        process.kill()
        process.wait()
    return 1


async def _copied(kafka: KafkaSettings) -> bool:
    """Copy events, once there are enough."""
    records = await in_daemon(lambda: read_topics(kafka, ["received.orders", "received.stock"]))
    if len(records) < COPIED:
        return False
    specs = [TopicSpec(name, 4, "delete", DAY_MS) for name in (COPY, FORWARDED)]
    await in_daemon(lambda: ensure(kafka, specs))
    producer = make_producer(kafka)
    for record in records:
        producer.produce(COPY, record.value, record.key)
    return await asyncio.to_thread(producer.flush, 30) == 0


def _forwarder(arena: Arena) -> subprocess.Popen[bytes]:
    folder = arena.stack.directory / "plain-faust"
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "towpath.chaos.plain_faust", arena.stack.config().kafka.bootstrap_servers, COPY, FORWARDED, str(folder)]
    with (folder / "log").open("ab") as log:
        environment = {**os.environ, PARENT_VARIABLE: str(os.getpid())}
        return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)


async def _slow_and_done(arena: Arena, kafka: KafkaSettings) -> bool:
    return (arena.stack.directory / "plain-faust" / "slow").exists() and await _caught_up(kafka)


async def _caught_up(kafka: KafkaSettings) -> bool:
    return await in_daemon(lambda: lag(kafka, f"plain-{COPY}", [COPY])) == 0


async def lost_by_plain_faust(arena: Arena) -> Sequence[str]:
    """Say what plain Faust has read and never forwarded, though it is done with all."""
    kafka = arena.stack.config().kafka
    copies, forwarded = [facts_of(await in_daemon(lambda topic=topic: read_topics(kafka, [topic])), arena.codec) for topic in (COPY, FORWARDED)]  # type: ignore[misc]
    return [f"{fact.type} of {fact.key} at {fact.place} was received and never published" for fact in unpublished(copies, forwarded)]


CONTROLS = (
    Fault("plain-faust", "plain Faust, two messages at once, one of them slow", plain_faust, judge=lost_by_plain_faust, breaks="I1"),
    Fault(
        "state-first",
        "the processor writes its state before its outputs, and dies in between",
        state_first,
        Needs({"processor": 1}),
        letters=True,
        breaks="I1",
    ),
    Fault(
        "no-ledger",
        "a sink without ledger, while answers of the ERP are lost",
        without("sink", "sink.ledger", dialled(UNGUARDED_SECONDS, ERP, response_lost=0.3)),
        Needs({"sink": 1}),
        letters=True,
        settles=False,
        breaks="I2",
    ),
    Fault(
        "no-version-guard",
        "older versions are taken for newer ones, while old stock events come again",
        unversioned,
        Needs({"processor": 1}),
        old_news_last,
        letters=True,
        breaks="I3",
    ),
)


def all_controls() -> dict[str, Fault]:
    """Return every control by its name."""
    return {control.name: control for control in CONTROLS}
