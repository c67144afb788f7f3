"""Are the credentials of each connection accepted? Asked of its system by one read that changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from towpath.clock import SystemClock
from towpath.config import Config, Connection, SecretRef
from towpath.errors import TowpathError
from towpath.metrics import Metrics
from towpath.systems.base import connect, system_module


@dataclass(frozen=True, slots=True)
class Tried:
    """What a connection's system said: `accepted` is None where there is no read to try; `reason` names the call, and what to change."""

    connection: str
    accepted: bool | None
    reason: str = ""


async def tried(config: Config) -> list[Tried]:
    """Return what each connection's system says to its credentials, all asked at once."""
    return list(await asyncio.gather(*(_try(name, connection) for name, connection in config.here.items())))


async def _try(name: str, connection: Connection) -> Tried:
    probe: tuple[str, Mapping[str, str]] | None = getattr(system_module(connection.system), "PROBE", None)
    if probe is None:
        return Tried(name, None, f"{connection.system} has no read to try them with")
    client = connect(name, connection, SystemClock(), Metrics())
    try:
        await client.get(*probe)
    except TowpathError as error:
        return Tried(name, accepted=False, reason=f"{error}; is {_changeable(connection)} right?")
    finally:
        await client.close()
    return Tried(name, accepted=True)


def _changeable(connection: Connection) -> str:
    secrets = [f"credentials.{name} ({value})" for name, value in connection.credentials.items() if isinstance(value, SecretRef)]
    return ", ".join(["url", *secrets])
