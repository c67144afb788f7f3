"""The processor role: the flow processor on the configured engine."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from processors.addresses import load_validators
from processors.engines.settings import EngineSettings
from processors.flow_processor import FlowProcessor
from processors.mapping import load_model
from processors.port import Engine, Processor
from processors.routing import Route
from towpath.clock import SystemClock
from towpath.config import Config
from towpath.delivery.deadletters import Registrar
from towpath.errors import ConfigError
from towpath.events import AGGREGATES
from towpath.metrics import Metrics
from towpath.registry.codec import ready_codec
from towpath.runtime.role import RoleContext
from towpath.topics import PROCESSOR, load_topics

GROUP = "processor"


@dataclass(slots=True)
class ProcessorRole:
    """Deduplicates, maps and routes every received event."""

    config: Config
    name: str = "processor"

    async def run(self, context: RoleContext) -> None:
        """Process until asked to stop."""
        registrar = Registrar(await ready_codec(self.config, context), self.name, GROUP, frozenset(self.config.connections))
        processor = FlowProcessor(routes(self.config), registrar, SystemClock())
        engine = make_engine(self.config, processor, context.metrics)

        async def tell() -> None:
            while True:
                reason = engine.healthy()
                context.health.set_ready("engine", ok=reason is None and engine.ready.is_set(), detail=reason or "")
                await asyncio.sleep(0.2)

        telling = asyncio.create_task(tell())
        try:
            await engine.run(context.stop)
        finally:
            telling.cancel()


def routes(config: Config) -> list[Route]:
    """Return every flow with its mapping loaded; raises ConfigError for one of an unknown event or a broken mapping, and for a broken validator."""
    load_validators()
    found = []
    for name, flow in config.flows.items():
        if flow.event not in AGGREGATES:
            raise ConfigError(f"flows.{name}.event: there is no event {flow.event}; known: {', '.join(AGGREGATES)}")
        model = load_model(flow.mapping, config.mappings_dir)
        found.append(Route(name, flow.source, flow.target, flow.event, model, flow.reference_prefix, flow.options))
    return found


def make_engine(config: Config, processor: Processor, metrics: Metrics) -> Engine:
    """Return the engine that is configured; only that one is imported, for Faust takes its memory."""
    settings = engine_settings(config)
    if config.engine == "native":
        from processors.engines.native_engine import NativeEngine  # noqa: PLC0415

        return NativeEngine(settings, processor, metrics)
    from processors.engines.faust_engine import FaustEngine  # noqa: PLC0415

    return FaustEngine(settings, processor, metrics)


def engine_settings(config: Config) -> EngineSettings:
    """Return what the engine is told."""
    inputs = load_topics().read_by(PROCESSOR, config.connections)
    security = {name: str(value) for name, value in config.kafka.client_config().items() if name.startswith(("security.", "sasl.", "ssl."))}
    return EngineSettings(
        bootstrap_servers=config.kafka.bootstrap_servers,
        group=GROUP,
        topics=tuple(spec.name for spec in inputs),
        partitions=inputs[0].partitions,
        datadir=config.data_dir / "processor",
        security=security,
        replication_factor=config.kafka.replication_factor,
        session_timeout=10.0,  # a killed worker's partitions wait so long for their next owner
    )


def build(config: Config) -> ProcessorRole:
    """Return the role."""
    return ProcessorRole(config)
