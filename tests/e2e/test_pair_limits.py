from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import aiohttp

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import Plan, place, settle
from towpath.demo.report import report, verdict
from towpath.demo.stack import Stack
from towpath.testing.figures import samples_of
from towpath.testing.waiting import until

ORDERS, BURST, PER_MINUTE = 120, 50, 600
MINUTE_SECONDS = 15.0
"""How much of the limit is used is for `make bench ONLY=burst` to say, with 500 orders."""
LATER = 40
PAGE = 1000
RATE = PER_MINUTE / MINUTE_SECONDS
API, THROTTLED, ANOTHER, PROGRAMS = "/api/v1/", 429, "another-program", 6


def limited(content: dict[str, Any]) -> None:
    """Declare the scaled limit, and poll nobody: every call is counted."""
    content["connections"][ERP]["limits"] |= {"requests_per_minute": round(RATE * 60), "burst": BURST}
    for connection in content["connections"].values():
        connection["poll_seconds"] = None


async def limit_bng(stack: Stack) -> None:
    """Start BNG again with its real limit, in the scaled minute."""
    path = stack.directory / f"sandbox-{ERP}.json"
    limit = {"requests_per_minute": PER_MINUTE, "burst": BURST, "minute_seconds": MINUTE_SECONDS}
    path.write_text(json.dumps({**json.loads(path.read_text()), **limit}))
    stack.kill(ERP)
    await stack.start()


async def calls_of(stack: Stack, after: int = 0) -> list[dict[str, Any]]:
    """Return every call of ours that BNG's journal has after that number, in the order in which they came."""
    found: list[dict[str, Any]] = []
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{stack.url(ERP)}/_sandbox/journal", params={"after": after, "limit": PAGE, "path": API}) as response:
                items = (await response.json())["items"]
            found += [call for call in items if ANOTHER not in call["headers"]]
            if len(items) < PAGE:
                return found
            after = items[-1]["seq"]


def kind_of(call: dict[str, Any]) -> str:
    """Return what a call is for, without whom it is about."""
    names = sorted(call["query"])
    return f"{call['method']} {call['path'].removeprefix(API)}" + (f"?{'&'.join(names)}" if names else "")


def share_of_budget(served: list[dict[str, Any]]) -> float:
    """Return the calls that were served as a share of those that the limit allowed from the first of them to the last."""
    first, last = (datetime.fromisoformat(served[at]["time"]) for at in (0, -1))
    return len(served) / (BURST + RATE * (last - first).total_seconds())


async def test_f01_orders_at_once_come_to_bng_within_its_limit_and_no_call_is_made_in_vain(start: Callable[..., Any]) -> None:
    async with start(changes=limited) as stack:
        await limit_bng(stack)
        await place(stack, orders=ORDERS, seed=8, customers=20)
        await settle(stack)
        await require_all(stack, ORDERS)
        calls = await calls_of(stack)
        served = [call for call in calls if call["status"] != THROTTLED]
        customers = Counter(map(kind_of, served))["POST customers"]
        assert needed(ORDERS, customers) == Counter(map(kind_of, served))
        assert len(calls) - len(served) <= len(served) * 0.01
        assert share_of_budget(served) <= 1.0
        await require_that_the_figures_say_so(stack, len(calls), len(calls) - len(served))

        spent = asyncio.Event()
        another = asyncio.create_task(spend(stack, spent))
        await asyncio.wait_for(spent.wait(), 60)
        await place(stack, orders=LATER, seed=9, first_id=1001 + ORDERS, customers=20)
        await until(lambda: throttled_after(stack, calls[-1]["seq"]), what="a call of ours was throttled")
        another.cancel()
        await settle(stack)
        await require_all(stack, ORDERS + LATER)
        later = await calls_of(stack, calls[-1]["seq"])
        throttled = sum(call["status"] == THROTTLED for call in later)
        served = [call for call in later if call["status"] != THROTTLED]
        customers = Counter(map(kind_of, served))["POST customers"]
        more = Counter(map(kind_of, served)) - needed(LATER, customers)
        assert not needed(LATER, customers) - Counter(map(kind_of, served))
        assert more.total() <= throttled  # a create that was throttled is looked up again
        assert set(more) <= {"GET sales-orders?externalOrderId", "GET customers?externalId"}


