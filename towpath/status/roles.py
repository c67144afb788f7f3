"""How the roles of this machine are, by what they answer themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from towpath.config import Config
from towpath.metrics import CIRCUIT_OPEN, RESTARTS
from towpath.runtime.runfile import RunFile, read_run_file

SECONDS = 2.0
READY, NOT_READY, DOWN = "ready", "not ready", "down"
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what a role listens on, and where it is reached from here


@dataclass(frozen=True, slots=True)
class RoleState:
    """One role: ready, not ready or down, and why; how long it runs (seconds), how often it was restarted, and its circuits, True where open."""

    role: str
    state: str
    detail: str = ""
    up_seconds: float | None = None
    restarts: int | None = None
    circuits: Mapping[str, bool] = field(default_factory=dict)


async def role_states(config: Config, roles: Sequence[str]) -> list[RoleState]:
    """Return how each role is, within a few seconds."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as session:
        return list(await asyncio.gather(*(_state(config, role, session) for role in roles)))


async def _state(config: Config, role: str, session: aiohttp.ClientSession) -> RoleState:
    found = read_run_file(config.run_dir, role)
    if found is None:
        return RoleState(role, DOWN, "does not run on this machine")
    up = (datetime.now(UTC) - datetime.fromisoformat(found.started_at)).total_seconds()
    if found.health_port is None:
        return RoleState(role, NOT_READY, "starting", up)
    host = EVERYWHERE.get(config.health.host, config.health.host)
    address = f"http://{f'[{host}]' if ':' in host else host}:{found.health_port}"
    try:
        return await _asked(found, address, up, session)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return RoleState(role, DOWN, f"process {found.pid} does not answer at {address}: {type(error).__name__}")


async def _asked(found: RunFile, address: str, up: float, session: aiohttp.ClientSession) -> RoleState:
    async with session.get(f"{address}/readyz") as response:
        answer = await response.json()
    if answer.get("role") != found.role:
        return RoleState(found.role, DOWN, f"another program answers at {address}")
    async with session.get(f"{address}/healthz") as response:
        live = response.ok
    async with session.get(f"{address}/metrics") as response:
        figures = _figures(await response.text())
    state = READY if answer["ok"] else NOT_READY if live else DOWN
    circuits = {labels["connection"]: value > 0 for labels, value in figures[CIRCUIT_OPEN.name]}
    restarts = next((int(value) for labels, value in figures[RESTARTS.name] if labels.get("role") == found.role), None)
    return RoleState(found.role, state, _failing(answer["checks"]), up, restarts, circuits)


def _failing(checks: Mapping[str, Any]) -> str:
    return "; ".join(f"{name}: {check['detail'] or 'not yet'}" for name, check in checks.items() if not check["ok"])


def _figures(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Return the samples of the metrics that are looked at."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {CIRCUIT_OPEN.name: [], RESTARTS.name: []}
    for family in text_string_to_metric_families(text):
        if family.name in found:
            found[family.name] += [(sample.labels, sample.value) for sample in family.samples]
    return found
