"""Playing a bounded run: orders are placed, everything settles, the figures are taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from towpath.config import Config
from towpath.demo.pairs import ERP, RATES, SHOP, THREEPL
from towpath.demo.proof import Proof, first_holds, prove, quantiles, read_stores, session, stock_waits
from towpath.demo.stack import Stack
from towpath.errors import RetryableError
from towpath.index.asking import told_letters
from towpath.lag import behind, pipeline
from towpath.sandbox.kit.catalogue import catalogue
from towpath.startup import in_daemon
from towpath.topic_reader import TopicReader

LATE_COMMIT_SECONDS = 2.0
PLACE_SECONDS = 300.0
SETTLE_SECONDS = 300.0
LETTERS_SECONDS = 60.0
PACE = 40.0
LOOK_SECONDS = 0.5
LATER_SECONDS = 2.0  # so that what becomes of an order comes after the order
SCARCE = tuple(item.sku for item in catalogue()[:60:12])
SCARCE_PIECES = 12
CORRECTIONS = {"partial": 0.3, "cancel": 0.03, "counts": 10, "spare": 30, "receipts": 10, "returns": 5}
"""Nobody can keep a shop from selling a last piece that the warehouse has just found missing, so those are not among what counts take."""
ZERO = ("duplicates", "lost", "oversold", "stock_mismatches", "shipments_missing", "status_mismatches")

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
    await ask(stack, SHOP, "shopper", {"orders": orders, "seed": seed, **more})


def corrections(stack: Stack) -> dict[str, float]:
    """Return what the warehouse corrects; it cancels no orders where the shop leaves that of paid ones to a person, who is none of the demo."""
    return CORRECTIONS if stack.pair.cancels_paid else CORRECTIONS | {"cancel": 0.0}


async def play(stack: Stack, plan: Plan, tell: Tell | None = None) -> None:
    """Play a bounded run: the shop sells, changes and cancels; then it sells on while the warehouse ships, counts, receives and takes back.

    A few products are made scarce first, so that the shop sells the last piece of each.
    """
    for item in SCARCE:
        await ask(stack, ERP, "warehouse/count", {"sku": item, "on_hand": SCARCE_PIECES})
    await settle(stack, tell)
    first = max(1, plan.orders * 3 // 5)
    edited = 0.05 if stack.pair.takes("OrderChanged") else 0.0
    await place(stack, orders=first, seed=plan.seed, per_second=PACE, paid_later=0.5, cancelled=0.05, edited=edited, later_seconds=LATER_SECONDS)
    await settle(stack, tell)
    await ask(stack, ERP, "warehouse", {"orders": plan.orders // 2 or 1, "seed": plan.seed, "per_second": PACE, **corrections(stack)})
    if plan.orders > first:
        await place(
            stack, orders=plan.orders - first, seed=plan.seed, per_second=PACE, first_id=1001 + first, paid_later=0.5, later_seconds=LATER_SECONDS
        )
    await settle(stack, tell)
    await _top_up(stack, plan)
    await settle(stack, tell)
    await ask(stack, ERP, "warehouse", {"seed": plan.seed, "partial": 0.3})
    await settle(stack, tell)


async def _top_up(stack: Stack, plan: Plan) -> None:
    """Have others order in the place of those whom the shop had nothing left for."""
    first = 1001 + plan.orders
    while missing := plan.orders - (await figures(stack)).orders_placed:
        await place(stack, orders=missing, seed=plan.seed, first_id=first, paid_later=0.5)
        first += missing


async def ask(stack: Stack, name: str, what: str, body: Mapping[str, Any]) -> None:
    """Have a system's sandbox do something: `what` is the path after `/_sandbox/`."""
    timeout = aiohttp.ClientTimeout(total=PLACE_SECONDS)
    async with session() as http, http.post(f"{stack.url(name)}/_sandbox/{what}", json=body, timeout=timeout) as response:
        response.raise_for_status()


