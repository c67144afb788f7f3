"""Mappings: GoRules JSON Decision Models that turn a canonical event into a target's document.

A model of plain expressions is compiled once (processors/compiled); any other, and any event that a compiled one is unsure of, goes to zen-engine.

A model gets the event (amounts as decimal strings in the currency's places, times as ISO 8601 UTC), `flow` (`reference_prefix`, `options`) and
what the processor knows besides: `placed` (status and payment_status that an order was routed with) and `stock` (see processors/stock.py).
It answers with `skip` (why this event asks nothing of the target), or with `document`, `operation`, and where it needs them: `effect_key` and
`write_unit` (default: the event's business key), `related` ("entity key" to a document to create first) and `errors` (a list of
{field, value, message}: each is a data error). A null in a document means that the field is not sent.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zen
from pydantic import BaseModel, ValidationError, ValidationInfo, field_validator

from processors.compiled.functions import Unsure
from processors.compiled.graph import Compiled, compile_model
from processors.compiled.parser import Unsupported
from processors.context import plain, strings, strings_of
from towpath import shapes
from towpath.errors import ConfigError, DataError
from towpath.events import Event
from towpath.plugging import mapping_file

log = logging.getLogger(__name__)

NODES = frozenset({"inputNode", "outputNode", "expressionNode", "decisionTableNode", "switchNode"})
TROUBLE = (Unsure, TypeError, ValueError, KeyError, ArithmeticError, RecursionError)
"""What a compiled model raises of an event that only zen-engine can map or refuse."""
TEXTS, OBJECTS = frozenset({str, type(None)}), frozenset({dict, type(None)})
"""The types of what an answer may hold where it wants a text, or an object."""


@dataclass(slots=True)
class Mapped:
    """What a mapping made of an event."""

    operation: str
    effect_key: str
    write_unit: str
    document: dict[str, Any]
    related: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Skipped:
    """The event asks nothing of the target, and why."""

    reason: str


class _Problem(BaseModel):
    field: str
    message: str
    value: Any = None


class _Answer(BaseModel):
    """What a model may answer; anything else is the model's fault and becomes a data error, so that it can be mended and replayed."""

    errors: list[_Problem] = []
    skip: str | None = None
    operation: str | None = None
    effect_key: str | None = None
    write_unit: str | None = None
    document: dict[str, Any] | None = None
    related: dict[str, dict[str, Any]] = {}

    @field_validator("errors", "related", mode="before")
    @classmethod
    def _none_is_empty(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - whatever the model gave
        return ([] if info.field_name == "errors" else {}) if value is None else value


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
        except OSError as error:
            what = f"there is no {path.name} in {path.parent}" if isinstance(error, FileNotFoundError) else f"{path}: {error.strerror}"
            raise ConfigError(f"mapping {name}: {what}; write it or name another mapping in the flow") from error
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            raise ConfigError(f"mapping {name}: {path.name} is not a decision model that can run: {_first_line(error)}") from error
        self.version = hashlib.sha256(text.encode()).hexdigest()[:12]
        self._content, self._of_shape = content, dict[str, Compiled]()
        self._compiled: Compiled | None = None
        try:
            self._compiled = compile_model(content)
        except Unsupported as reason:
            log.info("mapping %s runs by zen-engine: %s", name, reason)

    @property
    def compiled(self) -> bool:
        """Tell whether the model runs without zen-engine."""
        return self._compiled is not None

    def apply(self, event: Event, flow: Mapping[str, Any], known: Mapping[str, Any] | None = None, *, decoded: bool = False) -> Mapped | Skipped:
        """Return the mapped document; raises DataError naming the field where the model reports one or cannot be evaluated.

        `known` is what the processor knows besides the event. One that was `decoded` certainly has its type's shape, and takes less looking.
        """
        return self._quickly(event, flow, known or {}, decoded=decoded) or self._by_engine(event, flow, known or {})

    def _quickly(self, event: Event, flow: Mapping[str, Any], known: Mapping[str, Any], *, decoded: bool = False) -> Mapped | Skipped | None:
        """Return what the compiled model makes of an event; None where zen-engine must be asked, as for every error."""
        if self._compiled is None:
            return None
        value = event.value
        compiled = self._compiled
        if decoded and "meta" not in compiled.reads and known.keys().isdisjoint(value):
            compiled = self._of_shape.get(event.type) or self._shaped(event.type)
            context = strings_of(event.type)(value, value.get("currency"))
            context.update(known, flow=flow)
        else:
            context = {**strings(value, value.get("currency")), **known, "flow": flow}
        try:
            return _mapped(compiled.run(context), event.meta["key"])
        except TROUBLE:
            return None

    def _shaped(self, kind: str) -> Compiled:
        """Return the model compiled for decoded events of one type."""
        found = self._of_shape[kind] = compile_model(self._content, getattr(shapes, kind))
        return found

    def _by_engine(self, event: Event, flow: Mapping[str, Any], known: Mapping[str, Any]) -> Mapped | Skipped:
        context = {**plain(event.value, event.value.get("currency")), **known, "flow": flow}
        try:
            result = self._decision.evaluate(context)["result"]
        except RuntimeError as error:
            raise DataError(f"mapping {self.name}: {_first_line(error)}", field="mapping") from error
        try:
            answer = _Answer.model_validate(result)
        except ValidationError as error:
            wrong = error.errors()[0]
            where = ".".join(str(part) for part in wrong["loc"]) or "its answer"
            raise DataError(f"mapping {self.name}: {where}: {wrong['msg']}", field="mapping", value=where) from error
        for problem in answer.errors:
            raise DataError(f"mapping {self.name}: {problem.message}", field=problem.field, value=str(problem.value))
        if answer.skip:
            return Skipped(answer.skip)
        if answer.document is None or answer.operation is None:
            raise DataError(f"mapping {self.name} gave no `document` or no `operation`", field="mapping")
        effect_key = answer.effect_key or event.meta["key"]
        document, related = _without_nulls(answer.document), _without_nulls(answer.related)
        return Mapped(answer.operation, effect_key, answer.write_unit or effect_key, document, related)


def load_model(name: str, folder: Path | None = None) -> Model:
    """Return the model `<system pair>/<event>` from `folder`, from those that ship or are plugged in; raises ConfigError saying what to change."""
    return Model(name, mapping_file(name, folder))


def _mapped(answer: Mapping[str, Any], key: str) -> Mapped | Skipped | None:
    """Return what a compiled model answers where it is of the shape that `_Answer` wants, without an error among it; None otherwise."""
    operation, document, related, skip = answer.get("operation"), answer.get("document"), answer.get("related"), answer.get("skip")
    effect_key, write_unit = answer.get("effect_key"), answer.get("write_unit")
    if not ({type(operation), type(effect_key), type(write_unit), type(skip)} <= TEXTS and {type(document), type(related)} <= OBJECTS):
        return None
    if answer.get("errors") not in (None, []):
        return None
    for part in (related or {}).values():
        if type(part) is not dict:
            return None
    if skip:
        return Skipped(skip)
    if document is None or operation is None:
        return None
    effect_key = effect_key or key
    return Mapped(operation, effect_key, write_unit or effect_key, document, related or {})


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - any part of a document
    if isinstance(value, dict):
        return {key: _without_nulls(part) for key, part in value.items() if part is not None}
    return [_without_nulls(part) for part in value] if isinstance(value, list) else value


def _refuse_what_cannot_run(content: Any) -> None:  # noqa: ANN401 - whatever the file holds
    if not isinstance(content, dict) or not isinstance(content.get("nodes"), list):
        raise TypeError("it has no list `nodes`; export it from the editor as a decision model")
    for node in content["nodes"]:
        if node["type"] == "functionNode":
            raise ValueError(f"node {node['name']!r} is JavaScript, which is refused; use an expression, a table or a switch")
        if node["type"] not in NODES:
            raise ValueError(f"node {node['name']!r} is a {node['type']}, which has nothing to run it here; use an expression, a table or a switch")
        for where, compiled, expression in _expressions(node):
            try:
                compiled(expression)
            except RuntimeError as error:
                raise ValueError(f"node {node['name']!r}, {where}: {expression!r}: {_first_line(error)}") from error


def _expressions(node: dict[str, Any]) -> Iterator[tuple[str, Callable[[str], object], str]]:
    """Yield every expression of a node with the place it stands in and what compiles it; zen itself takes a broken one for null."""
    content = node.get("content") or {}
    for expression in content.get("expressions", ()):
        yield expression["key"], zen.compile_expression, expression["value"]
    for statement in content.get("statements", ()):
        if statement.get("condition"):
            yield f"statement {statement['id']}", zen.compile_expression, statement["condition"]
    for inputs, compiled in ((content.get("inputs", ()), zen.compile_unary_expression), (content.get("outputs", ()), zen.compile_expression)):
        for column in inputs:
            if compiled is zen.compile_unary_expression and column.get("field"):
                yield f"input {column['name']}", zen.compile_expression, column["field"]
            for number, row in enumerate(content["rules"], start=1):
                if row.get(column["id"]):
                    yield f"{column['name']}, row {number}", compiled if column.get("field") else zen.compile_expression, row[column["id"]]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
