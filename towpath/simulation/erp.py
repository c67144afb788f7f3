"""The target system of the world: BNG's orders and customers in memory, and whatever its network and its worst days do to a call."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from towpath.simulation.process import World

Answer = tuple[int, dict[str, str], Any]
BASE = "/api/v1"
CREATED, MISSING, REFUSED, THROTTLED, AWAY, BROKEN = 201, 404, 422, 429, 503, 500
OK = 200
FATES = ("lost", "late", "throttled", "away", "broken", "slow")
REFERENCES = {"customers": ("ExternalID", "CustomerID", "C"), "sales-orders": ("ExternalOrderID", "SalesOrderID", "SO")}


@dataclass(frozen=True, slots=True)
class Weather:
    """How likely what befalls a call is, while the world's faults last; `unique` where the system refuses a second record of a reference."""

    lost: float = 0.0
    """The answer never comes, and the request may not have arrived either."""
    late: float = 0.0
    """The client gives up, and the write commits after that, within the settle time."""
    throttled: float = 0.0
    away: float = 0.0
    broken: float = 0.0
    """A 500 is answered after the write was committed."""
    slow: float = 0.0
    blind: float = 0.0
    """Seconds after which a new record is found by its reference: not at once, but within the settle time."""
    unique: bool = False
    stopped: float = 0.0
    """The process stands still just before a number of stock leaves it, for longer than its claim holds: another may put a newer one meanwhile."""


@dataclass(slots=True)
class Erp:
    """The store of the system, and a journal of what was written to it: (time, what, reference or id, content)."""

    world: World
    weather: Weather
    products: set[str]
    settle: float
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"customers": [], "sales-orders": []})
    stock: dict[str, tuple[int, Any]] = field(default_factory=dict)
    journal: list[tuple[float, str, str, Any]] = field(default_factory=list)
    pending: int = 0
    """Requests that may still commit."""
    _seen: dict[str, float] = field(default_factory=dict)

    def serve(self, method: str, path: str, params: Mapping[str, str], body: Any) -> Answer:  # noqa: ANN401 - JSON
        """Do what a request asks, now, and return status, headers and body."""
        kind, _, number = path.removeprefix(f"{BASE}/").partition("/")
        if kind == "stock":
            return self._put_stock(unquote(number), body)
        if kind == "shipments":
            return OK, {}, {"items": []}
        reference, id_field, _ = REFERENCES[kind]
        if number:
            row = next((row for row in self.rows[kind] if row[id_field] == unquote(number)), None)
            return (MISSING, {}, None) if row is None else self._one(method, row, body)
        if method == "GET":
            wanted = next(iter(params.values()))
            return OK, {}, {"items": [row for row in self.rows[kind] if row[reference] == wanted and self._seen[row[id_field]] <= self.world.now]}
        return self._create(kind, body)

    def _create(self, kind: str, body: dict[str, Any]) -> Answer:
        reference, id_field, letter = REFERENCES[kind]
        for index, line in enumerate(body.get("Lines", ())):
            if line["SKU"] not in self.products:
                return _refusal(f"Lines[{index}].SKU", "unknown product")
        if self.weather.unique and any(row[reference] == body[reference] for row in self.rows[kind]):
            return _refusal(reference, "is there already")
        row = {**body, id_field: f"{letter}{len(self.rows[kind]) + 1}", "UpdatedAt": "2026-11-21T12:00:00Z"}
        self.rows[kind].append(row)
        self._seen[row[id_field]] = self.world.now + self.weather.blind
        self._note(f"create {kind}", body[reference], body)
        return CREATED, {}, row

    def _one(self, method: str, row: dict[str, Any], body: Any) -> Answer:  # noqa: ANN401 - JSON
        if method == "PATCH":
            row.update(body)
            self._note("change", row["SalesOrderID"], body)
        return OK, {}, row

    def _put_stock(self, sku: str, body: Any) -> Answer:  # noqa: ANN401 - JSON
        self.stock[sku] = (body["version"], body["available"])
        self._note("stock", sku, body["version"])
        return OK, {}, {"id": sku}

    def _note(self, what: str, name: str, content: Any) -> None:  # noqa: ANN401 - JSON
        self.journal.append((self.world.now, what, name, content))
        self.world.note(f"erp {what}", name)

    def fate(self, chance: random.Random, *, write: bool) -> str:
        """Return what befalls the next call: a name of a field of `Weather`, or nothing."""
        throw, weather = chance.random(), self.weather
        for name in FATES:
            throw -= getattr(weather, name)
            if throw < 0:
                return name if write or name not in {"late", "broken"} else "lost"
        return ""


def _refusal(where: str, message: str) -> Answer:
    return REFUSED, {}, {"error": {"code": "INVALID", "message": message, "field": where}}


def text_of(body: Any) -> bytes:  # noqa: ANN401 - JSON
    """Return a body as it is sent."""
    return json.dumps(body).encode()