async def require_that_the_figures_say_so(stack: Stack, calls: int, throttled: int) -> None:
    """Require that what the roles count of themselves is what the systems and the topics have."""
    adapter, processor, sink = [await figures_of(stack, role) for role in ("adapter", "processor", "sink")]
    routed, gone = without_stock(processor, "towpath_routed_total"), without_stock(processor, "towpath_dropped_total")
    assert without_stock(adapter, "towpath_decoded_total") == routed + gone, "of stock a hold makes deliveries, too"
    assert sum(processor("towpath_routed_total")) == sum(sink("towpath_delivered_total"))
    assert sum(sink("towpath_delivered_total", operation="create_order", outcome="applied")) == ORDERS
    unanswered = sum(sink("towpath_call_seconds_count", answer="none"))
    assert sum(sink("towpath_call_seconds_count", connection=ERP)) - unanswered == calls
    assert sum(sink("towpath_throttled_total")) == throttled <= sum(sink("towpath_retries_total"))
    assert {0} == set(sink("towpath_in_flight")) == set(sink("towpath_circuit_open"))
    assert sum((await figures_of(stack, "receiver"))("towpath_received_total", connection=SHOP, via="webhook")) >= ORDERS
    for figures in (adapter, processor, sink):
        assert set(figures("towpath_lag_records")) == {0}


def without_stock(figures: Callable[..., list[float]], name: str) -> float:
    return sum(figures(name)) - sum(figures(name, event="StockChanged"))


async def figures_of(stack: Stack, role: str) -> Callable[..., list[float]]:
    """Return a function from a metric's name, and labels where only some matter, to what the role's /metrics shows of it."""
    shown = await samples_of(stack, role)

    def values(name: str, **labels: str) -> list[float]:
        return [sample.value for sample in shown if sample.name == name and labels.items() <= sample.labels.items()]

    return values


def needed(orders: int, customers: int) -> Counter[str]:
    """Return the calls that so many new orders of so many new customers need: a look-up and a create each."""
    return Counter(
        {
            "GET sales-orders?externalOrderId": orders,
            "POST sales-orders": orders,
            "GET customers?externalId": customers,
            "POST customers": customers,
        }
    )


async def require_all(stack: Stack, orders: int) -> None:
    """Require that all figures are 0, every order arrived, and nothing was given up."""
    result = await report(stack, Plan("bng-nopcommerce", orders, 8, "none"))
    assert verdict(result, "none") == []
    assert (orders, orders, 0, 0) == tuple(result[name] for name in ("orders_placed", "orders_in_target", "dead_letters", "parked"))


async def spend(stack: Stack, spent: asyncio.Event) -> None:
    """Spend BNG's limit three times over for as long as it runs, as other programs of the house with the same key might; say when it is spent."""
    url = f"{stack.url(ERP)}{API}sales-orders"
    async with aiohttp.ClientSession(headers={"X-Api-Key": str(stack.pair.erp_settings["api_key"]), ANOTHER: "1"}) as session:

        async def ask() -> None:
            while True:
                async with session.get(url, params={"externalOrderId": "none"}) as response:
                    assert response.status in {200, THROTTLED}
                    if response.status == THROTTLED:
                        spent.set()
                await asyncio.sleep(PROGRAMS / (3 * RATE))

        await asyncio.gather(*(ask() for _ in range(PROGRAMS)))


async def throttled_after(stack: Stack, after: int) -> bool:
    return any(call["status"] == THROTTLED for call in await calls_of(stack, after))
