"""Finding a system's module and making the client of one connection.

A module of this package declares `Credentials` and `Options` (pydantic models), `DIALECT` (what its statuses mean) and
`authoriser(connection)`; that of a source also `BLANKED` (fields emptied before anything is written) and `key_of(body)`
(what a webhook is about).
"""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

from towpath.authorisers import BearerToken
from towpath.clock import Clock
from towpath.config import Connection
from towpath.delivery.budgets import Budgets
from towpath.delivery.gate import Gate
from towpath.delivery.tokens import SharedTokens
from towpath.failpoints import Failpoints
from towpath.http import ApiClient
from towpath.metrics import Metrics
from towpath.runtime.role import RoleContext


def system_module(name: str) -> Any:  # noqa: ANN401 - a module
    """Return the module of a system."""
    return importlib.import_module(f"towpath.systems.{name}")


def connect(
    name: str, connection: Connection, clock: Clock, metrics: Metrics, budgets: Budgets | None = None, tokens: SharedTokens | None = None
) -> ApiClient:
    """Return the client of one connection, with its gate and credentials.

    With `budgets`, its rate, pauses and circuit are those of every process that shares them, and with `tokens` its access token is theirs;
    it must then be closed before these are.
    """
    module, limits = system_module(connection.system), connection.limits
    rate = limits.requests_per_minute / 60 if limits.requests_per_minute else None
    budget = None if budgets is None else budgets.of(name)
    gate = Gate(clock, rate=rate, burst=limits.burst or max(1, limits.in_flight), probe_seconds=limits.probe_seconds, budget=budget)
    if budget is not None:
        gate.watch()
    authoriser = module.authoriser(connection)
    if tokens is not None and isinstance(authoriser, BearerToken):
        authoriser.share(tokens.of(name, connection))
    return ApiClient(
        name,
        connection.url,
        dialect=module.DIALECT,
        authoriser=authoriser,
        gate=gate,
        timeout=limits.request_timeout_seconds,
        failpoints=Failpoints.from_environment(),
        metrics=metrics,
    )


class Clients:
    """The clients of a role, which share the budgets of their connections with every other process, and with a vault their access tokens too."""

    def __init__(self, context: RoleContext, clock: Clock) -> None:
        self._context, self._clock = context, clock
        self._budgets = Budgets(context.config.database_url(), clock, lambda trouble: context.health.set_ready("budgets", ok=True, detail=trouble))
        vault = context.config.vault
        self._tokens = None if vault is None else SharedTokens(context.config.database_url(), clock, vault.vault())
        self._clients: list[ApiClient] = []

    def connect(self, name: str) -> ApiClient:
        """Return a new client of a connection."""
        client = connect(name, self._context.config.connections[name], self._clock, self._context.metrics, self._budgets, self._tokens)
        self._clients.append(client)
        return client

    async def close(self) -> None:
        """Close every client, and then leave the database."""
        await asyncio.gather(*(client.close() for client in self._clients), return_exceptions=True)
        await self._budgets.close()
        if self._tokens is not None:
            await self._tokens.close()
