"""What the mappings ask of a shop, it does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from processors.clientele import finished
from processors.mapping import Mapped, load_model
from processors.routing import Route
from towpath.plugging import MAPPINGS

Shop = Any
Sink = Any


def asked(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return the operations and documents that the samples of a folder's mappings expect."""
    samples = [sample for path in sorted(folder.glob("*.samples.json")) for sample in json.loads(path.read_text(encoding="utf-8"))]
    return [(one["expected"]["operation"], one["expected"]["document"]) for one in samples if "expected" in one]


async def delivered(shop: Shop, operation: str, document: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the sink gets of a mapped document, and what that refers to: a customer is one of the shop's, whom the ERP changes."""
    if operation != "put_customer":
        return document, {}
    email = "before@shop.example"
    number = (await shop.control("POST", "customers", {"email": email}))["customer"]["id"]
    route = Route("f", "erp", "to", "CustomerChanged", load_model("bng-nopcommerce/customer_changed"))
    mapped, before = (Mapped(operation, "key", "", one, {}) for one in (document, {"Email": email}))
    asked_for = finished(route, mapped, f"to/customer/{number}", before)
    return asked_for.document, {name: json.dumps(related) for name, related in asked_for.related.items()}


@pytest.mark.parametrize("number", range(len(asked(MAPPINGS / "bng-nopcommerce"))))
async def test_the_shop_takes_every_document_that_a_mapping_makes(shop: Shop, sink: Sink, number: int) -> None:
    await shop.control("POST", "products/BOT-PLU-020", {"sku": "TP-0001"})
    operation, document = asked(MAPPINGS / "bng-nopcommerce")[number]
    document, related = await delivered(shop, operation, document)
    assert "applied" == (await sink.apply(operation, "key", document, version=(2**51, 0), related=related)).outcome
