"""Finding a system's module and making the client of one connection.

A module of this package declares `Credentials` and `Options` (pydantic models), `DIALECT` (what its statuses mean) and
`authoriser(connection)`; that of a source also `BLANKED` (fields emptied before anything is written) and `key_of(body)`
(what a webhook is about).
"""

from __future__ import annotations

import importlib
from typing import Any

from towpath.clock import Clock
from towpath.config import Connection
from towpath.delivery.gate import Gate
from towpath.failpoints import Failpoints
from towpath.http import ApiClient
from towpath.metrics import Metrics


def system_module(name: str) -> Any:  # noqa: ANN401 - a module
    """Return the module of a system."""
    return importlib.import_module(f"towpath.systems.{name}")


def connect(name: str, connection: Connection, clock: Clock, metrics: Metrics) -> ApiClient:
    """Return the client of one connection, with its gate and credentials."""
    module, limits = system_module(connection.system), connection.limits
    rate = limits.requests_per_minute / 60 if limits.requests_per_minute else None
    return ApiClient(
        name,
        connection.url,
        dialect=module.DIALECT,
        authoriser=module.authoriser(connection),
        gate=Gate(clock, rate=rate, burst=limits.burst or max(1, limits.in_flight)),
        timeout=limits.request_timeout_seconds,
        failpoints=Failpoints.from_environment(),
        metrics=metrics,
    )