async def settle(stack: Stack, tell: Tell | None = None, seconds: float = SETTLE_SECONDS) -> None:
    """Return when every webhook is accepted, every late commit has come, and every group has caught up.

    Raises:
        TimeoutError: it has not come to that; says what was left, or what kept from knowing it.
        ConfigError: a process of the stack has ended.
    """
    waiting, times, groups = "neither the sandbox nor Kafka has told what is left", 0, Groups(stack.config())
    try:
        async with asyncio.timeout(seconds):
            while times < 2:  # noqa: PLR2004 - twice in a row, since a record may be between two groups
                await asyncio.sleep(LOOK_SECONDS)
                stack.require_running()
                try:
                    left = await _left(stack, tell)
                    if not any(left.values()):
                        left = await in_daemon(groups.behind)
                    waiting = ", ".join(f"{count} at {name}" for name, count in left.items() if count)
                except (aiohttp.ClientError, TimeoutError, RetryableError) as error:
                    waiting = f"{type(error).__name__} {error}"
                times = 0 if waiting else times + 1
    except TimeoutError:
        raise TimeoutError(f"not settled after {seconds:g} s: {waiting}") from None
    groups.close()


async def _left(stack: Stack, tell: Tell | None) -> dict[str, int]:
    """Return how much waits at the systems."""
    left: dict[str, int] = {}
    async with session() as http:
        for name in stack.sandboxes:
            async with http.get(f"{stack.url(name)}/_sandbox/stats") as response:
                stats = await response.json()
                left[f"the webhooks of {name}"] = int(stats["webhooks_pending"])
                left[f"the late commits of {name}"] = int(stats["late_commits_pending"])
                left[f"the crew of {name}"] = int(stats.get("busy", False))
        for name, who in ((SHOP, "shopper"), (ERP, "warehouse")):
            async with http.get(f"{stack.url(name)}/_sandbox/{who}") as response:
                left[f"the {who}"] = int((await response.json())["busy"])
    if tell is not None:
        proof = await figures(stack)
        tell("orders at BNG", proof.orders_in_target, proof.orders_placed)
    return left


class Groups:
    """The consumer groups of a configuration, asked again and again over the same connections."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._reader: TopicReader | None = None

    def behind(self) -> dict[str, int]:
        """Return how many records each group has yet to read; raises as the reader does."""
        if self._reader is None:
            self._reader = TopicReader(self._config.kafka)
        return behind(self._reader, pipeline(self._config))

    def close(self) -> None:
        """Leave Kafka."""
        if self._reader is not None:
            self._reader.close()


async def figures(stack: Stack) -> Proof:
    """Return the figures as the systems' stores give them now."""
    threepl = stack.url(THREEPL) if THREEPL in stack.sandboxes else None
    stores = await read_stores(stack.url(SHOP), stack.url(ERP), stack.pair.shop, erp_system=stack.pair.erp, threepl=threepl)
    return prove(stores, stack.pair.reference_prefix)


async def report(stack: Stack, plan: Plan) -> dict[str, Any]:
    """Return the run's JSON object; raises TimeoutError where Kafka stops answering.

    `oversell_window_ms` tells how long after a checkout its goods are held: a number that rose at the ERP and is written to the shop in between
    may be too high by that order. `stock_window_ms` tells how long after a change at the ERP the shop has the number: what was lost there may
    still be sold in between.
    """
    proof = await figures(stack)
    try:
        async with asyncio.timeout(LETTERS_SECONDS):
            open_letters = await in_daemon(lambda: told_letters(stack.config()))
            held = await in_daemon(lambda: first_holds(stack.config().kafka))
            waits = await in_daemon(lambda: stock_waits(stack.config().kafka))
    except TimeoutError:
        raise TimeoutError(f"reading Kafka took more than {LETTERS_SECONDS:g} s") from None
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
        "oversold": proof.oversold,
        "oversell_window_ms": proof.window(held),
        "stock_window_ms": quantiles(waits),
        "stock_mismatches": proof.stock_mismatches,
        "shipments_missing": proof.shipments_missing,
        "status_mismatches": proof.status_mismatches,
        "shipments": proof.shipments,
        "faults_injected": dict(proof.faults),
        "rate_limits": {ERP: RATES, SHOP: None},
        "latency_ms": dict(proof.latency_ms),
        "events_per_s": proof.events_per_s,
    }


def verdict(result: Mapping[str, Any], faults: str) -> list[str]:
    """Return what is wrong with a run, nothing where it holds."""
    wrong = [f"{name}: {result[name]}, must be 0" for name in ZERO if result[name]]
    if faults == "mild":
        expected = ("unavailable", "response_lost", "late_commit", "webhook_duplicate", "webhook_shuffle")
        wrong += [f"the fault {kind} never happened, so this run proves nothing of it" for kind in expected if not result["faults_injected"][kind]]
    return wrong
