"""Where faults are injected: a stack, with proxies in some hops and some roles as processes that can be killed one by one."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from towpath.broker import Broker
from towpath.chaos.disks import Disk
from towpath.chaos.fault import Needs, Run
from towpath.chaos.proxy import Proxy
from towpath.chaos.workers import Worker
from towpath.codec import Codec, default_codec
from towpath.demo.pairs import ERP, SHOP, find_pair
from towpath.demo.stack import ROLES, Stack
from towpath.demo.stores import session
from towpath.failpoints import Armed

PAIR = "bng-nopcommerce"
LATE_COMMIT_SECONDS = 2.0
READY_SECONDS = 120.0
LOOK_SECONDS = 0.2
HOOKS, KAFKA = "hooks", "kafka"
"""The hops from the systems' webhooks to the receiver, and from the roles to Kafka; a connection's name is that from the roles to its system."""


@dataclass(slots=True)
class Arena:
    """A running stack, and the means to do it harm."""

    stack: Stack
    run: Run
    needs: Needs
    proxies: Mapping[str, Proxy] = field(default_factory=dict)
    disks: Mapping[str, Disk] = field(default_factory=dict)
    workers: Mapping[str, list[Worker]] = field(default_factory=dict)
    next_order: int = 1001
    closed: bool = False
    """Whether the warehouse sends nothing now."""
    points: int = 0
    dice: random.Random = field(default_factory=random.Random)
    notes: dict[str, Any] = field(default_factory=dict)
    """What an injection keeps for its own judge."""
    codec: Codec = field(default_factory=default_codec)
    """What the topics are read by, for the verdict."""

    async def call(self, name: str, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Return the answer of a system's sandbox; `path` is what follows `/_sandbox/`."""
        async with session() as http, http.request(method, f"{self.stack.url(name)}/_sandbox/{path}", json=body) as response:
            response.raise_for_status()
            return await response.json()

    async def dial(self, name: str, **rates: object) -> None:
        """Dial faults at a system; none where no rate is given."""
        await self.call(name, "PUT", "faults", {"seed": self.run.seed, "late_commit_seconds": LATE_COMMIT_SECONDS, **rates})

    async def rows(self, name: str, entity: str) -> list[dict[str, Any]]:
        """Return all that a system holds of an entity."""
        found: list[dict[str, Any]] = (await self.call(name, "GET", f"store/{entity}"))["items"]
        return found

    async def orders_at_erp(self) -> int:
        """Return how many sales orders the ERP holds."""
        return int((await self.call(ERP, "GET", "store/sales_orders?limit=1"))["total"])

    def point(self, nth: int, action: str = "kill") -> Armed:
        """Return a failpoint that has not happened yet."""
        self.points += 1
        folder = self.stack.directory / "points"
        folder.mkdir(exist_ok=True)
        return Armed(nth, folder / str(self.points), action)

    async def until(self, holds: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
        """Return once it holds; raises TimeoutError that names it after so many seconds, and ConfigError where a process of the stack has ended."""
        try:
            async with asyncio.timeout(seconds):
                while not await holds():
                    self.stack.require_running()
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise TimeoutError(f"not within {seconds:g} s: {what}") from None

    async def ready(self) -> None:
        """Return once every role of the stack and every worker that is wanted is ready; TimeoutError after two minutes."""
        await self.stack.start()
        for worker in (one for several in self.workers.values() for one in several if one.wanted):
            await self.until(lambda worker=worker: _answers(worker), READY_SECONDS, f"{worker.role} {worker.number} is ready")  # type: ignore[misc]


async def _answers(worker: Worker) -> bool:
    address = worker.address("/readyz")
    if address is None:
        return False
    with suppress(aiohttp.ClientError, TimeoutError):
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http, http.get(address) as response:
            return response.status == 200  # noqa: PLR2004 - OK
    return False


@asynccontextmanager
async def arena(folder: Path, run: Run, needs: Needs) -> AsyncIterator[Arena]:
    """Give a running arena in an empty folder; everything in it is killed at the end.

    Raises:
        ConfigError: the folder is not empty, or something does not start; with the end of its log.
        TimeoutError: a worker does not become ready.
    """
    async with AsyncExitStack() as ends:
        proxies = {hop: await ends.enter_async_context(Proxy(0, 0)) for hop in needs.hops}
        roles = tuple(role for role in ROLES if role not in needs.workers)
        stack = Stack(folder / "stack", find_pair(PAIR), changes=lambda content: _changed(content, needs, proxies), roles=roles)
        stack.broker = KAFKA not in needs.hops
        stack.write()
        _set_up_sandbox(stack, needs, proxies)
        disks = {name: Disk(stack.directory / name, megabytes) for name, megabytes in needs.disks.items()}
        for disk in disks.values():
            disk.mount()
            ends.callback(disk.unmount)
        ends.callback(stack.kill_all)
        if KAFKA in proxies:
            await _start_broker_behind(stack, proxies[KAFKA], ends)
        workers = {role: [Worker(stack, role, number) for number in range(count)] for role, count in needs.workers.items()}
        await stack.start()
        for worker in (one for several in workers.values() for one in several):
            ends.callback(worker.kill)
            keeping = asyncio.create_task(worker.keep())
            ends.callback(keeping.cancel)
        made = Arena(stack, run, needs, proxies, disks, workers, dice=random.Random(run.seed))  # noqa: S311 - seeded, no secret
        await made.ready()
        yield made


def _changed(content: dict[str, Any], needs: Needs, proxies: Mapping[str, Proxy]) -> None:
    """Have the hops lead through their proxies, and change what the fault wants changed."""
    for name in (SHOP, ERP):
        if name in proxies:
            connection = content["connections"][name]
            proxies[name].upstream = int(connection["url"].rpartition(":")[2])
            connection["url"] = f"http://127.0.0.1:{proxies[name].port}"
    if KAFKA in proxies:
        content["kafka"]["bootstrap_servers"] = f"127.0.0.1:{proxies[KAFKA].port}"
    if HOOKS in proxies:
        proxies[HOOKS].upstream = content["receiver"]["port"]
    if needs.config is not None:
        needs.config(content)


def _set_up_sandbox(stack: Stack, needs: Needs, proxies: Mapping[str, Proxy]) -> None:
    for name in (SHOP, ERP):
        path = stack.directory / f"sandbox-{name}.json"
        settings = {**json.loads(path.read_text(encoding="utf-8")), **needs.sandbox, **(needs.erp if name == ERP else {})}
        settings["faults"] = {"seed": 0, "late_commit_seconds": LATE_COMMIT_SECONDS}
        if HOOKS in proxies and settings.get("webhook_url"):
            settings["webhook_url"] = f"http://127.0.0.1:{proxies[HOOKS].port}/hooks/{name}"
        path.write_text(json.dumps({key: value for key, value in settings.items() if value is not None}), encoding="utf-8")


async def _start_broker_behind(stack: Stack, proxy: Proxy, ends: AsyncExitStack) -> None:
    """Start a Kafka that has its clients come by the proxy: who asks whether it answers, too."""
    proxy.upstream = stack.ports["kafka"]
    advertised = {"advertised.listeners": f"PLAINTEXT://127.0.0.1:{proxy.port}"}
    directory = stack.directory / "data" / "kafka"
    broker = await asyncio.to_thread(lambda: Broker.start(directory, proxy.upstream, die_with_parent=True, properties=advertised))
    ends.callback(broker.kill)
