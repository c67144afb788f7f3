from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from towpath.codec import default_codec
from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import Plan, place, settle
from towpath.demo.report import report, verdict
from towpath.demo.stack import ROLES, Stack
from towpath.index.asking import told_letters
from towpath.lag import lag
from towpath.testing.reading import read_all
from towpath.testing.waiting import until

OUTAGE_SECONDS, PROBE_SECONDS = 27.0, 1.0
"""Of ten hours: what may happen in them happens once a probe, and each probe costs the same, so the count of probes is what is kept small."""
OPENING_SECONDS = 3.0
ORDERS, PER_SECOND = 150, 15.0
GROWTH_MIB = 16.0
OF_ORDER = f"{SHOP}/order/"
CHANGES = {"paid_later": 0.5, "cancelled": 0.05, "edited": 0.05}


def patient(content: dict[str, Any]) -> None:
    """Probe once a second, and poll BNG all the while, so that two roles want to know whether it is there."""
    content["connections"][ERP]["limits"] |= {"probe_seconds": PROBE_SECONDS}
    content["connections"][ERP]["poll_seconds"] = 1


class DeadBng:
    """What listens at BNG's address while BNG is dead: takes connections, answers nothing, and notes when each came."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.attempts: list[float] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._refuse, "127.0.0.1", self._port)
        self.began = asyncio.get_running_loop().time()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _refuse(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.attempts.append(asyncio.get_running_loop().time() - self.began)
        writer.transport.abort()


def pids(stack: Stack) -> dict[str, int]:
    found = {role: stack.pid_of(role) for role in ROLES}
    return {role: pid for role, pid in found.items() if pid is not None}


def memory_mib(pid: int) -> float:
    """Return what a process has in memory."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def waiting(stack: Stack) -> int:
    return lag(stack.config().kafka, f"sink.{ERP}", [f"deliver.{ERP}"])


async def all_wait(stack: Stack) -> bool:
    return await asyncio.to_thread(waiting, stack) >= ORDERS


async def test_f01_f24_bng_is_down_for_hours_while_the_shop_sells_and_then_all_of_it_comes_in_order(start: Callable[..., Any]) -> None:
    async with start(changes=patient) as stack:
        await place(stack, orders=40, seed=1, **CHANGES)
        await settle(stack)
        before = pids(stack)
        assert set(before) == set(ROLES)
        used = {role: memory_mib(pid) for role, pid in before.items()}
        stack.kill(ERP)
        async with DeadBng(stack.ports[ERP]) as dead:
            await place(stack, orders=ORDERS, seed=2, first_id=2001, per_second=PER_SECOND, **CHANGES)
            await asyncio.sleep(OUTAGE_SECONDS)  # the outage itself
            grown = {role: memory_mib(pid) - used[role] for role, pid in before.items()}
            assert pids(stack) == before, stack.log_tail("up", 60)
            await until(lambda: all_wait(stack), what=f"{ORDERS} deliveries wait for BNG")
            assert await asyncio.to_thread(told_letters, stack.config(), everything=True) == []
        open_attempts = [at for at in dead.attempts if at > OPENING_SECONDS]
        assert [] == [(one, other) for one, other in itertools.pairwise(open_attempts) if other - one < 0.9 * PROBE_SECONDS]
        assert len(open_attempts) >= (OUTAGE_SECONDS - OPENING_SECONDS) / PROBE_SECONDS / 2
        assert {role: mib for role, mib in grown.items() if mib > GROWTH_MIB} == {}
        await stack.start()
        await settle(stack)
        assert pids(stack) == before, stack.log_tail("up", 60)
        result = await report(stack, Plan("bng-nopcommerce", 40 + ORDERS, 2, "none"))
        assert verdict(result, "none") == []
        assert (result["orders_placed"], result["dead_letters"], result["parked"]) == (result["orders_in_target"], 0, 0)
        asked, done = await asyncio.to_thread(histories, stack)
        assert len(asked) == result["orders_placed"]
        assert asked == done


def histories(stack: Stack) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the events that BNG was to be told of each order, and those that it was told of, in order."""
    asked, done = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for record in read_all(stack.config().kafka, [f"deliver.{ERP}"]):
        delivery = default_codec().decode_as("Delivery", record.value)
        if delivery["key"].startswith(OF_ORDER):
            asked[delivery["key"]].append(delivery["event_id"])
    for record in read_all(stack.config().kafka, ["receipts"]):
        receipt = default_codec().decode_as("Receipt", record.value)
        if receipt["hop"] == "sink" and receipt["connection"] == ERP and receipt["key"].startswith(OF_ORDER):
            done[receipt["key"]].append(receipt["event_id"])
    return asked, done
