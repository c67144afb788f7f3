"""(d) From the shop's webhook to BNG's order, through every role, beside one process that makes the same calls with nothing between."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.asking import ask
from benchmarks.figures import Benchmark, Goal, Limit, Taken
from benchmarks.processes import measured, wait_until
from benchmarks.sizes import Sizes
from towpath.broker.ports import answers
from towpath.demo.pairs import ERP, SHOP, find_pair
from towpath.demo.play import figures, place, settle
from towpath.demo.stack import Stack

TITLE = "Latency: webhook to BNG's order, 50 orders a second"
METHOD = """The demonstration's stack: the sandbox shop places 50 orders a second and announces each by a webhook; receiver, adapter (which fetches
the order from the shop), processor and sink each in a process of their own, on the embedded Kafka. A latency runs from the moment the shop made the
webhook to the moment BNG made the order, by the sandbox systems' own records. The control is one process between the same two systems that makes
the same calls to the same people, and keeps nothing. Both are measured with orders as the only flow, nobody polling and no webhooks from BNG; and
ours besides with everything that the demonstration has, where each order moves stock at BNG and at the shop too, and its payment and its change of
status come back: that is as much as two cores take which run both systems and Kafka as well. Checked: each order is at BNG, once."""
OURS, ALL, BARE = "towpath, orders alone", "towpath, all flows of the pair", "bare relay"
GOALS = (Goal("p50 beside the bare relay", OURS, BARE, "p50_ms"), Goal("p99 beside the bare relay", OURS, BARE, "p99_ms"))
LIMITS = (Limit("p99 from webhook to order", OURS, "p99_ms", 500),)
PER_SECOND = 50.0
PAIR = "bng-nopcommerce"
SEED = 7
ORDERS_ALONE = replace(find_pair(PAIR), flows={"shop-orders-to-erp": find_pair(PAIR).flows["shop-orders-to-erp"]})


def run(folder: Path, sizes: Sizes) -> Benchmark:
    """Return what was measured."""
    orders = int(PER_SECOND * sizes.latency_seconds)
    benchmark = Benchmark("latency", TITLE, METHOD, goals=GOALS, limits=LIMITS)
    for name, play in ((BARE, _behind_relay), (OURS, _behind_roles)):
        stack = Stack(folder / play.__name__, ORDERS_ALONE, changes=_without_polls)
        stack.write()
        _silence(stack)
        benchmark.add(name, asyncio.run(_played(stack, play, orders)))
    stack = Stack(folder / "all", find_pair(PAIR))
    stack.write()
    benchmark.add(ALL, asyncio.run(_played(stack, _behind_roles, orders)))
    return benchmark


def _without_polls(content: dict[str, Any]) -> None:
    for connection in content["connections"].values():
        connection["poll_seconds"] = None


def _silence(stack: Stack) -> None:
    """Have BNG send no webhooks."""
    path = stack.directory / f"sandbox-{ERP}.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"webhook_url": None}), encoding="utf-8")


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
