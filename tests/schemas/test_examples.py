"""One example per event type, as JSON to read beside the schema: it encodes and comes back as it was."""

from __future__ import annotations

import json
import typing
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from towpath import events
from towpath.codec import SCHEMAS, default_codec
from towpath.events import AGGREGATES, digest

EXAMPLES = SCHEMAS / "examples"


def typed(value: Any, shape: Any) -> Any:  # noqa: ANN401 - any part of an event
    """Return a part of an event with the decimals and times that JSON holds as text."""
    options = [one for one in typing.get_args(shape) if one is not type(None)]
    if value is None:
        return None
    if typing.get_origin(shape) is list:
        return [typed(part, options[0]) for part in value]
    if typing.get_origin(shape) is dict:
        return {key: typed(part, options[1]) for key, part in value.items()}
    if options:
        return typed(value, options[0])
    if typing.is_typeddict(shape):
        hints = typing.get_type_hints(shape)
        return {name: typed(part, hints[name]) for name, part in value.items()}
    return Decimal(value) if shape is Decimal else datetime.fromisoformat(value) if shape is datetime else value


def example(name: str) -> dict[str, Any]:
    found: dict[str, Any] = typed(json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8")), getattr(events, name))
    return found


def test_there_is_one_example_per_event_type() -> None:
    assert sorted(AGGREGATES) == sorted(path.stem for path in EXAMPLES.glob("*.json"))


@pytest.mark.parametrize("name", sorted(AGGREGATES))
def test_an_example_encodes_and_comes_back_as_it_was(name: str) -> None:
    value = example(name)
    assert (name, value) == default_codec().decode(default_codec().encode(name, value))


@pytest.mark.parametrize("name", sorted(AGGREGATES))
def test_an_example_states_its_true_digest(name: str) -> None:
    value = example(name)
    assert digest(value) == value["meta"]["digest"]
