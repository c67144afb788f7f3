"""Addresses: which are one, and which cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from processors.addresses import check_address, plain_address
from towpath.errors import DataError
from towpath.testing.events import an_address

NEW_YORK = {"lines": ["123 Main Street"], "city": "New York", "region": "NY", "postcode": "10001", "country": "US"}
ALIKE = [
    ({"lines": ["123 MAIN ST."]}, NEW_YORK),
    ({"region": "new york"}, NEW_YORK),
    ({"lines": ["123 Main", "Street"]}, NEW_YORK),
    ({"city": " new  york "}, NEW_YORK),
    ({"phone": "1", "first_name": "Al", "company": "Oak", "email": "al@oak.example"}, NEW_YORK),
    ({"lines": ["Goethestrasse 5"]}, {"lines": ["Goethestraße 5"], "country": "DE"}),
    ({"postcode": "SW1A1AA"}, {"postcode": "sw1a 1aa", "country": "GB"}),
]
OTHER = [{"lines": ["124 Main Street"]}, {"city": "Newark"}, {"region": "NJ"}, {"postcode": "10002"}, {"country": "CA"}]


@pytest.mark.parametrize(("change", "one"), ALIKE)
def test_an_address_may_be_written_in_many_ways(change: dict[str, Any], one: dict[str, Any]) -> None:
    assert plain_address(an_address(**one)) == plain_address(an_address(**{**one, **change}))


@pytest.mark.parametrize("change", OTHER)
def test_another_place_is_another_address(change: dict[str, Any]) -> None:
    assert plain_address(an_address(**NEW_YORK)) != plain_address(an_address(**{**NEW_YORK, **change}))


def test_a_place_that_is_none_is_no_address() -> None:
    assert plain_address(None) == plain_address(an_address(lines=[], city="", region="", postcode="", country=""))


@pytest.mark.parametrize(
    ("country", "postcode"), [("DE", "10115"), ("GB", "SW1A 1AA"), ("JP", "150-0001"), ("US", "10001-1234"), ("AE", "anything"), ("", "")]
)
def test_a_possible_address_passes(country: str, postcode: str) -> None:
    check_address(an_address(country=country, postcode=postcode), "billing_address")


@pytest.mark.parametrize(
    ("country", "postcode", "field"),
    [("DE", "1011", "postcode"), ("US", "SW1A 1AA", "postcode"), ("XX", "1", "country"), ("Germany", "1", "country")],
)
def test_an_impossible_address_is_refused_by_the_part_that_is_wrong(country: str, postcode: str, field: str) -> None:
    with pytest.raises(DataError) as caught:
        check_address(an_address(country=country, postcode=postcode), "shipping_address")
    assert f"shipping_address.{field}" == caught.value.field


def test_no_address_passes() -> None:
    check_address(None, "billing_address")
