"""(f) What each role holds after the demonstration of 200 orders, beside a Python process that has imported the same clients."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.figures import Benchmark, Limit
from benchmarks.figures import Taken as Figures
from benchmarks.processes import measured, memory_mb, wait_until
from benchmarks.sizes import Sizes
from towpath.demo.pairs import find_pair
from towpath.demo.play import Plan, fault_settings, play
from towpath.demo.report import report, verdict
from towpath.demo.stack import ROLES, Stack

TITLE = "Memory: each role after the demonstration"
METHOD = """`towpath demo --once --faults mild` in all its parts (orders, changes, cancellations, payments, shipments, stock), then each role's
memory. The roles are forked from one process that has imported them, so that most of what is resident in one is the same memory as in the others;
`now_mb` is therefore the proportional set size (Pss), in which a page that several processes share counts in equal parts: what the roles take of
the machine is the sum of it. `resident_mb` counts shared pages in full (VmRSS), and `peak_mb` is the most of that it ever was (VmHWM). The control
is a Python process that has imported aiohttp, confluent-kafka, fastavro, SQLAlchemy and pydantic, and does nothing; it shares nothing with others
but libraries. Checked: the demonstration's own proof."""
BARE = "bare Python with the clients' libraries"
MOST_MB = 150.0
PAIR = "bng-nopcommerce"
SEED = 7


def run(folder: Path, sizes: Sizes) -> Benchmark:
    """Return what was measured."""
    benchmark = Benchmark("memory", TITLE, METHOD, limits=[Limit(f"{role} after the demonstration", role, "now_mb", MOST_MB) for role in ROLES])
    with measured(folder / "bare.log", "benchmarks.idle") as bare:
        wait_until(lambda: "ready" in bare.log_tail(), "the bare process")
        benchmark.add(BARE, Figures(figures_of(bare.pid)))
    asyncio.run(_played(folder, benchmark, Plan(PAIR, sizes.demo_orders, SEED, "mild")))
    return benchmark


async def _played(folder: Path, benchmark: Benchmark, plan: Plan) -> None:
    stack = Stack(folder / "demo", find_pair(plan.pair), fault_settings(plan), fault_settings(plan))
    stack.write()
    try:
        await stack.start()
        await play(stack, plan)
        result = await report(stack, plan)
        for role in ROLES:
            pid = stack.pid_of(role)
            found = {} if pid is None else figures_of(pid)
            benchmark.add(role, Figures(found, [] if found else ["it does not run"]))
    finally:
        await stack.stop()
    benchmark.problems += [wrong for wrong in verdict(result, plan.faults) if not _too_small(plan, wrong)]


def figures_of(pid: int) -> dict[str, float]:
    """Return the memory of a process in MB (10^6 bytes), its part of what it shares, all that is resident in it, and the most that ever was."""
    shares = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii", errors="replace")
    (proportional,) = (line.split()[1] for line in shares.splitlines() if line.startswith("Pss:"))
    resident = {name: memory_mb(pid, field) for name, field in (("resident_mb", "VmRSS"), ("peak_mb", "VmHWM"))}
    return {"now_mb": int(proportional) * 1024 / 1e6, **resident}


def _too_small(plan: Plan, wrong: str) -> bool:
    """Tell whether this is only that a quick look is too short for a fault to have happened."""
    return plan.orders < 200 and "never happened" in wrong  # noqa: PLR2004 - the demonstration's own size
