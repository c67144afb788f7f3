"""The poller: one process that reads the lists of every connection again and again (see producers/polled.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from producers.adapter import find_source
from producers.polled import Inbox, PolledList
from towpath.acked import AckedProducer
from towpath.clock import Clock, SystemClock
from towpath.config import Config
from towpath.delivery.budget import Priority
from towpath.delivery.cursors import Cursors
from towpath.delivery.database import open_engine
from towpath.metrics import POLL_AGE, Metrics
from towpath.runtime.health import Health
from towpath.runtime.role import RoleContext
from towpath.systems.base import Clients


@dataclass(slots=True)
class PolledConnection:
    """All lists of one connection, read one after another, and again after a pause."""

    name: str
    pause: float
    lists: Sequence[PolledList]
    clock: Clock

    async def run(self, health: Health) -> None:
        """Read again and again until cancelled."""
        while True:
            await self.read(health)
            await self.clock.sleep(self.pause)

    async def read(self, health: Health) -> None:
        """Read each list, and show in the health which cannot be read; a source that is down is no reason to restart us, nor to hold others up."""
        for one in self.lists:
            await one.attempt()
            troubles = [f"{listed.entity}: {listed.trouble}" for listed in self.lists if listed.trouble]
            health.set_ready(self.name, ok=True, detail="; ".join(troubles))


@dataclass(slots=True)
class PollerRole:
    """Polls every connection whose system has lists, unless its `poll_seconds` is null."""

    config: Config
    name: str = "poller"

    async def run(self, context: RoleContext) -> None:
        """Poll until asked to stop; a read under way is given up, and its cursor stays."""
        clock = SystemClock()
        producer = AckedProducer(self.config.kafka)
        cursors = Cursors(open_engine(self.config.database_url()), clock)
        clients = Clients(context, clock)
        found = [self._polled(name, clients, producer, cursors, clock, context.metrics) for name in self.config.here]
        polled = [one for one in found if one is not None]
        context.health.set_ready("polling", ok=True, detail=", ".join(one.name for one in polled) or "no connection has lists to poll")
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one.run(context.health)) for one in polled]
                await producer.serve_until(context.stop)
                for task in tasks:
                    task.cancel()
        finally:
            await asyncio.gather(clients.close(), producer.close(2), cursors.close(), return_exceptions=True)

    def _polled(
        self, name: str, clients: Clients, producer: AckedProducer, cursors: Cursors, clock: Clock, metrics: Metrics
    ) -> PolledConnection | None:
        connection = self.config.connections[name]
        source = find_source(connection.system)
        if source is None or not source.polls or connection.poll_seconds is None:
            return None
        api, inbox = clients.connect(name).at(Priority.POLLING), Inbox(name, source, producer, clock, metrics)
        taken = {"", *(flow.event for flow in self.config.flows_from(name).values())}
        polls = [poll for poll in source.polls if poll.polled and poll.event in taken]
        lists = [PolledList(name, connection, poll=poll, api=api, inbox=inbox, cursors=cursors, clock=clock) for poll in polls]
        for one in lists:
            metrics.follow(POLL_AGE, one.age, connection=name, entity=one.entity)
        return PolledConnection(name, connection.poll_seconds, lists, clock)


def build(config: Config) -> PollerRole:
    """Return the role."""
    return PollerRole(config)
