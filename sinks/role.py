"""The sink role: one lane runner for each connection that a flow writes to."""

from __future__ import annotations

import asyncio
import importlib
import uuid
from dataclasses import dataclass
from datetime import timedelta

from sinks.base import Target
from sinks.effector import Effector, Patience
from sinks.handler import DeliveryHandler
from sinks.later import Later
from sinks.resume import Resumer
from towpath.acked import AckedProducer
from towpath.clock import SystemClock
from towpath.config import Config
from towpath.delivery.alone import client_id_of, refuse_before, refuse_others
from towpath.delivery.books import Books
from towpath.delivery.database import open_engine
from towpath.delivery.deadletters import Registrar
from towpath.delivery.lanes import LaneLimits
from towpath.delivery.ledger import Ledger
from towpath.delivery.parking import Parking
from towpath.delivery.retention import Sweeper
from towpath.delivery.runner import LaneRunner, run_all
from towpath.registry.codec import ready_codec
from towpath.runtime.role import RoleContext
from towpath.systems.base import Clients

LANES_A_CALL = 4
"""How many records are under way for each call that may be: while one calls, the next is claimed, and others' answers and receipts are booked."""


@dataclass(slots=True)
class SinkRole:
    """Delivers to every target."""

    config: Config
    name: str = "sink"

    async def run(self, context: RoleContext) -> None:
        """Deliver until asked to stop."""
        clock, config, codec = SystemClock(), self.config, await ready_codec(self.config, context)
        targets = sorted({flow.target for flow in config.flows.values()} & config.here.keys())
        producer = AckedProducer(config.kafka)
        parking = Parking(open_engine(config.database_url()), clock, timedelta(seconds=config.defaults.park_retry_seconds))
        ledger = Ledger(open_engine(config.database_url()), clock, owner=str(uuid.uuid4()))
        sweeper = Sweeper(open_engine(config.database_url()), clock, timedelta(days=config.retention.ledger_days))
        runners, effectors = list[LaneRunner](), list[Effector]()
        client_id = client_id_of(config.database_url())
        clients = Clients(context, clock)
        for name in targets:
            connection = config.connections[name]
            api = clients.connect(name)
            patience = Patience(connection.limits.request_timeout_seconds, connection.limits.settle_seconds)
            calls = connection.limits.in_flight
            effector = Effector(name, find_target(connection.system), api, ledger, patience, clock, in_flight=calls, metrics=context.metrics)
            effectors.append(effector)
            registrar = Registrar(codec, self.name, f"sink.{name}", frozenset(config.connections))
            books = Books(name, registrar, parking, producer, clock, context.metrics)
            handler = DeliveryHandler(name, effector=effector, ledger=ledger, books=books, metrics=context.metrics)
            patient = config.defaults
            limits = LaneLimits(LANES_A_CALL * calls, patient.lane_retry_seconds, patient.dependency_wait_seconds)
            place = {"group": f"sink.{name}", "topic": f"deliver.{name}", "connection": name}
            runners.append(LaneRunner(config.kafka, **place, handler=handler, clock=clock, limits=limits, metrics=context.metrics))
        later = Later(config.kafka, ledger, producer, codec, context.metrics)
        resumer = Resumer(config.kafka, list(config.here), parking, producer, codec, later)
        try:
            for runner in runners:
                runner.client_id = client_id
            context.health.set_ready("partitions", ok=False, detail="asking who else delivers")
            await refuse_before(config.kafka, {runner.group for runner in runners}, client_id, context.stop)
            alone = refuse_others(config.kafka, runners, client_id, context.stop)
            beside = [resumer.run(context.stop, context.metrics), sweeper.run(context.stop), alone]
            await run_all(runners, producer, context.stop, context.health, *beside)
        finally:
            await asyncio.gather(*(effector.close() for effector in effectors))
            closing = (ledger.close(), sweeper.close(), parking.close(), clients.close())
            await asyncio.gather(producer.close(2), *closing, return_exceptions=True)


def find_target(system: str) -> Target:
    """Return the target of the package `sinks.<system>`."""
    target: Target = importlib.import_module(f"sinks.{system}").TARGET
    return target


def build(config: Config) -> SinkRole:
    """Return the role."""
    return SinkRole(config)
