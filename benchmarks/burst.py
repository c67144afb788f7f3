"""(g) A burst of orders at an ERP's real limit, in a shorter minute: how much of what it allows is used."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.asking import ask
from benchmarks.figures import Benchmark, Goal, Taken
from benchmarks.sizes import Sizes
from towpath.demo.pairs import ERP, find_pair
from towpath.demo.play import Plan, place, settle
from towpath.demo.report import report, verdict
from towpath.demo.stack import Stack

TITLE = "Burst: orders at once, at the limits of BNG (600 calls a minute) and of Brightpearl (200)"
METHOD = """The demonstration's whole stack, with the ERP's real limit in a minute that is shorter: BNG's of 600 calls, 50 at once, in 40 seconds;
Brightpearl's of 200 in each period, in 6 seconds. Nothing is polled. All orders are placed at once. The calls that the ERP served are held against
those that it allowed from the first of them to the last; calls made and orders placed are told as well. Checked: every order is there once, no dead
letter, nothing parked, and at most 1 % of the calls were throttled."""
MOST_THROTTLED = 0.01
PAGE = 1000
SEED = 8


@dataclass(frozen=True, slots=True)
class Limited:
    """An ERP's limit: what its sandbox is told of it, where its API is, how it says no, and what it allows in a span of time (seconds)."""

    pair: str
    system: str
    per_minute: int
    burst: int
    minute_seconds: float
    told: Mapping[str, object]
    api: str
    refuses_with: int
    allowed: Callable[[float, float], float]

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.per_minute / self.minute_seconds

    @property
    def ours(self) -> str:
        """What the contestant is called."""
        return f"towpath, all roles, to {self.system}"

    @property
    def control(self) -> str:
        """What it is held against."""
        return f"what {self.system} allows"


def in_bucket(rate: float, burst: int, first: float, last: float) -> float:
    """Return what a bucket allows that is full at first."""
    return burst + rate * (last - first)


def in_periods(limit: int, seconds: float, first: float, last: float) -> float:
    """Return what a limit for each period allows: all of those from the first call on, and of the last period as much as has passed of it."""
    before = last // seconds - first // seconds
    return limit * (before + (last % seconds - (0 if before else first % seconds)) / seconds)


BNG_MINUTE, BRIGHTPEARL_MINUTE = 40.0, 6.0
LIMITS = (
    Limited(
        "bng-nopcommerce", "BNG", 600, 50, BNG_MINUTE, {"requests_per_minute": 600, "burst": 50}, "/api/v1/", 429,
        partial(in_bucket, 600 / BNG_MINUTE, 50),
    ),
    Limited(
        "brightpearl-nopcommerce", "Brightpearl", 200, 10, BRIGHTPEARL_MINUTE, {"calls_per_minute": 200}, "/public-api/", 503,
        partial(in_periods, 200, BRIGHTPEARL_MINUTE),
    ),
)  # fmt: skip
GOALS = [Goal(f"calls that {limit.system} served beside those allowed", limit.ours, limit.control, "calls", least=0.9) for limit in LIMITS]


def run(folder: Path, sizes: Sizes) -> Benchmark:
    """Return what was measured."""
    benchmark = Benchmark("burst", TITLE, METHOD, goals=GOALS)
    for limit in LIMITS:
        asyncio.run(_played(folder / limit.pair, benchmark, limit, Plan(limit.pair, sizes.burst_orders, SEED, "none")))
    return benchmark


async def _played(folder: Path, benchmark: Benchmark, limit: Limited, plan: Plan) -> None:
    stack = Stack(folder, find_pair(limit.pair), changes=partial(_limit, limit))
    stack.write()
    settings = stack.directory / f"sandbox-{ERP}.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), **limit.told, "minute_seconds": limit.minute_seconds}))
    try:
        await stack.start()
        await place(stack, orders=plan.orders, seed=plan.seed, customers=20)
        await settle(stack, seconds=120 + plan.orders)
        result = await report(stack, plan)
        calls = _calls(stack, limit)
    finally:
        await stack.stop()
    served = [call for call in calls if call["status"] != limit.refuses_with]
    first, last = (datetime.fromisoformat(served[at]["time"]).timestamp() for at in (0, -1))
    throttled = len(calls) - len(served)
    problems = verdict(result, plan.faults)
    if throttled > MOST_THROTTLED * len(served):
        problems.append(f"{throttled} of {len(calls)} calls were throttled")
    if result["dead_letters"] or result["parked"]:
        problems.append(f"{result['dead_letters']} dead letters, {result['parked']} parked")
    ours = {"calls": len(served), "calls_an_order": len(served) / plan.orders, "throttled": throttled, "drained_s": last - first}
    benchmark.add(limit.ours, Taken(ours, problems))
    benchmark.add(limit.control, Taken({"calls": math.floor(limit.allowed(first, last))}))


def _limit(limit: Limited, content: dict[str, Any]) -> None:
    content["connections"][ERP]["limits"] |= {"requests_per_minute": round(limit.rate * 60), "burst": limit.burst}
    for connection in content["connections"].values():
        connection["poll_seconds"] = None


def _calls(stack: Stack, limit: Limited) -> list[dict[str, Any]]:
    """Return every call to the ERP's API, in the order in which they came."""
    found: list[dict[str, Any]] = []
    while True:
        after = found[-1]["seq"] if found else 0
        items = ask(f"{stack.url(ERP)}/_sandbox/journal?after={after}&limit={PAGE}&path={limit.api}")["items"]
        found += items
        if len(items) < PAGE:
            return found
