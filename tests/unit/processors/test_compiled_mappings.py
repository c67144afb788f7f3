"""Every mapping that ships is compiled, and maps every event as zen-engine does: the same document, reason or error."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import orjson
import pytest
from hypothesis import event as noted
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.context import strings, strings_of
from processors.mapping import Mapped, Model, Skipped, load_model
from towpath import events
from towpath.delivery.mending import event_of_json
from towpath.errors import DataError
from towpath.events import Event
from towpath.plugging import MAPPINGS, names_in
from towpath.testing.events import an_order

NAMES = names_in(MAPPINGS)
ZEROS = {
    (f"nopcommerce-brightpearl/{event}", name)
    for event in ("order_placed", "order_changed")
    for name in ("EUR, two lines, shipping, tax", "JPY has no minor unit", "KWD has three places")
}
"""Samples that add up to zero: how many places that has is zen-engine's to say."""
LOADED = {name: load_model(name) for name in NAMES}
SAMPLES = [(name, sample) for name in NAMES for sample in json.loads((MAPPINGS / f"{name}.samples.json").read_text(encoding="utf-8"))]
TEXTS = st.one_of(
    st.sampled_from(["", "10", "20", "30", "40", "99", "web", "DE", "5.00", "Zoë", "a/b/c", "2026-11-20T09:30:00"]), st.text(max_size=5)
)
AMOUNTS = st.one_of(st.sampled_from([Decimal(0), Decimal(1), Decimal("2.50"), Decimal("-0.000000")]), st.decimals(-(10**14), 10**14, places=6))
LEAVES: Mapping[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    bool: st.booleans(),
    int: st.one_of(st.integers(0, 5), st.integers(-(2**63), 2**63 - 1)),
    Decimal: AMOUNTS,
    datetime: st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis wants them naive
}
FIELDS: Mapping[str, st.SearchStrategy[Any]] = {
    "currency": st.sampled_from(["EUR", "JPY", "TND", "CLF", "XXX", "none such"]),
    "key": st.sampled_from(["shop/order/1001", "erp/stock/A", "", "no key"]),
    "status": st.sampled_from(["10", "20", "30", "40", "90", "", "x"]),
    "payment_status": st.sampled_from(["10", "20", "30", "35", "40", "50", "x"]),
    "quantity": st.one_of(st.integers(0, 50).map(Decimal), AMOUNTS),
    "custom_fields": st.dictionaries(st.one_of(st.sampled_from(["Order Source", "Cost Centre", "Discount"]), TEXTS), TEXTS, max_size=3),
}
JUNK = st.one_of(st.none(), st.booleans(), LEAVES[int], st.floats(-1e9, 1e9), TEXTS, st.sampled_from([[], {}, [None], {"lines": 1}]))
"""What is JSON and no number beyond zen's range: more makes the engine itself stumble, even where the model looks at nothing of it."""
FLOWS = st.fixed_dictionaries(
    {
        "name": st.just("orders"),
        "reference_prefix": st.one_of(TEXTS, JUNK),
        "options": st.one_of(
            st.just({}), st.fixed_dictionaries({"cost_centre": TEXTS, "dimensions": st.one_of(st.dictionaries(TEXTS, TEXTS, max_size=2), JUNK)})
        ),
    }
)
KNOWN = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"placed": st.one_of(JUNK, st.fixed_dictionaries({"status": TEXTS, "payment_status": FIELDS["payment_status"]}))}),
    st.fixed_dictionaries({"stock": st.fixed_dictionaries({"sellable": st.one_of(TEXTS, AMOUNTS.map(str)), "raised": LEAVES[int]})}),
)


def values(kind: Any, name: str = "") -> st.SearchStrategy[Any]:  # noqa: ANN401 - any type of a field
    """Return a strategy of what a field of an event may hold."""
    if name in FIELDS:
        return FIELDS[name]
    fields: dict[str, Any] = get_type_hints(kind) if hasattr(kind, "__required_keys__") else {}
    if fields:
        return st.fixed_dictionaries({field: values(part, field) for field, part in fields.items()})
    if get_origin(kind) is list:
        return st.lists(values(get_args(kind)[0], name), max_size=3)
    if get_origin(kind) is dict:
        return st.dictionaries(TEXTS, values(get_args(kind)[1]), max_size=3)
    return st.one_of(*(values(part, name) for part in get_args(kind))) if get_args(kind) else LEAVES.get(kind, st.none())


def kind_of(name: str) -> str:
    """Return the type of event that a mapping takes."""
    return "".join(part.capitalize() for part in name.rpartition("/")[2].split("_"))


