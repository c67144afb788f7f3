"""The JSON object of a run, and what is wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from towpath.demo.pairs import ERP, RATES, SHOP, Pair
from towpath.demo.play import Plan, figures
from towpath.demo.proof import Proof, first_holds, quantiles, stock_waits, together
from towpath.demo.stack import Stack
from towpath.index.asking import told_letters
from towpath.startup import in_daemon

KAFKA_SECONDS = 60.0
ZERO = (
    "duplicates",
    "strays",
    "lost",
    "oversold",
    "stock_mismatches",
    "shipments_missing",
    "status_mismatches",
    "total_mismatches",
)


async def report(stack: Stack, plan: Plan) -> dict[str, Any]:
    """Return the run's JSON object; raises TimeoutError where Kafka stops answering.

    Of several pairs it has the sums, each pair's own object, and how many ids all of their shops have in common.
    `oversell_window_ms` tells how long after a checkout its goods are held: a number that rose at the ERP and is written to the shop in between
    may be too high by that order. `stock_window_ms` tells how long after a change at the ERP the shop has the number: what was lost there may
    still be sold in between.
    """
    proofs = [await figures(stack, pair) for pair in stack.pairs]
    try:
        async with asyncio.timeout(KAFKA_SECONDS):
            told = await in_daemon(lambda: Told.read(stack))
    except TimeoutError:
        raise TimeoutError(f"reading Kafka took more than {KAFKA_SECONDS:g} s") from None
    return summary(plan, stack.pairs, proofs, told)


@dataclass(frozen=True, slots=True)
class Told:
    """What the topics say of a run: open dead letters and parked records, when each order held its goods, and how long stock took to each shop."""

    letters: Sequence[Mapping[str, Any]]
    held: Mapping[str, datetime]
    waits: Mapping[str, Sequence[float]]

    @classmethod
    def read(cls, stack: Stack) -> Told:
        """Return what the topics of a stack say now."""
        config, shops = stack.config(), [pair.name(SHOP) for pair in stack.pairs]
        return cls(told_letters(config), first_holds(config.kafka), {shop: stock_waits(config.kafka, shop) for shop in shops})

    def without(self, pairs: Sequence[Pair]) -> Told:
        """Return it without the letters of these pairs; what is nobody's stays."""
        names = {name for pair in pairs for name in pair.sandboxes}
        return replace(self, letters=[letter for letter in self.letters if letter["connection"] not in names])


def summary(plan: Plan, pairs: Sequence[Pair], proofs: Sequence[Proof], told: Told) -> dict[str, Any]:
    """Return the JSON object of a run of these pairs, each with its proof."""
    each: dict[str, dict[str, Any]] = {}
    for pair, proof in zip(pairs, proofs, strict=True):
        others = [one for one in pairs if one is not pair]
        each[pair.label] = _figures(pair.label, plan.seed, [pair], proof, told.without(others))
    if len(each) == 1:
        return each[pairs[0].label]
    whole = together(proofs)
    shared = {kind: len(ids) for kind, ids in whole.ids.items()}
    return {**_figures(plan.pair, plan.seed, pairs, whole, told), "shared_ids": shared, "pairs": each}


def _figures(label: str, seed: int, pairs: Sequence[Pair], proof: Proof, told: Told) -> dict[str, Any]:
    dead = {letter["business_key"] for letter in told.letters}
    return {
        "pair": label,
        "seed": seed,
        "orders_placed": proof.orders_placed,
        "orders_in_target": proof.orders_in_target,
        "duplicates": proof.duplicates,
        "strays": proof.strays,
        "lost": sum(key not in dead for key in proof.missing),
        "dead_letters": sum(letter["state"] == "dead" for letter in told.letters),
        "parked": sum(letter["state"] == "parked" for letter in told.letters),
        "oversold": proof.oversold,
        "oversell_window_ms": proof.window(told.held),
        "stock_window_ms": quantiles(sorted(wait for pair in pairs for wait in told.waits[pair.name(SHOP)])),
        "stock_mismatches": proof.stock_mismatches,
        "shipments_missing": proof.shipments_missing,
        "status_mismatches": proof.status_mismatches,
        "total_mismatches": proof.total_mismatches,
        "shipments": proof.shipments,
        "faults_injected": dict(proof.faults),
        "rate_limits": {pair.name(part): limits for pair in pairs for part, limits in ((ERP, RATES), (SHOP, None))},
        "latency_ms": proof.latency_ms,
        "events_per_s": proof.events_per_s,
    }


def verdict(result: Mapping[str, Any], faults: str) -> list[str]:
    """Return what is wrong with a run, nothing where it holds."""
    if "pairs" in result:
        wrong = [f"{name}: {what}" for name, one in result["pairs"].items() for what in verdict(one, faults)]
        apart = [kind for kind in ("orders", "products") if not result["shared_ids"][kind]]  # who buys twice in a short run is left to chance
        return wrong + [f"no id of {kind} is in every shop, so this run proves nothing of ids that overlap" for kind in apart]
    wrong = [f"{name}: {result[name]}, must be 0" for name in ZERO if result[name]]
    if faults == "mild":
        expected = ("unavailable", "response_lost", "late_commit", "webhook_duplicate", "webhook_shuffle")
        wrong += [f"the fault {kind} never happened, so this run proves nothing of it" for kind in expected if not result["faults_injected"][kind]]
    return wrong
