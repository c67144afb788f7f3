"""The roles as processes of the world: the production classes, put together as the roles do, on swapped ports."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pydantic import SecretStr

from processors.engines.native_loop import Loop
from processors.engines.settings import EngineSettings
from processors.flow_processor import FlowProcessor
from processors.mapping import Mapped, Model, load_model
from processors.routing import Route
from sinks.base import Document, Operation, Standing, Update
from sinks.bng import TARGET
from sinks.effector import Effector, Patience
from sinks.handler import DeliveryHandler
from sinks.later import Later
from sinks.resume import Resumer
from towpath.acked import AckedProducer
from towpath.authorisers import HeaderKey
from towpath.codec import default_codec
from towpath.delivery.books import Books
from towpath.delivery.deadletters import Registrar
from towpath.delivery.gate import Gate
from towpath.delivery.lanes import LaneLimits
from towpath.delivery.ledger import Ledger
from towpath.delivery.parking import AT_ONCE, Parking
from towpath.delivery.runner import LaneRunner
from towpath.dialect import USUAL, Dialect
from towpath.errors import DataError
from towpath.events import Event
from towpath.http import ApiClient
from towpath.kafka import KafkaSettings
from towpath.metrics import Metrics
from towpath.simulation.database import Database
from towpath.simulation.erp import BASE, Erp
from towpath.simulation.log import Log
from towpath.simulation.process import Process, World
from towpath.simulation.session import Session
from towpath.systems import bng

KAFKA: Final = KafkaSettings(bootstrap_servers="world")
CONNECTIONS: Final = frozenset({"shop", "erp"})
INPUTS: Final = ("holds", "receipts", "received.orders", "received.stock")
PATIENCE: Final = Patience(timeout=2.0, settle=1.0)
LIMITS: Final = LaneLimits(in_flight=4, retry_seconds=6.0, dependency_seconds=1.5)
PARK_PAUSE: Final = timedelta(seconds=3)
SESSION_SECONDS: Final = 3.0
PREFIX: Final = "TP-"
METRICS: Final = Metrics()
"""Of all processes together: nothing of the simulation looks at them, and to make them takes longer than most histories."""


class StockModel(Model):
    """A mapping of stock to the one call that the world's target has for it."""

    def __init__(self) -> None:
        self.name, self.version = "stock", "1"

    def apply(self, event: Event, flow: Mapping[str, Any], known: Mapping[str, Any] | None = None, *, decoded: bool = False) -> Mapped:  # noqa: ARG002 - a model's own
        """Return the put of the number that may be sold."""
        sku = event.value["sku"]
        return Mapped("put_stock", f"stock/{sku}", f"stock/{sku}", {"sku": sku, "available": (known or {})["stock"]["sellable"], "version": 0}, {})


async def _put_stock(api: ApiClient, document: Document, _known: int | None) -> tuple[bool, Standing]:
    answer = await api.write("PUT", f"{BASE}/stock/{quote(document['sku'], safe='')}", document)
    return True, Standing(answer.json()["id"])


def _or_found(operation: Operation, field_at_fault: str) -> Operation:
    """Return the create of a system that refuses a second record of a reference: what it refuses so stands there."""

    async def write(api: ApiClient, document: Document) -> Standing:
        try:
            return await operation.write(api, document)
        except DataError as refusal:
            found = await operation.find(api, document) if refusal.field == field_at_fault else None
            if found is None:
                raise
            return found

    return Operation(operation.find, write, operation.find_again, operation.stale, operation.resume)


class Target:
    """BNG as the sink knows it, and stock; `unique` where its references are."""

    creates: Mapping[str, str] = TARGET.creates

    def __init__(self, *, unique: bool) -> None:
        operations: dict[str, Operation | Update] = {**TARGET.operations, "put_stock": Update(_put_stock)}
        for name, reference in (("create_customer", "ExternalID"), ("create_order", "ExternalOrderID")) if unique else ():
            create = operations[name]
            assert isinstance(create, Operation)  # noqa: S101 - as BNG declares it
            operations[name] = _or_found(create, reference)
        self.operations: Mapping[str, Operation | Update] = operations


@dataclass(slots=True)
class Classes:
    """The production classes that a world is made of; a test of the simulation plants a bug by a subclass of one."""

    ledger: type[Ledger] = Ledger
    effector: type[Effector] = Effector
    runner: type[LaneRunner] = LaneRunner
    loop: type[Loop] = Loop
    processor: type[FlowProcessor] = FlowProcessor
    patience: Patience = PATIENCE


@dataclass(slots=True)
class Deployment:
    """What all processes share: Kafka, the database and the target; `books` are those of the sinks that live."""

    world: World
    log: Log
    database: Database
    erp: Erp
    classes: Classes
    rate: float | None = None
    at_once: int = AT_ONCE
    books: dict[Process, Books] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)


