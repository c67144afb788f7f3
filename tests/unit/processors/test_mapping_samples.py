"""Every mapping that ships has samples beside it, and does to each what it says there."""

from __future__ import annotations

import functools
import json
from dataclasses import asdict
from typing import Any

import jsonschema
import pytest
import yaml

from processors.mapping import MAPPINGS, Mapped, Model, Skipped, load_model
from towpath.codec import SCHEMAS, default_codec
from towpath.delivery.mending import event_of_json
from towpath.errors import DataError
from towpath.events import AGGREGATES, Event

SAMPLES = ".samples.json"
MODELS = sorted(str(path.relative_to(MAPPINGS).with_suffix("")) for path in MAPPINGS.rglob("*.json") if not path.name.endswith(SAMPLES))
EVENTS = {"".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_"): name for name in AGGREGATES}
BNG = {
    "create_order": "SalesOrderCreate",
    "change_order": "SalesOrderChange",
    "customer": "CustomerCreate",
    "put_customer": "CustomerChange",
    "gl_entry": "GlEntryCreate",
    "credit_memo": "CreditMemoCreate",
}
BNG |= {"create_gl_entry": BNG["gl_entry"]}


@functools.cache
def loaded(model: str) -> Model:
    return load_model(model)


def samples_of(model: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((MAPPINGS / f"{model}{SAMPLES}").read_text(encoding="utf-8"))
    return found


CASES = {f"{model}: {sample['name']}": (model, sample) for model in MODELS for sample in samples_of(model)}
TO_BNG = {name: (model, sample) for name, (model, sample) in CASES.items() if "-bng/" in model and "expected" in sample}


def event_of(model: str, sample: dict[str, Any]) -> Event:
    """Return the sample's event as it arrives: through the wire."""
    kind = EVENTS[model.rpartition("/")[2]]
    return Event(*default_codec().decode(default_codec().encode(kind, event_of_json(kind, sample["event"]).value)))


@pytest.mark.parametrize("model", MODELS)
def test_a_mapping_has_samples_with_names_of_their_own_for_what_it_maps_refuses_and_skips(model: str) -> None:
    samples, text = samples_of(model), (MAPPINGS / f"{model}.json").read_text(encoding="utf-8")
    wanted = {"expected", *(name for key, name in (("errors", "expected_error"), ("skip", "expected_skip")) if f'"key": "{key}"' in text)}
    assert len(samples) == len({sample["name"] for sample in samples})
    assert wanted == {name for sample in samples for name in sample if name.startswith("expected")}


def test_no_samples_lie_about_without_their_mapping() -> None:
    assert MODELS == sorted(str(path.relative_to(MAPPINGS)).removesuffix(SAMPLES) for path in MAPPINGS.rglob(f"*{SAMPLES}"))


@pytest.mark.parametrize(("model", "sample"), CASES.values(), ids=list(CASES))
def test_a_sample_maps_to_what_it_says(model: str, sample: dict[str, Any]) -> None:
    event = event_of(model, sample)
    if "expected_error" in sample:
        with pytest.raises(DataError) as caught:
            loaded(model).apply(event, sample["flow"], sample.get("known"))
        assert sample["expected_error"] == {"field": caught.value.field}
        return
    answer = loaded(model).apply(event, sample["flow"], sample.get("known"))
    if isinstance(answer, Skipped):
        assert sample["expected_skip"] == answer.reason
        return
    mapped = asdict(answer)
    assert sample["expected"] == {name: mapped[name] for name in ("operation", "effect_key", "document", "related")}


@functools.cache
def contract() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((SCHEMAS / "http/bng.yaml").read_text(encoding="utf-8"))
    return read


def valid(schema: str, document: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator({**contract(), "$ref": f"#/components/schemas/{schema}"}).validate(document)


@pytest.mark.parametrize(("model", "sample"), TO_BNG.values(), ids=list(TO_BNG))
def test_what_is_sent_to_bng_fits_its_contract_once_references_are_resolved(model: str, sample: dict[str, Any]) -> None:
    mapped = loaded(model).apply(event_of(model, sample), sample["flow"], sample.get("known"))
    assert isinstance(mapped, Mapped)
    for what, document in ((mapped.operation, mapped.document), *mapped.related.items()):
        resolved: dict[str, Any] = {name: "C-1" if isinstance(part, dict) and "$ref" in part else part for name, part in document.items()}
        if (schema := BNG.get(what.split(" ")[0])) is not None:
            new: dict[str, Any] = resolved.pop("New", {})
            sent: dict[str, Any] = resolved.get("Change", resolved.get("Entry", resolved))
            valid(schema, sent)
            valid(schema, {**sent, **new})
