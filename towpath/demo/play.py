"""Playing a bounded run: orders are placed, everything settles, the figures are taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from towpath.config import Config
from towpath.demo.pairs import ERP, SHOP, Pair
from towpath.demo.proof import Proof, prove, together
from towpath.demo.stack import Stack
from towpath.demo.stores import read_stores, session
from towpath.errors import RetryableError
from towpath.lag import behind, pipeline
from towpath.sandbox.kit.catalogue import catalogue
from towpath.startup import in_daemon
from towpath.topic_reader import TopicReader

LATE_COMMIT_SECONDS = 2.0
PLACE_SECONDS = 300.0
SETTLE_SECONDS = 300.0
PACE = 40.0
"""Orders a second of a pair that is played alone: more than two cores take, for a few seconds."""
PACE_TOGETHER = 8.0
"""Orders a second of all pairs at once: as many as two cores keep up with, since a shop may oversell for as long as Towpath is behind."""
FIRST_ORDER = 1001
LOOK_SECONDS = 0.5
LATER_SECONDS = 2.0  # so that what becomes of an order comes after the order
SCARCE = tuple(item.sku for item in catalogue()[:60:12])
SCARCE_PIECES = 12
CORRECTIONS = {"partial": 0.3, "cancel": 0.03, "counts": 10, "spare": 30, "receipts": 10, "returns": 5}
"""Nobody can keep a shop from selling a last piece that the warehouse has just found missing, so those are not among what counts take."""

Tell = Callable[[int, int], None]
"""Is told how many orders are at the ERPs, and how many were placed."""


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


async def place(stack: Stack, pair: Pair | None = None, /, *, orders: int, seed: int, **more: object) -> None:
    """Have the shopper of a pair's shop place orders; the stack's first pair, where none is given."""
    await ask(stack, (pair or stack.pair).name(SHOP), "shopper", {"orders": orders, "seed": seed, **more})


async def play(stack: Stack, plan: Plan, tell: Tell | None = None) -> None:
    """Play a bounded run: the shop sells, changes and cancels; then it sells on while the warehouse ships, counts, receives and takes back.

    A few products are made scarce first, so that the shop sells the last piece of each. Several pairs do so at once, under the same ids, with
    other goods in their orders.
    """
    played = [_Traffic(stack, pair, plan, index) for index, pair in enumerate(stack.pairs)]
    for act in (_Traffic.make_scarce, _Traffic.open, _Traffic.trade, _Traffic.top_up, _Traffic.ship):
        for one in played:
            await act(one)
        await settle(stack, tell)


@dataclass(frozen=True, slots=True)
class _Traffic:
    """One pair of a run; what is begun at a pace goes on while the next pair begins."""

    stack: Stack
    pair: Pair
    plan: Plan
    index: int

    @property
    def seed(self) -> int:
        """Another one for each pair, so that an order is told from another pair's that has the same number."""
        return self.plan.seed + self.index

    @property
    def first(self) -> int:
        """How many orders are placed before the warehouse begins."""
        return max(1, self.plan.orders * 3 // 5)

    async def make_scarce(self) -> None:
        for item in SCARCE:
            await self._work("/count", sku=item, on_hand=SCARCE_PIECES)

    async def open(self) -> None:
        edited = 0.05 if self.pair.takes("OrderChanged") else 0.0
        what = {} if self.pair.frees_cancelled else {"spare": CORRECTIONS["spare"]}
        await self._place(self.first, per_second=self._pace, cancelled=0.05, edited=edited, later_seconds=LATER_SECONDS, **what)

    async def trade(self) -> None:
        """Ship, count, receive and take back while the rest is sold; nothing is cancelled where the shop leaves that of paid orders to a person."""
        corrections = CORRECTIONS if self.pair.cancels_paid else CORRECTIONS | {"cancel": 0.0}
        await self._work(orders=self.plan.orders // 2 or 1, seed=self.seed, per_second=self._pace, **corrections)
        if self.plan.orders > self.first:
            rest = self.plan.orders - self.first
            await self._place(rest, first_id=FIRST_ORDER + self.first, per_second=self._pace, later_seconds=LATER_SECONDS)

    async def top_up(self) -> None:
        """Have others order in the place of those whom the shop had nothing left for."""
        first = FIRST_ORDER + self.plan.orders
        while missing := self.plan.orders - (await figures(self.stack, self.pair)).orders_placed:
            await self._place(missing, first_id=first)
            first += missing

    async def ship(self) -> None:
        await self._work(seed=self.seed, partial=CORRECTIONS["partial"])

    @property
    def _pace(self) -> float:
        return PACE if len(self.stack.pairs) == 1 else PACE_TOGETHER / len(self.stack.pairs)

    async def _place(self, orders: int, **more: object) -> None:
        await place(self.stack, self.pair, orders=orders, seed=self.seed, paid_later=0.5, **more)

    async def _work(self, what: str = "", /, **how: object) -> None:
        await ask(self.stack, self.pair.name(ERP), f"warehouse{what}", how)


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
        for name, who in ((pair.name(part), who) for pair in stack.pairs for part, who in ((SHOP, "shopper"), (ERP, "warehouse"))):
            async with http.get(f"{stack.url(name)}/_sandbox/{who}") as response:
                left[f"the {who} of {name}"] = int((await response.json())["busy"])
    if tell is not None:
        proof = together([await figures(stack, pair) for pair in stack.pairs])
        tell(proof.orders_in_target, proof.orders_placed)
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


async def figures(stack: Stack, pair: Pair | None = None) -> Proof:
    """Return the figures of a pair as its systems' stores give them now; the stack's first pair, where none is given."""
    pair = pair or stack.pair
    return prove(pair, await read_stores(pair, stack.url))
