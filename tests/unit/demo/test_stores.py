"""What the systems hold, as the figures read it: a shipment is called as the shop has heard of it."""

from __future__ import annotations

from typing import Any

import pytest

from towpath.demo.brightpearl_stores import as_counted
from towpath.demo.pairs import ALL, Pair, find_pair, find_pairs

ROWS = {"1": [{"quantity": 2}]}


def note(number: int, *, shipped: bool = True, reference: str = "") -> dict[str, Any]:
    return {"_id": number, "status": {"shipped": shipped}, "orderRows": ROWS, "shipping": {"reference": reference}}


@pytest.mark.parametrize("pair", [find_pair("brightpearl-nopcommerce"), find_pairs(ALL)[2]], ids=lambda pair: pair.prefix or "alone")
def test_a_shipment_has_the_name_of_the_connection_that_tells_of_it(pair: Pair) -> None:
    held: dict[str, list[dict[str, Any]]] = {"orders": [], "contacts": [], "products": [], "stock": [], "notes": [note(1), note(2, reference="T1")]}
    threepl: dict[str, list[dict[str, Any]]] = {
        "requests": [{"id": "r1", "reference": "BP-2", "status": "shipped"}],
        "shipments": [{"id": "s1", "requestId": "r1", "trackingNumber": "T1", "lines": [{"quantity": 2}]}],
    }
    found = as_counted(held, threepl, pair)
    assert [f"{pair.prefix}erp/shipment/1", f"{pair.prefix}threepl/shipment/s1"] == [row["Reference"] for row in found["shipments"]]
    assert [] == found["untold"]
