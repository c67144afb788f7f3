"""One fault, from the first order to the verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import TypeVar

import aiohttp

from towpath.chaos.arena import Arena
from towpath.chaos.checker import check
from towpath.chaos.evidence import Evidence, gather
from towpath.chaos.fault import BOUNDS, INVARIANTS, RECOVERY_SECONDS, Fault, Outcome
from towpath.chaos.traffic import keep_up, under_way, work
from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.errors import ConfigError, RetryableError
from towpath.lag import behind, pipeline
from towpath.startup import in_daemon
from towpath.topic_reader import Place, TopicReader
from towpath.topics import PROCESSOR

CATCH_UP_SECONDS = 180.0
SETTLE_SECONDS = 300.0
LOOK_SECONDS = 0.3
REST_SECONDS = 120.0
TROUBLE = (TimeoutError, RetryableError, ConfigError, aiohttp.ClientError)

T = TypeVar("T")
Goals = Mapping[str, Mapping[Place, int]]


async def strike(arena: Arena, fault: Fault) -> Outcome:
    """Inject a fault while traffic flows, let all settle, and return what it broke."""
    injected, recovery = 0, None
    try:
        enough = asyncio.Event()
        traffic = asyncio.create_task(keep_up(arena, enough))
        try:
            await under_way(arena)
            injected = await fault.inject(arena)
            recovery = await recovered(arena) if fault.settles else 0.0
        finally:
            enough.set()
            await traffic
        unsettled = await _unsettled(arena) if fault.settles else []
        own = list(await fault.judge(arena)) if fault.judge is not None else []
        found = check(await (_at_rest if fault.settles else gather)(arena), await _to_blame(arena, fault, recovery), letters=fault.letters)
        found["I4"] += unsettled
        found[fault.breaks or BOUNDS] += own
    except TROUBLE as error:
        found = {name: list[str]() for name in (*INVARIANTS, BOUNDS)}
        found["I4"].append(_broke_off(error))
    return Outcome(fault, arena.run.seed, injected, found, None if recovery is None else round(recovery, 1))


async def _to_blame(arena: Arena, fault: Fault, recovery: float | None) -> float | None:
    """Return how long recovery took, cut off at what it may take where the target was kept as busy as it can be for all that time."""
    if recovery is None or recovery <= RECOVERY_SECONDS or fault.drained is None or not await fault.drained(arena, recovery):
        return recovery
    return RECOVERY_SECONDS


def _broke_off(error: Exception) -> str:
    return f"it never settled: {type(error).__name__} {error}".rstrip()


async def _unsettled(arena: Arena) -> list[str]:
    """Return why not all has settled, nothing where it has."""
    try:
        await settled(arena)
    except TROUBLE as error:
        return [_broke_off(error)]
    return []


async def _at_rest(arena: Arena) -> Evidence:
    """Return the evidence of a moment at which nothing was on its way: what is parked comes back by itself, a poller goes on reading.

    What comes in while the topics are read is in one of them and not yet in the next, so nothing may. What stays parked, as some may, is tried
    again and again; so it is given its time, and then a moment between two tries is waited for.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + REST_SECONDS
    while True:
        before = await in_daemon(lambda: _come_in(arena))
        evidence = await gather(arena)
        come_in, left = await in_daemon(lambda: _come_in(arena))
        moving = left > 0 or any(evidence.lag.values()) or (come_in, left) != before
        waits = any(letter["state"] == "parked" for letter in evidence.open_letters) and loop.time() < end
        if not (waits or moving) or loop.time() > end + REST_SECONDS:
            return evidence
        await asyncio.sleep(LOOK_SECONDS)


def _come_in(arena: Arena) -> tuple[Goals, int]:
    """Return where the inboxes end now, and how many records are left to read of all topics."""
    config = arena.stack.config()
    groups = pipeline(config)
    with closing(TopicReader(config.kafka)) as reader:
        return _ends(reader, stages_of(groups)[0]), sum(behind(reader, groups).values())


async def settled(arena: Arena) -> None:
    """Ship what is left, and return once nothing moves any more; raises TimeoutError where it does not come to that."""
    for name in (SHOP, ERP):
        await arena.dial(name)
    await settle(arena.stack, seconds=SETTLE_SECONDS)
    await work(arena, partial=0.3)
    await settle(arena.stack, seconds=SETTLE_SECONDS)


async def recovered(arena: Arena) -> float | None:
    """Return after how many seconds everything runs again, and all that waited is done with what it led to; None where that takes over three minutes.

    Each stage is waited for up to where its topics end when the stage before is done. What is told later is not waited for.
    """
    began = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(CATCH_UP_SECONDS):
            reader = await _patiently(lambda: TopicReader(arena.stack.config().kafka))
            stages = stages_of(pipeline(arena.stack.config()))
            goals = await _patiently(lambda: _ends(reader, stages[0]))
            await arena.ready()
            for stage in stages[1:]:
                await _done(reader, goals)
                goals = await _patiently(lambda stage=stage: _ends(reader, stage))  # type: ignore[misc]
            await _done(reader, goals)
            reader.close()
    except TimeoutError:
        return None
    return asyncio.get_running_loop().time() - began


def stages_of(groups: Mapping[str, Sequence[str]]) -> list[dict[str, Sequence[str]]]:
    """Return the groups in the order in which a record passes them.

    Two stages read what they write themselves: an adapter what it has fetched, the processor what it holds for orders.
    """
    adapters, processor, sinks = [
        {group: topics for group, topics in groups.items() if group.startswith(start)} for start in ("adapter.", PROCESSOR, "sink.")
    ]
    return [adapters, adapters, processor, processor, sinks]


async def _done(reader: TopicReader, goals: Goals) -> None:
    """Return once each group has committed all that its goals name."""
    while not await _patiently(lambda: _passed(reader, goals)):  # noqa: ASYNC110 - no event tells it
        await asyncio.sleep(LOOK_SECONDS)


async def _patiently(ask: Callable[[], T]) -> T:
    """Return what Kafka answers, asked again while it does not."""
    while True:
        try:
            return await in_daemon(ask)
        except RetryableError:
            await asyncio.sleep(LOOK_SECONDS)


def _ends(reader: TopicReader, groups: Mapping[str, Sequence[str]]) -> Goals:
    """Return where the topics of each group end now."""
    return {group: {place: extent.high for place, extent in reader.extents(topics).items()} for group, topics in groups.items()}


def _passed(reader: TopicReader, goals: Goals) -> bool:
    """Tell whether each group has committed all that stood there then."""
    for group, ends in goals.items():
        done = reader.committed(group, list(ends))
        if any(done.get(place, 0) < end for place, end in ends.items()):
            return False
    return True
