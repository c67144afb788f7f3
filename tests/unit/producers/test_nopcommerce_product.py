"""A product of a NopCommerce shop as an event, where the shop is the master of products."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from producers.base import Provenance
from producers.nopcommerce import SOURCE
from towpath.errors import DataError
from towpath.events import Event

BUNDLE: dict[str, Any] = {
    "product": {"id": 7, "sku": " CAP-1 ", "name": "Cap", "price": 12.5, "updated_on_utc": "2026-11-20T09:00:00Z"},
    "described": [
        {"specification_attribute_option_id": 3, "custom_value": None},
        {"specification_attribute_option_id": 4},
        {"specification_attribute_option_id": 99},
    ],
    "options": {"3": {"specification_attribute_id": 1, "name": "Red"}, "4": {"specification_attribute_id": 1, "name": "Blue"}, "99": None},
    "attributes": {"1": {"name": "Colour"}},
}


def decoded(offset: int = 5, **changes: Any) -> Event:  # noqa: ANN401 - any field of the shop's
    bundle = {**BUNDLE, "product": BUNDLE["product"] | changes}
    provenance = Provenance("shop", datetime(2026, 11, 20, tzinfo=UTC), offset, "1" * 32)
    (event,) = SOURCE.decode("product", json.dumps(bundle).encode(), provenance)
    return event


def test_a_product_has_its_price_among_its_attributes_for_the_shop_names_no_currency() -> None:
    event = decoded()
    assert ("ProductChanged", "shop/product/7", "CAP-1", "Cap") == (event.type, event.meta["key"], event.value["sku"], event.value["name"])
    assert ({"Colour": "Red, Blue", "price": "12.5"}, None, "") == tuple(event.value[name] for name in ("attributes", "price", "currency"))


def test_the_same_product_read_twice_is_one_fact_and_one_that_returns_to_what_it_was_another() -> None:
    assert decoded().meta["event_id"] == decoded(offset=9).meta["event_id"]
    assert decoded().meta["event_id"] != decoded(updated_on_utc="2026-11-20T10:00:00Z").meta["event_id"]


@pytest.mark.parametrize(("changes", "field"), [({"sku": None}, "sku"), ({"price": "x"}, "price"), ({"updated_on_utc": "soon"}, "updated_on_utc")])
def test_what_is_no_product_is_refused_by_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(DataError) as caught:
        decoded(**changes)
    assert field == caught.value.field
