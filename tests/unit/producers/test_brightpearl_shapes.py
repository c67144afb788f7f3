"""Where Brightpearl keeps things: cities and states in lines, countries in three letters, a bundle's parts as rows of their own."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from producers.base import Provenance
from producers.brightpearl import SOURCE
from towpath.errors import DataError
from towpath.events import Event

PROVENANCE = Provenance("erp", datetime(2026, 11, 20, tzinfo=UTC), 5, "1" * 32)
ADDRESS = {"addressLine1": "Flat 7", "addressLine2": "Soho", "addressLine3": "London", "addressLine4": "Greater London", "postalCode": "W1A 1AA"}
CONTACT: dict[str, Any] = {
    "contactId": 200,
    "firstName": "Ann",
    "createdOn": "2026-11-20T04:17:45.000-06:00",
    "communication": {"emails": {"PRI": {"email": "ann@example.com"}}},
    "postAddressIds": {"DEF": 1, "BIL": 1, "DEL": 1},
}


def decoded(entity: str, bundle: dict[str, Any]) -> Event:
    (event,) = SOURCE.decode(entity, json.dumps(bundle).encode(), PROVENANCE)
    return event


def contact(**country: str) -> Event:
    return decoded("contact", {"contact": CONTACT | {"postalAddresses": {"1": ADDRESS | country}}})


def test_lines_three_and_four_of_an_address_are_the_city_and_the_state_and_three_letters_are_two() -> None:
    address = contact(countryIsoCode="GBR").value["billing_address"]
    named = tuple(address[name] for name in ("lines", "city", "region", "postcode", "country"))
    assert (["Flat 7", "Soho"], "London", "Greater London", "W1A 1AA", "GB") == named


def test_a_country_that_is_none_is_refused_by_its_field() -> None:
    with pytest.raises(DataError) as caught:
        contact(countryIsoCode="XXX")
    assert ("postalAddresses.1.countryIsoCode", "XXX") == (caught.value.field, caught.value.value)


def row(sku: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return {"productSku": sku, "quantity": {"magnitude": "1.0000"}, **more}


def note(**delivery: str) -> Event:
    """A note of a bundle and its two parts, the parent's quantity among them."""
    rows = {
        "10": row("SET", composition={"bundleParent": True, "bundleChild": False, "parentOrderRowId": 0}),
        "11": row("CUP", composition={"bundleParent": False, "bundleChild": True, "parentOrderRowId": 10}),
        "9": row("TEA", composition={"bundleParent": False, "bundleChild": True, "parentOrderRowId": 10}),
    }
    sent = {one: [{"productId": 1, "quantity": quantity}] for one, quantity in (("10", 1), ("11", 2), ("9", 1))}
    order = {"id": 5, "orderRows": rows, "parties": {"delivery": {"addressFullName": "Ann van Dyk", **ADDRESS, **delivery}}}
    noted = {"orderId": 5, "warehouseId": 2, "createdOn": "2026-11-20T04:17:45.000-06:00", "status": {"shipped": False}, "orderRows": sent}
    return decoded("goods_out_note", {"note_id": 7, "note": noted, "order": order, "order_key": "shop/order/1001"})


def test_a_bundle_is_sent_as_its_parts_and_not_once_more_as_itself() -> None:
    lines = [(line["line_no"], line["sku"], int(line["quantity"])) for line in note().value["lines"]]
    assert [(3, "CUP", 2), (1, "TEA", 1)] == lines, "numbered by the ids of the rows, which are numbers"


@pytest.mark.parametrize("delivery", [{"countryIsoCode": "GB", "countryIsoCode3": "GBR"}, {"countryIsoCode": "GBR"}, {"countryIsoCode3": "GBR"}])
def test_who_it_is_sent_to_has_a_city_a_state_and_a_country_of_two_letters(delivery: dict[str, str]) -> None:
    to = note(**delivery).value["ship_to"]
    assert ("Ann van", "Dyk", "London", "Greater London", "GB") == tuple(
        to[name] for name in ("first_name", "last_name", "city", "region", "country")
    )
    assert ["Flat 7", "Soho"] == to["lines"]
