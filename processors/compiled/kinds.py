"""What is certain of an event's fields before any event is seen: the kinds that its shape (towpath/shapes.py) gives them once they are JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Optional, get_args, get_origin, get_type_hints, is_typeddict

KINDS: Final[Mapping[Any, str]] = {str: "string", Decimal: "string", datetime: "string", int: "number", bool: "bool"}
FINISHED: Final = (str, int, bool, list[str], dict[str, str])
"""Types of fields that stand in an answer as they are; whole numbers of a schema fit there."""

Hint = Any
"""The type that a shape gives a field; None where nothing is certain."""


def fields_of(shape: Hint) -> Mapping[str, Hint]:
    """Return the types of the fields that things of this shape all have."""
    return get_type_hints(shape) if is_typeddict(shape) else {}


def kind_of(hint: Hint) -> str:
    """Return the kind of a value of this type, as `Code` has it."""
    origin: Any = get_origin(hint)
    if is_typeddict(hint) or origin is dict:
        return "object"
    return "list" if origin is list else KINDS.get(hint, "any")


def is_finished(hint: Hint) -> bool:
    """Tell whether a value of this type stands in an answer as it is."""
    return hint in FINISHED or KINDS.get(hint) == "string" or (is_nullable(hint) and is_finished(present_of(hint)))


def is_nullable(hint: Hint) -> bool:
    """Tell whether this is a type or null."""
    return type(None) in get_args(hint)


def present_of(hint: Hint) -> Hint:
    """Return the type of what is not null; None where it may be of several."""
    found = [one for one in get_args(hint) if one is not type(None)]
    return found[0] if len(found) == 1 else None


def or_null(hint: Hint) -> Hint:
    """Return the type of such a value, or null."""
    return None if hint is None else Optional[hint]  # noqa: UP045 - of a type that is known at run time only


def item_of(hint: Hint) -> Hint:
    """Return the type of what a list of this type holds."""
    return get_args(hint)[0] if kind_of(hint) == "list" else None


def step(value: str, hint: Hint, key: str | int) -> tuple[str, Hint]:
    """Return the source of `value[key]`, null where there is none, and its type."""
    if is_nullable(hint) and (inner := present_of(hint)) is not None:
        source, found = step(value, inner, key)
        return f"({source} if {value} is not None else None)", found if is_nullable(found) else or_null(found)
    if isinstance(key, int):
        if key >= 0 and (item := item_of(hint)) is not None:
            return f"({value}[{key}] if len({value}) > {key} else None)", or_null(item)
        return f"member({value}, {key})", None
    if key in (fields := fields_of(hint)):
        return f"{value}[{key!r}]", fields[key]
    if kind_of(hint) == "object":
        return f"{value}.get({key!r})", None if is_typeddict(hint) else or_null(get_args(hint)[1])
    return f"({value}.get({key!r}) if type({value}) is dict else None)", None
