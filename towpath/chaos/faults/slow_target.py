"""A target that answers each write after ten seconds, and some not at all: what goes to the others must not wait for it."""

from __future__ import annotations

import asyncio
import itertools
import statistics
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from towpath.chaos.arena import Arena
from towpath.chaos.evidence import read_topics
from towpath.chaos.fault import Fault, Needs
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.delivery.alone import OUTLASTING_SECONDS
from towpath.delivery.deadletters import RECEIPTS
from towpath.demo.pairs import ERP, SHOP
from towpath.errors import DataError
from towpath.kafka import KafkaSettings, make_admin
from towpath.lag import pipeline
from towpath.startup import in_daemon

SLOW: Final = {"write_latency_ms": 10_000.0, "late_commit": 0.01}
ROUND_SECONDS, LEAST_ROUNDS, MOST_ROUNDS = 12.0, 3, 10
BETWEEN_COUNTS, STRAGGLERS_SECONDS = 0.2, 3.0
MOST_RISE: Final = 1.10
ASK_SECONDS = 10.0


class Round(NamedTuple):
    """A while in which the ERP was slow, or was not."""

    slow: bool
    began: datetime
    ended: datetime


async def slow(arena: Arena) -> int:
    """Have the ERP be slow in every second round, and count stock in all, which goes to the shop; return how many rounds were slow."""
    config, rounds = arena.stack.config(), list[Round]()
    skus = itertools.cycle(sorted({row["SKU"] for row in await arena.rows(ERP, "inventory")}))
    groups = list(pipeline(config))
    before = await in_daemon(lambda: _members(config.kafka, groups))
    for number in range(2 * arena.run.share_of(MOST_ROUNDS, LEAST_ROUNDS)):
        await arena.dial(ERP, **(SLOW if number % 2 else {}))
        began, ends = SystemClock().now(), asyncio.get_running_loop().time() + ROUND_SECONDS
        while asyncio.get_running_loop().time() < ends:
            await arena.call(ERP, "POST", "warehouse/receive", {"sku": next(skus), "warehouse": "MAIN", "quantity": 1})
            await asyncio.sleep(BETWEEN_COUNTS)
        rounds.append(Round(bool(number % 2), began, SystemClock().now()))
        await asyncio.sleep(STRAGGLERS_SECONDS)
    await arena.dial(ERP)
    arena.notes |= {"rounds": rounds, "members": (before, await in_daemon(lambda: _members(config.kafka, groups)))}
    return sum(one.slow for one in rounds)


def _members(kafka: KafkaSettings, groups: Sequence[str]) -> dict[str, frozenset[str]]:
    """Return who is in each group."""
    admin = make_admin(kafka)
    told = admin.describe_consumer_groups(list(groups), request_timeout=OUTLASTING_SECONDS)
    return {group: frozenset(member.member_id for member in future.result(ASK_SECONDS).members) for group, future in told.items()}


async def others_unharmed(arena: Arena) -> Sequence[str]:
    """Say where stock came later to the shop while the ERP was slow, and who fell out of its group."""
    kafka, rounds = arena.stack.config().kafka, arena.notes["rounds"]
    waits = await in_daemon(lambda: _waits(kafka))
    found = {
        slow: [_p95([wait for at, wait in waits if one.began <= at <= one.ended]) for one in rounds if one.slow is slow] for slow in (False, True)
    }
    if silent := sum(one == float("inf") for one in found[False]):
        return [f"no stock came to the shop in {silent} of the rounds in which the ERP was well: there is nothing to compare with"]
    allowed = max(MOST_RISE * statistics.median(found[False]), *found[False])
    arena.notes["p95"] = found
    risen = statistics.median(found[True])
    late = [f"95 % of stock came to the shop within {risen:.2f} s while the ERP was slow, {allowed:.2f} s are allowed"] if risen > allowed else []
    before, after = arena.notes["members"]
    return late + [f"{group} lost members" for group, members in before.items() if not members <= after[group]]


def _waits(kafka: KafkaSettings) -> list[tuple[datetime, float]]:
    """Return when each change of stock happened at the ERP, and after how many seconds its number was first written to the shop."""
    changed: dict[str, datetime] = {}
    done: dict[str, datetime] = {}
    for record in read_topics(kafka, [f"deliver.{SHOP}", RECEIPTS]):
        try:
            kind, told = default_codec().decode(record.value)
        except DataError:
            continue
        if kind == "Delivery" and told["event_type"] == "StockChanged":
            changed[told["event_id"]] = told["occurred_at"]
        elif kind == "Receipt" and told["connection"] == SHOP and told["outcome"] == "applied":
            done[told["event_id"]] = min(told["at"], done.get(told["event_id"], told["at"]))
    return [(at, (done[event_id] - at).total_seconds()) for event_id, at in changed.items() if event_id in done]


def _p95(waits: Sequence[float]) -> float:
    return sorted(waits)[int(0.95 * len(waits))] if waits else float("inf")


def patient(content: dict[str, Any]) -> None:
    """Wait longer for the ERP's answer than it takes."""
    content["connections"][ERP]["limits"] |= {"request_timeout_seconds": 20}


FAULTS = (Fault("F9", "one target answers writes after ten seconds, and one in a hundred not at all", slow, Needs(config=patient), others_unharmed),)
