"""(i) Three times the capacity: what the receiver answers, what the roles hold in memory, and how soon all of it is done (F11 of `towpath chaos`)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.figures import Benchmark, Limit, Taken, quantile
from benchmarks.sizes import Sizes
from towpath.chaos.arena import arena
from towpath.chaos.fault import Run
from towpath.chaos.faults import all_faults
from towpath.chaos.strike import strike

TITLE = "Overload: 30 % to 300 % of the capacity that was measured first"
METHOD = """Fault F11 of `towpath chaos`: the ERP's webhooks of stock, under new ids, and new orders of the shop's, which are about as much work;
at first the webhooks as fast as they are answered, which gives the capacity (webhooks a second until all is done, with as many orders as were sold
beside them), then both at a rate that rises from 30 % to 300 % of it in 20 s or a minute, whatever the answers.
`answer_p99_ms` is what the sender waited, `busy_share` the part that was answered 503, `drained_s` from the last webhook until nothing waits any
more, `memory_growth` the most that all roles ever held by what they held before (unique set sizes). Checked: all that the fault is judged by."""
ROLES, FAULT, SEED = "every role", "F11", 7


def run(folder: Path, sizes: Sizes) -> Benchmark:
    """Return what was measured."""
    limits = [Limit("answers at 300 %, p99", ROLES, "answer_p99_ms", 1_000), Limit("memory at 300 % by that before", ROLES, "memory_growth", 1.2)]
    benchmark = Benchmark("overload", TITLE, METHOD, limits=limits)
    benchmark.add(ROLES, asyncio.run(_struck(folder, sizes)))
    return benchmark


async def _struck(folder: Path, sizes: Sizes) -> Taken:
    fault = all_faults()[FAULT]
    async with arena(folder, Run(sizes.overload_events, SEED), fault.needs) as made:
        outcome = await strike(made, fault)
        problems = outcome.told()["why"]
        if "memory" not in made.notes:
            return Taken({}, problems or ["it was not injected"])
        rising, memory = made.notes["rising"], made.notes["memory"]
        before, most = sum(memory.before.values()), sum(memory.most.values())
        figures = {
            "capacity_per_s": made.notes["capacity"],
            "answer_p99_ms": 1000 * quantile([one.seconds for one in rising], 0.99),
            "busy_share": sum(not one.accepted for one in rising) / len(rising),
            "before_mb": before / 1e6,
            "most_mb": most / 1e6,
            "memory_growth": most / before,
        }
        return Taken(figures | ({} if outcome.recovery_s is None else {"drained_s": outcome.recovery_s}), problems)
