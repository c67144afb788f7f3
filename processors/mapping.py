"""Mappings: GoRules JSON Decision Models that turn a canonical event into a target's document.

A model gets the event (amounts as decimal strings in the currency's places, times as ISO 8601 UTC) and `flow` (`reference_prefix`, `options`).
It answers with `document`, `operation`, and where it needs them: `effect_key` and `write_unit` (default: the event's business key),
`related` ("entity key" to a document to create first) and `errors` (a list of {field, value, message}: each is a data error).
A null in a document means that the field is not sent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import zen

from processors.rules import decimal_places
from towpath.errors import ConfigError, DataError
from towpath.events import Event

MAPPINGS = Path(__file__).resolve().parent / "mappings"
COUNTS = frozenset({"quantity"})
PRICES = frozenset({"unit_price"})
"""Prices keep every place the source gave, at least their currency's; all other decimals but counts are amounts and get exactly those."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """What a mapping made of an event."""

    operation: str
    effect_key: str
    write_unit: str
    document: dict[str, Any]
    related: dict[str, dict[str, Any]]


class Model:
    """One loaded decision model; `version` is the digest of its file."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        try:
            text = path.read_text(encoding="utf-8")
            content = json.loads(text)
            _refuse_what_cannot_run(content)
            self._decision = zen.ZenEngine().create_decision(text)
            self._decision.validate()
        except FileNotFoundError as error:
            raise ConfigError(f"mapping {name}: there is no {path.name} in {path.parent}; write it or name another mapping in the flow") from error
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            raise ConfigError(f"mapping {name}: {path.name} is not a decision model that can run: {_first_line(error)}") from error
        self.version = hashlib.sha256(text.encode()).hexdigest()[:12]

    def apply(self, event: Event, flow: Mapping[str, Any]) -> Mapped:
        """Return the mapped document; raises DataError naming the field where the model reports one or cannot be evaluated."""
        context = {**plain(event.value, event.value.get("currency")), "flow": flow}
        try:
            result: dict[str, Any] = self._decision.evaluate(context)["result"]
        except RuntimeError as error:
            raise DataError(f"mapping {self.name}: {_first_line(error)}", field="mapping") from error
        for problem in result.get("errors") or []:
            raise DataError(f"mapping {self.name}: {problem['message']}", field=str(problem["field"]), value=str(problem.get("value")))
        if not isinstance(result.get("document"), dict) or not isinstance(result.get("operation"), str):
            raise DataError(f"mapping {self.name} gave no `document` or no `operation`", field="mapping")
        key = event.meta["key"]
        effect_key = result.get("effect_key") or key
        document, related = _without_nulls(result["document"]), _without_nulls(result.get("related") or {})
        return Mapped(result["operation"], effect_key, result.get("write_unit") or effect_key, document, related)


def load_model(name: str, folder: Path | None = None) -> Model:
    """Return the model `<system pair>/<event>` from `folder`, or from those that ship; raises ConfigError saying what to change."""
    return Model(name, (folder or MAPPINGS) / f"{name}.json")


def plain(value: Any, currency: str | None) -> Any:  # noqa: ANN401 - any part of an event
    """Return a part of an event as JSON has it: decimals and times become strings, so no amount passes through a float."""
    return orjson.loads(orjson.dumps(_strings(value, "", currency)))


def _strings(value: Any, name: str, currency: str | None) -> Any:  # noqa: ANN401 - any part of an event
    if isinstance(value, Mapping):
        return {key: _strings(part, key, currency) for key, part in value.items()}
    if isinstance(value, list):
        return [_strings(part, name, currency) for part in value]
    if isinstance(value, Decimal):
        return _decimal(value, name, currency)
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value


def _decimal(value: Decimal, name: str, currency: str | None) -> str:
    if name in COUNTS or currency is None:
        return f"{value.normalize():f}"
    rounded = value.quantize(Decimal(1).scaleb(-decimal_places(currency)))
    return f"{value.normalize() if name in PRICES and rounded != value else rounded:f}"


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - any part of a document
    if isinstance(value, dict):
        return {key: _without_nulls(part) for key, part in value.items() if part is not None}
    return [_without_nulls(part) for part in value] if isinstance(value, list) else value


def _refuse_what_cannot_run(content: dict[str, Any]) -> None:
    for node in content["nodes"]:
        if node["type"] == "functionNode":
            raise ValueError(f"node {node['name']!r} is JavaScript, which is refused; use an expression, a table or a switch")
    for where, expression in _expressions(content):
        problem = zen.validate_expression(expression)
        if problem is not None:
            raise ValueError(f"{where}: {expression!r}: {problem['source']}")


def _expressions(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for node in content["nodes"]:
        if node["type"] == "expressionNode":
            for expression in node["content"]["expressions"]:
                yield f"node {node['name']!r}, {expression['key']}", expression["value"]
        if node["type"] == "decisionTableNode":
            for column in node["content"]["outputs"]:
                for row in node["content"]["rules"]:
                    if row.get(column["id"]):
                        yield f"node {node['name']!r}, {column['field']}", row[column["id"]]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
