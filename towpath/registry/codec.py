"""The codec of a process: ids as its registry has them, and whatever another version wrote read by its schemas."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog

from towpath.codec import Codec
from towpath.config import Config
from towpath.errors import ConfigError, DataError, RetryableError
from towpath.registry.lookup import Asked, SchemaLookup
from towpath.registry.subjects import subjects
from towpath.startup import in_daemon
from towpath.topics import load_topics

if TYPE_CHECKING:  # a command reads by a codec too, and serves nothing
    from towpath.runtime.health import Health
    from towpath.runtime.role import RoleContext

RETRY_SECONDS = 1.0

log = structlog.get_logger(__name__)


def codec_of(config: Config) -> Codec:
    """Return a codec that reads what any version wrote, and connects when it first meets what it does not know."""

    def connect() -> Asked:
        from towpath.registry.client import RegistryClient  # noqa: PLC0415 - 15 MB that a process seldom needs

        return RegistryClient(config.schema_registry)

    return Codec(registry=SchemaLookup(connect))


async def ready_codec(config: Config, context: RoleContext) -> Codec:
    """Return the codec of a role that writes.

    At our own registry its schemas are registered meanwhile: the ids are known without it, so no start waits for it. Another registry gives
    the ids, so it is waited for.

    Raises:
        ConfigError: another registry refuses us or a schema.
    """
    codec = codec_of(config)
    if config.schema_registry.is_own:
        threading.Thread(target=_publish, args=(config, codec, context.health), name="schemas-publish", daemon=True).start()
        return codec
    while not context.stop.is_set():
        try:
            codec.adopt(await in_daemon(lambda: registered(config, codec)))
            context.health.set_ready("schemas", ok=True)
            break
        except DataError as error:
            raise ConfigError(f"{error}; `towpath schemas check` tells more") from error
        except RetryableError as error:
            context.health.set_ready("schemas", ok=False, detail=str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(context.stop.wait(), RETRY_SECONDS)
    return codec


def registered(config: Config, codec: Codec) -> Mapping[str, int]:
    """Return the id that each schema has at the registry, registered where that is wanted.

    Raises:
        DataError: the registry refuses a schema; its message says which and why.
        ConfigError: the registry refuses us, or does not know a schema and may not be told.
        RetryableError: it does not answer.
    """
    from towpath.registry.client import RegistryClient  # noqa: PLC0415 - see above

    settings, ids = config.schema_registry, {}
    with closing(RegistryClient(settings)) as client:
        for subject, name in subjects(codec, load_topics()).items():
            text = codec.by_name[name].text
            if settings.auto_register:
                ids[name] = client.register(subject, text)
                continue
            found = client.look_up(subject, text)
            if found is None or found.schema_id is None:
                raise ConfigError(f"schema_registry: {settings.address} does not know the schema of {subject}; run `towpath schemas push`")
            ids[name] = found.schema_id
    return ids


def _publish(config: Config, codec: Codec, health: Health) -> None:
    """Register our schemas at our own registry, however long it is away."""
    while True:
        while not _listens(config.schema_registry.address):  # a client takes a tenth of a second to make, in which nothing else runs
            time.sleep(RETRY_SECONDS)
        try:
            wrong = {name for name, given in registered(config, codec).items() if given != codec.by_name[name].id}
        except RetryableError:
            time.sleep(RETRY_SECONDS)
            continue
        except (ConfigError, DataError) as error:
            reason = str(error)
        else:
            reason = f"{config.schema_registry.address} has other ids than ours for {', '.join(sorted(wrong))}: is it our registry?" if wrong else ""
        if reason:
            log.error("what this process writes cannot be read by its schema", reason=reason)
            health.set_ready("schemas", ok=False, detail=reason)
        return


def _listens(address: str) -> bool:
    place = urlsplit(address)
    try:
        socket.create_connection((place.hostname or "", place.port or 0), timeout=RETRY_SECONDS).close()
    except OSError:
        return False
    return True
