"""One example per event type, as JSON to read beside the schema: it encodes and comes back as it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from towpath.codec import SCHEMAS, default_codec
from towpath.delivery.mending import event_of_json
from towpath.events import AGGREGATES, digest

EXAMPLES = SCHEMAS / "examples"


def example(name: str) -> Mapping[str, Any]:
    return event_of_json(name, json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))).value


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
