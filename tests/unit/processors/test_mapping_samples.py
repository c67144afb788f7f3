"""Every mapping that ships has samples beside it, and does to each what it says there."""

from __future__ import annotations

import functools
from typing import Any

import jsonschema
import pytest
import yaml

from processors.mapping import Mapped
from towpath.codec import SCHEMAS
from towpath.plugging import MAPPINGS, names_in
from towpath.testing.contracts import mapping_tests
from towpath.testing.contracts.mappings import event_of, loaded, samples_of

MODELS = names_in(MAPPINGS)
BNG = {
    "create_order": "SalesOrderCreate",
    "change_order": "SalesOrderChange",
    "customer": "CustomerCreate",
    "put_customer": "CustomerChange",
    "gl_entry": "GlEntryCreate",
    "credit_memo": "CreditMemoCreate",
}
BNG |= {"create_gl_entry": BNG["gl_entry"]}


TestMappings = mapping_tests(MAPPINGS)

CASES = {f"{model}: {sample['name']}": (model, sample) for model in MODELS for sample in samples_of(MAPPINGS, model)}
TO_BNG = {name: (model, sample) for name, (model, sample) in CASES.items() if "-bng/" in model and "expected" in sample}


@functools.cache
def contract() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((SCHEMAS / "http/bng.yaml").read_text(encoding="utf-8"))
    return read


def valid(schema: str, document: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator({**contract(), "$ref": f"#/components/schemas/{schema}"}).validate(document)


@pytest.mark.parametrize(("model", "sample"), TO_BNG.values(), ids=list(TO_BNG))
def test_what_is_sent_to_bng_fits_its_contract_once_references_are_resolved(model: str, sample: dict[str, Any]) -> None:
    mapped = loaded(MAPPINGS, model).apply(event_of(model, sample), sample["flow"], sample.get("known"))
    assert isinstance(mapped, Mapped)
    for what, document in ((mapped.operation, mapped.document), *mapped.related.items()):
        resolved: dict[str, Any] = {name: "C-1" if isinstance(part, dict) and "$ref" in part else part for name, part in document.items()}
        if (schema := BNG.get(what.split(" ")[0])) is not None:
            new: dict[str, Any] = resolved.pop("New", {})
            sent: dict[str, Any] = resolved.get("Change", resolved.get("Entry", resolved))
            valid(schema, sent)
            valid(schema, {**sent, **new})
