"""(g) A burst of orders at BNG's real limit, in a shorter minute: how much of what BNG allows is used."""

from __future__ import annotations

import asyncio
import json
import math
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.asking import ask
from benchmarks.figures import Benchmark, Goal, Taken
from benchmarks.sizes import Sizes
from towpath.demo.pairs import ERP, find_pair
from towpath.demo.play import Plan, place, report, settle, verdict
from towpath.demo.stack import Stack

TITLE = "Burst: orders at once, at BNG's limit of 600 calls a minute"
METHOD = """The demonstration's whole stack, with BNG's real limit (600 calls a minute, 50 at once) in a minute of 40 seconds; nothing is polled. All
orders are placed at once. The calls that BNG served are held against those that it allowed from the first of them to the last (50 + rate x time);
calls made and orders placed are told as well. Checked: every order is at BNG once, no dead letter, and at most 1 % of the calls were throttled."""
OURS, ALLOWED = "towpath, all roles", "what BNG allows"
GOALS = (Goal("calls served beside those allowed", OURS, ALLOWED, "calls", least=0.9),)
BURST, PER_MINUTE, MINUTE_SECONDS = 50, 600, 40.0
RATE = PER_MINUTE / MINUTE_SECONDS
MOST_THROTTLED = 0.01
THROTTLED = 429
PAGE = 1000
PAIR = "bng-nopcommerce"
SEED = 8


def run(folder: Path, sizes: Sizes) -> Benchmark:
    """Return what was measured."""
    benchmark = Benchmark("burst", TITLE, METHOD, goals=GOALS)
    asyncio.run(_played(folder, benchmark, Plan(PAIR, sizes.burst_orders, SEED, "none")))
    return benchmark


async def _played(folder: Path, benchmark: Benchmark, plan: Plan) -> None:
    stack = Stack(folder / "burst", find_pair(PAIR), changes=_limited)
    stack.write()
    settings = stack.directory / f"sandbox-{ERP}.json"
    limit = {"requests_per_minute": PER_MINUTE, "burst": BURST, "minute_seconds": MINUTE_SECONDS}
    settings.write_text(json.dumps({**json.loads(settings.read_text()), **limit}))
    try:
        await stack.start()
        await place(stack, orders=plan.orders, seed=plan.seed, customers=20)
        await settle(stack, seconds=120 + plan.orders)
        result = await report(stack, plan)
        calls = _calls(stack)
    finally:
        await stack.stop()
    served = [call for call in calls if call["status"] != THROTTLED]
    first, last = (datetime.fromisoformat(served[at]["time"]) for at in (0, -1))
    seconds = (last - first).total_seconds()
    throttled = len(calls) - len(served)
    problems = verdict(result, plan.faults)
    if throttled > MOST_THROTTLED * len(served):
        problems.append(f"{throttled} of {len(calls)} calls were throttled")
    if result["dead_letters"] or result["parked"]:
        problems.append(f"{result['dead_letters']} dead letters, {result['parked']} parked")
    ours = {"calls": len(served), "calls_an_order": len(served) / plan.orders, "throttled": throttled, "drained_s": seconds}
    benchmark.add(OURS, Taken(ours, problems))
    benchmark.add(ALLOWED, Taken({"calls": math.floor(BURST + RATE * seconds)}))


def _limited(content: dict[str, Any]) -> None:
    content["connections"][ERP]["limits"] |= {"requests_per_minute": round(RATE * 60), "burst": BURST}
    for connection in content["connections"].values():
        connection["poll_seconds"] = None


def _calls(stack: Stack) -> list[dict[str, Any]]:
    """Return every call to BNG's API, in the order in which they came."""
    found: list[dict[str, Any]] = []
    while True:
        after = found[-1]["seq"] if found else 0
        items = ask(f"{stack.url(ERP)}/_sandbox/journal?after={after}&limit={PAGE}&path=/api/v1/")["items"]
        found += items
        if len(items) < PAGE:
            return found
