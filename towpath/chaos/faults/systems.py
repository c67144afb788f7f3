"""Systems that fail while they are called, or answer what nobody hears."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from towpath.chaos.arena import Arena
from towpath.chaos.fault import Fault, Needs
from towpath.chaos.proxy import FAIR, Weather
from towpath.demo.pairs import ERP, SHOP

STORM_SECONDS = 10.0
OUTAGE_SECONDS, PROBE_SECONDS, OPENING_SECONDS = 20.0, 1.0, 3.0
"""Of hours: what happens in them happens once a probe, so the probes come more often and their pause is what is kept."""
SPENT_SECONDS = 15.0
RATE_PER_MINUTE, BURST = 1_200, 50


def dialled(seconds: float, *names: str, **rates: float) -> Callable[[Arena], Awaitable[int]]:
    """Return what dials these rates at the systems for so long, at least until each kind has happened, and returns how often they did."""

    async def inject(arena: Arena) -> int:
        before = await _happened(arena, rates)
        for name in names:
            await arena.dial(name, **rates)
        await asyncio.sleep(seconds)

        async def all_happened() -> bool:
            now = await _happened(arena, rates)
            return all(now[kind] > before[kind] for kind in rates)

        await arena.until(all_happened, 120, f"{', '.join(rates)} happened at {' or '.join(names)}")
        for name in names:
            await arena.dial(name)
        now = await _happened(arena, rates)
        return sum(now[kind] - before[kind] for kind in rates)

    return inject


async def _happened(arena: Arena, rates: dict[str, float]) -> dict[str, int]:
    counts = [(await arena.call(name, "GET", "faults"))["injected"] for name in (SHOP, ERP)]
    return {kind: sum(int(one[kind]) for one in counts) for kind in rates}


async def storm(arena: Arena) -> int:
    """Have the ERP answer most calls with 429 or 503 for a while, and note how many calls it got since, and when."""
    arena.notes["began"] = asyncio.get_running_loop().time()
    arena.notes["calls"] = await _calls(arena)
    return await dialled(STORM_SECONDS, ERP, unavailable=0.5, throttle=0.5)(arena)


async def within_the_limit(arena: Arena) -> Sequence[str]:
    """Say where the ERP got more calls than 1.1 times its limit."""
    seconds = asyncio.get_running_loop().time() - arena.notes["began"]
    calls, allowed = await _calls(arena) - arena.notes["calls"], BURST + RATE_PER_MINUTE * seconds / 60
    return [f"{calls} calls in {seconds:.0f} s, where {allowed:.0f} are allowed"] if calls > 1.1 * allowed else []


async def _calls(arena: Arena) -> int:
    calls: dict[str, int] = (await arena.call(ERP, "GET", "stats"))["calls"]
    return sum(calls.values())


def limited(content: dict[str, Any]) -> None:
    """Keep to the limit that the ERP has here."""
    content["connections"][ERP]["limits"] |= {"requests_per_minute": RATE_PER_MINUTE, "burst": BURST}


async def down(arena: Arena) -> int:
    """Have the ERP refuse every connection for scaled hours, and note when connections were tried."""
    proxy = arena.proxies[ERP]
    began = asyncio.get_running_loop().time()
    proxy.weather = Weather(reset_after=0)
    proxy.break_off()
    try:
        await asyncio.sleep(OUTAGE_SECONDS)
    finally:
        ended = asyncio.get_running_loop().time()
        proxy.weather = FAIR
    arena.notes["probes"] = [at for at in proxy.taken if began + OPENING_SECONDS < at < ended]
    return proxy.touched


async def probed_seldom(arena: Arena) -> Sequence[str]:
    """Say where two connections were tried within one pause of the probe while the ERP was down."""
    probes: list[float] = arena.notes["probes"]
    close = [other - one for one, other in itertools.pairwise(probes) if other - one < 0.9 * PROBE_SECONDS]
    found = [f"two probes {gap:.2f} s apart, where one in {PROBE_SECONDS:g} s is allowed" for gap in close]
    return found if probes else ["no probe was sent: nobody asks whether the ERP is back"]


def patient(content: dict[str, Any]) -> None:
    """Probe once a second."""
    content["connections"][ERP]["limits"] |= {"probe_seconds": PROBE_SECONDS}


async def expire(arena: Arena) -> int:
    """Make every token that the shop has issued invalid, again and again."""
    times = arena.run.share_of(20, 4)
    for _ in range(times):
        await arena.call(SHOP, "POST", "tokens/expire", {})
        await asyncio.sleep(arena.dice.uniform(0.5, 2))
    return times


FAULTS = (
    Fault(
        "F7",
        "the target commits, then the connection is reset, or it commits after the client gave up",
        dialled(SPENT_SECONDS, SHOP, ERP, response_lost=0.10, late_commit=0.02),
    ),
    Fault(
        "F8",
        "a storm of 429 and 503",
        storm,
        Needs(config=limited, erp={"requests_per_minute": RATE_PER_MINUTE, "burst": BURST}),
        within_the_limit,
    ),
    Fault("F10", "one target is down for hours (scaled)", down, Needs(hops=(ERP,), config=patient), probed_seldom),
    Fault("F21", "tokens expire in mid-run", expire),
    Fault("F22", "writes of several calls fail at any step", dialled(SPENT_SECONDS, SHOP, unavailable=0.2, response_lost=0.2)),
)
