"""Playing a bounded run: orders are placed, everything settles, the figures are taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from towpath.demo.pairs import ERP, RATES, SHOP
from towpath.demo.proof import Proof, prove, read_stores
from towpath.demo.stack import Stack
from towpath.errors import RetryableError
from towpath.events import AGGREGATES
from towpath.lag import lag, pipeline
from towpath.workbench import letters

LATE_COMMIT_SECONDS = 2.0
SETTLE_SECONDS = 300.0

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is played."""

    pair: str
    orders: int
    seed: int
    faults: str


def fault_settings(plan: Plan) -> dict[str, Any]:
    """Return the sandbox's fault settings of a plan."""
    return {"preset": plan.faults, "seed": plan.seed, "late_commit_seconds": LATE_COMMIT_SECONDS}


async def place(stack: Stack, *, orders: int, seed: int, **more: object) -> None:
    """Have the shop's shopper place orders."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{stack.url(SHOP)}/_sandbox/shopper", json={"orders": orders, "seed": seed, **more}) as response,
    ):
        response.raise_for_status()


async def settle(stack: Stack, tell: Tell | None = None, seconds: float = SETTLE_SECONDS) -> None:
    """Return when every webhook is accepted and every group has caught up, and late commits have come; raises TimeoutError."""
    async with asyncio.timeout(seconds):
        quiet = 0
        while quiet < 2:  # noqa: PLR2004 - twice in a row, since a record may be between two groups
            await asyncio.sleep(0.5)
            left = await _left(stack, tell)
            quiet = quiet + 1 if left == 0 else 0
        await asyncio.sleep(LATE_COMMIT_SECONDS + 0.5)


async def _left(stack: Stack, tell: Tell | None) -> int:
    try:
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{stack.url(SHOP)}/_sandbox/stats") as response:
                webhooks = int((await response.json())["webhooks_pending"])
            async with session.get(f"{stack.url(SHOP)}/_sandbox/shopper") as response:
                webhooks += bool((await response.json())["busy"])
        if tell is not None:
            proof = await figures(stack)
            tell("orders at BNG", proof.orders_in_target, proof.orders_placed)
        return webhooks + await asyncio.to_thread(_behind, stack)
    except (aiohttp.ClientError, RetryableError):
        return -1


def _behind(stack: Stack) -> int:
    config = stack.config()
    groups = pipeline([SHOP], [ERP], sorted(set(AGGREGATES.values())))
    return sum(lag(config.kafka, group, topics) for group, topics in groups.items())


async def figures(stack: Stack) -> Proof:
    """Return the figures as the systems' stores give them now."""
    return prove(await read_stores(stack.url(SHOP), stack.url(ERP)), stack.pair.reference_prefix)


async def report(stack: Stack, plan: Plan) -> dict[str, Any]:
    """Return the run's JSON object; figures that no flow of the pair gives yet are None."""
    proof = await figures(stack)
    open_letters = [letter for letter in await asyncio.to_thread(letters, stack.config()) if letter["open"]]
    dead = {letter["business_key"] for letter in open_letters}
    keys = [f"{SHOP}/order/{reference.removeprefix(stack.pair.reference_prefix)}" for reference in proof.missing]
    return {
        "pair": plan.pair,
        "seed": plan.seed,
        "orders_placed": proof.orders_placed,
        "orders_in_target": proof.orders_in_target,
        "duplicates": proof.duplicates,
        "lost": sum(key not in dead for key in keys),
        "dead_letters": sum(letter["state"] == "dead" for letter in open_letters),
        "parked": sum(letter["state"] == "parked" for letter in open_letters),
        "oversold": None,
        "stock_mismatches": None,
        "shipments_missing": None,
        "faults_injected": dict(proof.faults),
        "rate_limits": {ERP: RATES, SHOP: None},
        "latency_ms": dict(proof.latency_ms),
        "events_per_s": proof.events_per_s,
    }


def verdict(result: Mapping[str, Any], faults: str) -> list[str]:
    """Return what is wrong with a run, nothing where it holds."""
    wrong = [f"{name}: {result[name]}, must be 0" for name in ("duplicates", "lost") if result[name]]
    if faults == "mild":
        expected = ("unavailable", "response_lost", "late_commit", "webhook_duplicate", "webhook_shuffle")
        wrong += [f"the fault {kind} never happened, so this run proves nothing of it" for kind in expected if not result["faults_injected"][kind]]
    return wrong
