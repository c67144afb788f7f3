"""(d) From the shop's webhook to BNG's order, through every role, beside one process that makes the same calls with nothing between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from benchmarks.asking import ask
from benchmarks.figures import Benchmark, Goal, Limit, Taken
from benchmarks.processes import measured, wait_until
from benchmarks.sizes import Sizes
from towpath.broker.ports import answers
from towpath.demo.pairs import ERP, SHOP, find_pair
from towpath.demo.play import figures, place, settle
from towpath.demo.stack import Stack

TITLE = "Latency: webhook to BNG's order, 50 orders a second"
METHOD = """The demonstration's whole stack: the sandbox shop places 50 orders a second and announces each by a webhook; receiver, adapter (which
fetches the order from the shop), processor and sink each in a process of their own, on the embedded Kafka. A latency runs from the moment the shop
made the webhook to the moment BNG made the order, by the sandbox systems' own records. The control is one process between the same two systems
that makes the same calls to the same people, and keeps nothing. Checked: each order is at BNG, once."""
OURS, BARE = "towpath, all roles", "bare relay"
GOALS = (Goal("p50 beside the bare relay", OURS, BARE, "p50_ms"), Goal("p99 beside the bare relay", OURS, BARE, "p99_ms"))
LIMITS = (Limit("p99 from webhook to order", OURS, "p99_ms", 500),)
PER_SECOND = 50.0
PAIR = "bng-nopcommerce"
SEED = 7


def run(folder: Path, sizes: Sizes) -> Benchmark:
    """Return what was measured."""
    orders = int(PER_SECOND * sizes.latency_seconds)
    benchmark = Benchmark("latency", TITLE, METHOD, goals=GOALS, limits=LIMITS)
    benchmark.add(BARE, asyncio.run(_played(Stack(folder / "bare", find_pair(PAIR)), _behind_relay, orders)))
    benchmark.add(OURS, asyncio.run(_played(Stack(folder / "ours", find_pair(PAIR)), _behind_roles, orders)))
    return benchmark


async def _behind_roles(stack: Stack, orders: int) -> None:
    await stack.start()
    await place(stack, orders=orders, seed=SEED, per_second=PER_SECOND)
    await settle(stack)


async def _behind_relay(stack: Stack, orders: int) -> None:
    for name, system in ((SHOP, stack.pair.shop), (ERP, stack.pair.erp)):
        stack.start_sandbox(name, system)
        await asyncio.to_thread(wait_until, partial(answers, stack.ports[name]), f"the sandbox {system}")
    with measured(stack.directory / "relay.log", "benchmarks.relay", str(stack.config_path)):
        await asyncio.to_thread(wait_until, lambda: answers(stack.ports["receiver"]), "the relay to listen")
        await place(stack, orders=orders, seed=SEED, per_second=PER_SECOND)
        until = time.monotonic() + orders / PER_SECOND + 60
        while not await _all_there(stack, orders) and time.monotonic() < until:  # noqa: ASYNC110 - the sandbox tells of no event
            await asyncio.sleep(0.5)


async def _all_there(stack: Stack, orders: int) -> bool:
    if ask(f"{stack.url(SHOP)}/_sandbox/shopper")["done"] < orders:
        return False
    proof = await figures(stack)
    return proof.orders_in_target == proof.orders_placed


async def _played(stack: Stack, play: Callable[[Stack, int], Awaitable[None]], orders: int) -> Taken:
    stack.write()
    try:
        await play(stack, orders)
        proof = await figures(stack)
    finally:
        await stack.stop()
    latency = {name: value or 0.0 for name, value in proof.latency_ms.items()}
    told = {
        "orders are not at BNG": len(proof.missing),
        "orders or customers stand twice": proof.duplicates,
        "orders could not be placed": orders - proof.orders_placed,
    }
    problems = [f"{many} {what}" for what, many in told.items() if many]
    return Taken({"p50_ms": latency["p50"], "p99_ms": latency["p99"], "orders_per_s": proof.events_per_s or 0.0}, problems)
