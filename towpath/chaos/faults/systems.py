"""Systems that fail while they are called, or answer what nobody hears."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import URL

from towpath.chaos.arena import Arena
from towpath.chaos.evidence import gather
from towpath.chaos.fault import Fault, Needs
from towpath.chaos.proxy import FAIR, Weather
from towpath.clock import SystemClock
from towpath.delivery.claims import State
from towpath.delivery.database import open_engine
from towpath.delivery.ledger import effects
from towpath.demo.pairs import ERP, SHOP
from towpath.sandbox.kit.faults import KINDS
from towpath.startup import in_daemon

STORM_SECONDS = 10.0
OUTAGE_SECONDS, PROBE_SECONDS, OPENING_SECONDS = 20.0, 1.0, 3.0
LANE_SECONDS = 6.0
"""Of hours: what happens in them happens once a probe, or when a lane has tried for a minute, so both come ten times as soon."""
SPENT_SECONDS = 15.0
RATE_PER_MINUTE, BURST = 1_200, 50
WINDOW, DRAIN, LEAST_DRAINED = timedelta(seconds=10), timedelta(seconds=20), 0.8
ENOUGH_TO_DRAIN = 400
"""Orders, ten a second, with which the ERP has more to do than it can long after the storm."""
OFTEN = 20
"""What is called so often fails at least once where two in five do."""
WRITES, SIGN_IN = ("POST ", "PUT "), "/GetToken"
THROTTLED, UNAVAILABLE = 429, 503


def dialled(seconds: float, *names: str, **rates: float) -> Callable[[Arena], Awaitable[int]]:
    """Return what dials these rates at the systems for so long, at least until each kind has happened, and returns how often they did.

    What is no kind of fault says how they are: how long webhooks are held back, say.
    """
    kinds = [kind for kind in rates if kind in KINDS]

    async def inject(arena: Arena) -> int:
        before = await _happened(arena, kinds)
        for name in names:
            await arena.dial(name, **rates)
        await asyncio.sleep(seconds)

        async def all_happened() -> bool:
            now = await _happened(arena, kinds)
            return all(now[kind] > before[kind] for kind in kinds)

        await arena.until(all_happened, 120, f"{', '.join(kinds)} happened at {' or '.join(names)}")
        for name in names:
            await arena.dial(name)
        now = await _happened(arena, kinds)
        return sum(now[kind] - before[kind] for kind in kinds)

    return inject


async def _happened(arena: Arena, kinds: Sequence[str]) -> dict[str, int]:
    counts = [(await arena.call(name, "GET", "faults"))["injected"] for name in (SHOP, ERP)]
    return {kind: sum(int(one[kind]) for one in counts) for kind in kinds}


async def storm(arena: Arena) -> int:
    """Have the ERP answer most calls with 429 or 503 for a while, and note when."""
    began = SystemClock().now()
    happened = await dialled(STORM_SECONDS, ERP, unavailable=0.5, throttle=0.5)(arena)
    arena.notes["storm"] = began, SystemClock().now()
    return happened


async def within_the_limit(arena: Arena) -> Sequence[str]:
    """Say where the ERP got more calls than 1.1 times its limit, or was asked for less than it can do afterwards."""
    began, ended = arena.notes["storm"]
    calls = [call for call in await _journal(arena) if call.at >= began]
    found = list[str]()
    most, allowed = _most_at_once([call.at for call in calls]), BURST + RATE_PER_MINUTE * WINDOW.total_seconds() / 60
    if most > 1.1 * allowed:
        found.append(f"{most} calls within {WINDOW.total_seconds():.0f} s, where {allowed:.0f} are allowed")
    served = [call.at for call in calls if call.at >= ended and call.status not in {THROTTLED, UNAVAILABLE}]
    if arena.run.orders >= ENOUGH_TO_DRAIN:
        until = min(served, default=ended) + DRAIN
        done = sum(at < until for at in served)
        wanted = LEAST_DRAINED * RATE_PER_MINUTE * DRAIN.total_seconds() / 60
        found += [f"{done} calls in the {DRAIN.total_seconds():.0f} s after the storm, where {wanted:.0f} are wanted"] if done < wanted else []
    return found


async def drained(arena: Arena, seconds: float) -> bool:
    """Tell whether the ERP was asked for 80 % of what it allows for so long after the storm."""
    _, ended = arena.notes["storm"]
    until = ended + timedelta(seconds=seconds)
    done = sum(ended <= call.at < until and call.status not in {THROTTLED, UNAVAILABLE} for call in await _journal(arena))
    return bool(done >= LEAST_DRAINED * RATE_PER_MINUTE * seconds / 60)


class Called(NamedTuple):
    """A call that a system got: which (its method and path, without what ids hold), the answer (None: nothing), and whether it met a fault."""

    at: datetime
    status: int | None
    what: str = ""
    struck: bool = False


async def _journal(arena: Arena, name: str = ERP) -> list[Called]:
    """Return every call that a system got."""
    found, last = list[Called](), 0
    while items := (page := await arena.call(name, "GET", f"journal?after={last}"))["items"]:
        for row in items:
            what = f"{row['method']} {re.sub('[0-9]+', '#', row['path'])}"
            found.append(Called(datetime.fromisoformat(row["time"]), row["status"], what, row["fault"] is not None))
        last = page["last"]
    return found


def _most_at_once(moments: Sequence[datetime]) -> int:
    """Return how many there are at most within a window."""
    most, first = 0, 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - WINDOW:
            first += 1
        most = max(most, last - first + 1)
    return most


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


async def waited_for(arena: Arena) -> Sequence[str]:
    """Say where two connections were tried within one pause of the probe while the ERP was down, and what was given up for that."""
    given_up = [letter.row for letter in (await gather(arena)).letters if letter.row["reason"].startswith(f"{ERP}: ")]
    return [*_probed_often(arena), *(f"{row['business_key']} was given up as the ERP was down: {row['reason']}" for row in given_up)]


def _probed_often(arena: Arena) -> list[str]:
    probes: list[float] = arena.notes["probes"]
    close = [other - one for one, other in itertools.pairwise(probes) if other - one < 0.9 * PROBE_SECONDS]
    found = [f"two probes {gap:.2f} s apart, where one in {PROBE_SECONDS:g} s is allowed" for gap in close]
    return found if probes else ["no probe was sent: nobody asks whether the ERP is back"]


def patient(content: dict[str, Any]) -> None:
    """Probe once a second, and let a lane try no longer than six."""
    content["connections"][ERP]["limits"] |= {"probe_seconds": PROBE_SECONDS}
    content["defaults"] = {**content.get("defaults", {}), "lane_retry_seconds": LANE_SECONDS}


async def expire(arena: Arena) -> int:
    """Make every token that the shop has issued invalid, again and again; return how many there were."""
    expired = 0
    for _ in range(arena.run.share_of(20, 4)):
        expired += int((await arena.call(SHOP, "POST", "tokens/expire", {}))["expired"])
        await asyncio.sleep(arena.dice.uniform(0.5, 2))
    return expired


async def told_by_the_ledger(arena: Arena) -> Sequence[str]:
    """Say of which effects the ledger does not know what became of them, and which step never failed: of that nothing was put to the test."""
    url = arena.stack.config().database_url()
    calls = [call for call in await _journal(arena, SHOP) if call.what.startswith(WRITES)]
    struck = [call for call in calls if call.struck]
    meanwhile = Counter(call.what for call in calls if struck and struck[0].at <= call.at <= struck[-1].at)
    often = [what for what, count in meanwhile.items() if count >= OFTEN and not what.endswith(SIGN_IN)]
    spared = sorted({*often} - {call.what for call in struck})
    unknown = [f"the ledger does not know whether {row.operation} {row.effect_key} stands" for row in await in_daemon(lambda: _unfinished(url))]
    return [*unknown, *(f"{what} never failed" for what in spared)]


def _unfinished(url: URL) -> Sequence[sa.Row[Any]]:
    engine = open_engine(url, reading=True)
    try:
        with engine.connect() as connection:
            return connection.execute(sa.select(effects).where(effects.c.state == State.PENDING)).all()
    finally:
        engine.dispose()


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
        drained=drained,
    ),
    Fault("F10", "one target is down for hours (scaled)", down, Needs(hops=(ERP,), config=patient), waited_for),
    Fault("F21", "tokens expire in mid-run", expire),
    Fault(
        "F22",
        "writes of several calls fail at any step",
        dialled(SPENT_SECONDS, SHOP, unavailable=0.2, response_lost=0.2),
        judge=told_by_the_ledger,
    ),
)
