"""Checks a body against a component of an OpenAPI contract: the subset of JSON Schema that the contracts of this project use."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import cache
from importlib import resources
from typing import Any, Final

import yaml

from towpath.sandbox.kit.messages import Refusal

TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "null": lambda v: v is None,
}


class Contract:
    """The components of one file below `schemas/http`."""

    def __init__(self, name: str) -> None:
        self._schemas = _schemas(name)

    def check(self, component: str, body: object) -> dict[str, Any]:
        """Return the body, which is then a valid `component`; raises Refusal(400) that names the first wrong field."""
        self._check(self._schemas[component], body, "")
        if not isinstance(body, dict):
            raise _wrong("", "expected an object")
        return body

    def _check(self, schema: Mapping[str, Any], value: Any, at: str) -> None:  # noqa: ANN401 - any JSON
        if "$ref" in schema:
            return self._check(self._schemas[schema["$ref"].rsplit("/", 1)[1]], value, at)
        types = schema.get("type", [])
        types = [types] if isinstance(types, str) else types
        if types and not any(TYPES[name](value) for name in types):
            raise _wrong(at, f"expected {' or '.join(types)}")
        if "enum" in schema and value not in schema["enum"]:
            raise _wrong(at, f"expected one of {', '.join(map(str, schema['enum']))}")
        if isinstance(value, str):
            return _check_text(schema, value, at)
        if isinstance(value, int) and value < schema.get("minimum", value):
            raise _wrong(at, f"expected at least {schema['minimum']}")
        if isinstance(value, list):
            return self._check_list(schema, value, at)
        if isinstance(value, dict):
            return self._check_object(schema, value, at)
        return None

    def _check_list(self, schema: Mapping[str, Any], value: list[Any], at: str) -> None:
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            raise _wrong(at, "too few or too many items")
        for index, item in enumerate(value):
            self._check(schema.get("items", {}), item, f"{at}[{index}]")

    def _check_object(self, schema: Mapping[str, Any], value: dict[str, Any], at: str) -> None:
        known, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
        for name in schema.get("required", []):
            if name not in value:
                raise _wrong(_below(at, name), "missing")
        if len(value) < schema.get("minProperties", 0):
            raise _wrong(at, "empty")
        for name, item in value.items():
            if name in known:
                self._check(known[name], item, _below(at, name))
            elif rest is False:
                raise _wrong(_below(at, name), "unknown property")
            elif rest is not True:
                self._check(rest, item, _below(at, name))


@cache
def _schemas(name: str) -> Mapping[str, Any]:
    text = resources.files("schemas").joinpath("http", f"{name}.yaml").read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # eight times as quick, where libyaml is there
    schemas: Mapping[str, Any] = yaml.load(text, loader)["components"]["schemas"]  # noqa: S506 - both are safe ones
    return schemas


def _check_text(schema: Mapping[str, Any], value: str, at: str) -> None:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        raise _wrong(at, "too short or too long")
    if "pattern" in schema and re.search(schema["pattern"], value) is None:
        raise _wrong(at, f"does not match {schema['pattern']}")
    if schema.get("format") == "date":
        try:
            date.fromisoformat(value)
        except ValueError:
            raise _wrong(at, "expected a date as YYYY-MM-DD") from None
        if len(value) != len("YYYY-MM-DD"):
            raise _wrong(at, "expected a date as YYYY-MM-DD")


def _below(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _wrong(at: str, message: str) -> Refusal:
    return Refusal(400, "invalid_body", f"{at or 'body'}: {message}", field=at or None)