ROUTES: Final = (
    Route("orders", "shop", "erp", "OrderPlaced", load_model("nopcommerce-bng/order_placed"), PREFIX),
    Route("changes", "shop", "erp", "OrderChanged", load_model("nopcommerce-bng/order_changed"), PREFIX),
    Route("cancellations", "shop", "erp", "OrderCancelled", load_model("nopcommerce-bng/order_cancelled"), PREFIX),
    Route("payments", "shop", "erp", "PaymentReceived", load_model("nopcommerce-bng/payment_received"), PREFIX),
    Route("stock", "erp", "erp", "StockChanged", StockModel(), PREFIX),
)


def start_sink(deployment: Deployment, name: str) -> Callable[[], None]:
    """Start a process of the sink role and return what asks it to stop."""
    process = Process(deployment.world, name)
    stop: list[asyncio.Event] = []
    _main(deployment, process, lambda: _sink(deployment, process, stop))
    return lambda: stop[0].set() if stop and not process.dead else None


async def _sink(deployment: Deployment, process: Process, stopping: list[asyncio.Event]) -> None:
    clock, codec, classes = process.clock, default_codec(), deployment.classes
    engine: Any = deployment.database
    stop = asyncio.Event()
    stopping.append(stop)
    producer = AckedProducer(KAFKA)
    parking = Parking(engine, clock, PARK_PAUSE, deployment.at_once)
    ledger = classes.ledger(engine, clock, f"{process.name}-{len(deployment.world.processes)}")
    gate = Gate(clock, rate=deployment.rate, burst=3, probe_seconds=1.0)
    patience = classes.patience
    key = HeaderKey("X-API-Key", lambda: SecretStr("key"))
    api = ApiClient("erp", "http://erp", dialect=Dialect(USUAL, bng.refusal), authoriser=key, gate=gate, timeout=patience.timeout, metrics=METRICS)
    api._sessions.append(Session(process, deployment.erp, patience.timeout))  # type: ignore[arg-type]  # noqa: SLF001 - the port of its network
    target = Target(unique=deployment.erp.weather.unique)
    effector = classes.effector("erp", target, api, ledger, patience, clock, in_flight=LIMITS.in_flight)
    books = deployment.books[process] = Books("erp", Registrar(codec, "sink", "sink.erp", CONNECTIONS), parking, producer, clock, METRICS)
    process.on_death.append(lambda: deployment.books.pop(process))
    handler = DeliveryHandler("erp", effector=effector, ledger=ledger, books=books, metrics=METRICS)
    place = {"group": "sink.erp", "topic": "deliver.erp", "connection": "erp"}
    runner = classes.runner(KAFKA, **place, handler=handler, clock=clock, limits=LIMITS, metrics=METRICS)
    resumer = Resumer(KAFKA, ["erp"], parking, producer, codec, Later(KAFKA, ledger, producer, codec, METRICS))
    await asyncio.gather(runner.run(stop), resumer.run(stop, METRICS))


def start_processor(deployment: Deployment, name: str) -> Callable[[], None]:
    """Start a process of the processor role, on the native engine's loop, and return what asks it to stop."""
    process = Process(deployment.world, name)
    loops: list[Loop] = []

    def run() -> None:
        classes, world = deployment.classes, deployment.world
        registrar = Registrar(default_codec(), "processor", "processor", CONNECTIONS)
        settings = EngineSettings(
            "world", "processor", INPUTS, deployment.log.partitions, Path("none"), store="memory", session_timeout=SESSION_SECONDS, batch=20
        )
        loops.append(classes.loop(settings, classes.processor(ROUTES, registrar, process.clock), METRICS, "world"))
        try:
            loops[0].run()
        except Exception as error:  # noqa: BLE001 - the process ends by it, and is started again
            world.note(f"{process.name} ended", type(error).__name__)
            deployment.trouble.append(f"{process.name}: {type(error).__name__}: {error}")
        world.after(0.0, process.die)

    deployment.world.after(0.0, lambda: process.start(run))
    return lambda: loops[0].stop() if loops and not process.dead else None


def _main(deployment: Deployment, process: Process, work: Callable[[], Any]) -> None:
    """Run a coroutine as the main task of a process, which ends with it."""

    async def main() -> None:
        try:
            await work()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the process ends by it, and is started again
            deployment.world.note(f"{process.name} ended", type(error).__name__)
            deployment.trouble.append(f"{process.name}: {type(error).__name__}: {error}")
        deployment.world.after(0.0, process.die)

    def begin() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            process.loop.create_task(main())

    process.loop.call_soon(begin)
