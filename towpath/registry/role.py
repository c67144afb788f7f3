"""The registry role: serves the schemas of this installation to all who read its topics, where no other registry is configured."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog
from aiohttp import web

from towpath.config import Config
from towpath.errors import ConfigError, RetryableError
from towpath.registry.api import application
from towpath.registry.log import SchemaLog
from towpath.registry.service import Registry
from towpath.runtime.role import RoleContext
from towpath.startup import in_daemon

PAUSE_SECONDS = 1.0
LINGER_SECONDS = 2.0  # a refused body is read on for so long, that the sender may see the answer and no reset

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RegistryRole:
    """Answers once it has read every schema there is, and keeps up with what another process of this role may write."""

    config: Config
    name: str = "registry"

    async def run(self, context: RoleContext) -> None:
        """Serve until asked to stop; ready while Kafka answers."""
        settings = self.config.schema_registry
        if not settings.is_own:
            raise ConfigError(f"schema_registry.url: {settings.url} is the registry; leave the url out where the registry role is to be it")
        schemas = SchemaLog(self.config.kafka)
        runner = web.AppRunner(application(Registry(schemas)), access_log=None, lingering_time=LINGER_SECONDS, shutdown_timeout=1)
        await runner.setup()
        try:
            await self._keep_up(schemas, runner, context)
        finally:
            await runner.cleanup()
            await asyncio.wait({in_daemon(schemas.close)}, timeout=PAUSE_SECONDS)

    async def _keep_up(self, schemas: SchemaLog, runner: web.AppRunner, context: RoleContext) -> None:
        told, stopping = "reading the schemas", asyncio.create_task(context.stop.wait())
        context.health.set_ready("schemas", ok=False, detail=told)
        while not stopping.done():
            look = asyncio.create_task(self._look(schemas, runner))
            await asyncio.wait({look, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not look.done():
                look.cancel()
                return
            try:
                look.result()
                told = ""
            except RetryableError as error:
                if str(error) != told:
                    log.warning("the schemas cannot be read", reason=str(error))
                told = str(error)
            context.health.set_ready("schemas", ok=not told, detail=told)
            await asyncio.wait({stopping}, timeout=PAUSE_SECONDS)

    async def _look(self, schemas: SchemaLog, runner: web.AppRunner) -> None:
        if runner.sites:
            await in_daemon(schemas.catch_up)
            return
        await in_daemon(schemas.prepare)
        await in_daemon(schemas.catch_up)
        await _listen(runner, self.config.schema_registry.host, self.config.schema_registry.port)


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise ConfigError(f"schema_registry.port: {host}:{port} cannot be used ({error.strerror}); end what uses it, or set another port") from error


def build(config: Config) -> RegistryRole:
    """Return the role."""
    return RegistryRole(config)
