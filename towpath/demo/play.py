"""Playing a bounded run: orders are placed, everything settles, the figures are taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from towpath.demo.pairs import ERP, RATES, SHOP
from towpath.demo.proof import Proof, prove, read_stores, session
from towpath.demo.stack import Stack
from towpath.errors import RetryableError
from towpath.events import AGGREGATES
from towpath.index.asking import told_letters
from towpath.lag import lag, pipeline
from towpath.startup import in_daemon

LATE_COMMIT_SECONDS = 2.0
PLACE_SECONDS = 300.0
SETTLE_SECONDS = 300.0
LETTERS_SECONDS = 60.0

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
    body, timeout = {"orders": orders, "seed": seed, **more}, aiohttp.ClientTimeout(total=PLACE_SECONDS)
    async with session() as http, http.post(f"{stack.url(SHOP)}/_sandbox/shopper", json=body, timeout=timeout) as response:
        response.raise_for_status()


async def settle(stack: Stack, tell: Tell | None = None, seconds: float = SETTLE_SECONDS) -> None:
    """Return when every webhook is accepted and every group has caught up, and late commits have come.

    Raises:
        TimeoutError: it has not come to that; says what was left, or what kept from knowing it.
        ConfigError: a process of the stack has ended.
    """
    waiting, quiet = "neither the sandbox nor Kafka has told what is left", 0
    try:
        async with asyncio.timeout(seconds):
            while quiet < 2:  # noqa: PLR2004 - twice in a row, since a record may be between two groups
                await asyncio.sleep(0.5)
                stack.require_running()
                try:
                    waiting = ", ".join(f"{count} at {name}" for name, count in (await _left(stack, tell)).items() if count)
                except (aiohttp.ClientError, TimeoutError, RetryableError) as error:
                    waiting = f"{type(error).__name__} {error}"
                quiet = 0 if waiting else quiet + 1
            await asyncio.sleep(LATE_COMMIT_SECONDS + 0.5)
    except TimeoutError:
        raise TimeoutError(f"not settled after {seconds:g} s: {waiting}") from None


async def _left(stack: Stack, tell: Tell | None) -> dict[str, int]:
    """Return how much waits at the shop and before each consumer group."""
    async with session() as http:
        async with http.get(f"{stack.url(SHOP)}/_sandbox/stats") as response:
            webhooks = int((await response.json())["webhooks_pending"])
        async with http.get(f"{stack.url(SHOP)}/_sandbox/shopper") as response:
            shopping = bool((await response.json())["busy"])
    if tell is not None:
        proof = await figures(stack)
        tell("orders at BNG", proof.orders_in_target, proof.orders_placed)
    return {"the shop's webhooks": webhooks, "the shopper": int(shopping), **await in_daemon(lambda: _behind(stack))}


def _behind(stack: Stack) -> dict[str, int]:
    config = stack.config()
    groups = pipeline([SHOP], [ERP], sorted(set(AGGREGATES.values())))
    return {group: lag(config.kafka, group, topics) for group, topics in groups.items()}


async def figures(stack: Stack) -> Proof:
    """Return the figures as the systems' stores give them now."""
    return prove(await read_stores(stack.url(SHOP), stack.url(ERP)), stack.pair.reference_prefix)


async def report(stack: Stack, plan: Plan) -> dict[str, Any]:
    """Return the run's JSON object; figures that no flow of the pair gives yet are None. Raises TimeoutError where Kafka stops answering."""
    proof = await figures(stack)
    try:
        async with asyncio.timeout(LETTERS_SECONDS):
            open_letters = await in_daemon(lambda: told_letters(stack.config()))
    except TimeoutError:
        raise TimeoutError(f"reading the dead letters took more than {LETTERS_SECONDS:g} s") from None
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