def damaged(value: dict[str, Any], steps: Sequence[int], junk: Any) -> dict[str, Any]:  # noqa: ANN401 - any value
    """Return an event with junk in place of one of its parts; no schema lets it through, and yet nothing may go differently then."""
    whole = copy.deepcopy(value)
    part: Any = whole
    for step in steps:
        keys: list[Any] = list(part) if isinstance(part, dict) else list(range(len(part)))
        key = keys[step % len(keys)]
        if step is steps[-1] or not isinstance(part[key], dict | list) or not part[key]:
            part[key] = junk
            break
        part = part[key]
    return whole


def outcome(ask: Callable[[], Mapped | Skipped | None]) -> tuple[object, ...]:
    """Return what came of an event, to the bytes of the document, or the error."""
    try:
        answer = ask()
    except DataError as error:
        return "refused", str(error), error.field, error.value
    except (KeyError, TypeError) as error:
        return type(error), str(error)
    if isinstance(answer, Mapped):
        return answer.operation, answer.effect_key, answer.write_unit, orjson.dumps(answer.document), orjson.dumps(answer.related)
    return ("left to the engine",) if answer is None else ("skipped", answer.reason)


def alike(model: Model, event: Event, flow: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Hold that both map an event in the same way, to the bytes of the document; tell whether it is refused or needs the engine."""
    before = copy.deepcopy((event, flow, known))
    quick = outcome(lambda: model._quickly(event, flow, known))
    if quick != ("left to the engine",):
        assert outcome(lambda: model._by_engine(event, flow, known)) == quick
    assert repr(before) == repr((event, flow, known))
    return quick[0] in ("left to the engine", "refused")


@pytest.mark.parametrize("name", NAMES)
def test_a_mapping_that_ships_is_compiled(name: str) -> None:
    assert LOADED[name].compiled


@pytest.mark.parametrize(("name", "sample"), SAMPLES, ids=[f"{name}: {sample['name']}" for name, sample in SAMPLES])
def test_a_sample_needs_the_engine_only_for_its_error(name: str, sample: dict[str, Any]) -> None:
    event = event_of_json(kind_of(name), sample["event"])
    assert ("expected_error" in sample or (name, sample["name"]) in ZEROS) == alike(LOADED[name], event, sample["flow"], sample.get("known") or {})


@settings(max_examples=15)
@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_any_event_is_mapped_alike(name: str, data: st.DataObject) -> None:
    event, flow, known = Event(kind_of(name), data.draw(values(getattr(events, kind_of(name))))), data.draw(FLOWS), data.draw(KNOWN)
    noted(f"refused, or by the engine: {alike(LOADED[name], event, flow, known)}")
    for_sure = outcome(lambda: LOADED[name]._quickly(event, flow, known, decoded=True))
    assert outcome(lambda: LOADED[name]._quickly(event, flow, known)) == for_sure


@pytest.mark.parametrize("kind", events.AGGREGATES)
@given(data=st.data())
def test_the_parts_of_a_decoded_event_become_strings_as_those_of_any_other(kind: str, data: st.DataObject) -> None:
    value, currency = data.draw(values(getattr(events, kind))), data.draw(st.sampled_from([None, "EUR", "JPY", "TND"]))
    before = copy.deepcopy(value)
    assert {**strings(value, currency), "meta": value["meta"]} == strings_of(kind)(value, currency)
    assert before == value


@settings(max_examples=15)
@pytest.mark.parametrize("name", NAMES)
@given(data=st.data(), steps=st.lists(st.integers(0, 60), min_size=1, max_size=3), junk=st.one_of(JUNK, AMOUNTS))
def test_what_no_schema_lets_through_is_mapped_alike(name: str, data: st.DataObject, steps: list[int], junk: Any) -> None:  # noqa: ANN401 - any value
    sample = data.draw(st.sampled_from([sample for model, sample in SAMPLES if model == name]))
    value = damaged(dict(event_of_json(kind_of(name), sample["event"]).value), steps, junk)
    alike(LOADED[name], Event(kind_of(name), value), sample["flow"], sample.get("known") or {})


def test_a_model_that_is_not_compiled_runs_by_the_engine_and_says_why(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = (MAPPINGS / "nopcommerce-bng/order_placed.json").read_text(encoding="utf-8")
    (tmp_path / "own.json").write_text(text.replace("split(placed_at, 'T')[0]", "d(placed_at).format('%Y-%m-%d')"), encoding="utf-8")
    with caplog.at_level(logging.INFO):
        model = load_model("own", tmp_path)
    event, flow = Event("OrderPlaced", an_order()), {"name": "orders", "reference_prefix": "TP-", "options": {}}
    assert not model.compiled
    assert "mapping own runs by zen-engine: node 'sales order': document.OrderDate: " in caplog.text
    assert LOADED["nopcommerce-bng/order_placed"].apply(event, flow) == model.apply(event, flow)
