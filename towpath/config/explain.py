"""pydantic's errors in an operator's words: the field, what is wrong, what to change."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from towpath.config.connections import NAME, near
from towpath.config.document import Problem
from towpath.config.secret import is_secret_name

_NAME_RULE = "a name must be small letters, digits and single hyphens, at most 40, such as shop-berlin"


def problems_of(error: ValidationError, model: type[BaseModel], prefix: tuple[str, ...] = ()) -> list[Problem]:
    """Return one problem for each error that validating `model` gave, its field put under `prefix`."""
    return [Problem(".".join((*prefix, *_path(details["loc"]))), _message(details, model, prefix)) for details in error.errors()]


def _path(loc: tuple[int | str, ...]) -> tuple[str, ...]:
    return tuple(str(part) for part in loc if part != "[key]")


def _message(details: ErrorDetails, model: type[BaseModel], prefix: tuple[str, ...]) -> str:
    kind, loc = details["type"], details["loc"]
    if loc[-1:] == ("[key]",) or details.get("ctx", {}).get("pattern") == NAME:
        return _NAME_RULE
    if kind == "extra_forbidden":
        return f"unknown key; {near(str(loc[-1]), _fields_at(model, loc[:-1]))}"
    if kind == "missing":
        return "is missing; add it"
    if kind == "towpath":
        return details["msg"]
    return f"{_sentence(details['msg'])}{_shown((*prefix, *_path(loc)), details['input'])}"


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should", "should", 1)


def _shown(path: tuple[str, ...], value: object) -> str:
    hidden = any(is_secret_name(part) or part == "credentials" for part in path)
    return "" if hidden or not isinstance(value, str | int | float | bool) else f", not {value!r}"[:100]


def _fields_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    at: Any = model
    for part in loc:
        if isinstance(at, type) and issubclass(at, BaseModel):
            field = at.model_fields.get(str(part))
            at = None if field is None else _bare(field.annotation)
        elif get_origin(at) in (Mapping, dict):
            at = _bare(get_args(at)[1])
    return list(at.model_fields) if isinstance(at, type) and issubclass(at, BaseModel) else []


def _bare(annotation: Any) -> Any:  # noqa: ANN401  # a type form
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return _bare(next(arg for arg in get_args(annotation) if arg is not type(None)))
    return annotation
