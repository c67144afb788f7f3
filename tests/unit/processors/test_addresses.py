"""Addresses: which are one, and which cannot be."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from processors.addresses import check_address, load_validators, plain_address
from processors.rules import check
from towpath.errors import ConfigError, DataError
from towpath.events import Event
from towpath.plugging import plugged_in
from towpath.testing.events import an_address, an_order

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


VALIDATOR = """
def check(address):
    if address["city"] == "Atlantis":
        return "city", "it has sunk"
    if address["city"] == "Erewhon":
        raise KeyError(address["lines"])
"""


@pytest.fixture
def _post(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "validators").mkdir()
    (tmp_path / "validators" / "post_of_acme.py").write_text(VALIDATOR, encoding="utf-8")
    with plugged_in(tmp_path):
        yield
    sys.modules.pop("processors.validators.post_of_acme", None)


@pytest.mark.usefixtures("_post")
def test_a_validator_that_is_plugged_in_has_its_say_of_orders_and_customers() -> None:
    with pytest.raises(DataError, match=r"billing_address.city: it has sunk \(post_of_acme\)") as caught:
        check_address(an_address(city="Atlantis"), "billing_address")
    assert ("billing_address.city", "Atlantis") == (caught.value.field, caught.value.value)
    with pytest.raises(DataError, match="it has sunk"):
        check(Event("OrderPlaced", an_order(shipping_address=an_address(city="Atlantis"))))
    check_address(an_address(), "billing_address")
    with pytest.raises(DataError) as caught:
        check_address(an_address(city="Atlantis", country="XX"), "billing_address")
    assert "billing_address.country" == caught.value.field, "our own rules come first"


@pytest.mark.usefixtures("_post")
def test_a_validator_that_fails_lets_an_address_pass_and_is_told_of_without_it(caplog: pytest.LogCaptureFixture) -> None:
    check_address(an_address(city="Erewhon", lines=["Secret Street 5"]), "billing_address")
    assert "processors.validators.post_of_acme failed: KeyError" in caplog.text
    assert "Secret" not in caplog.text


def test_a_validator_is_asked_no_more_once_it_is_taken_out() -> None:
    check_address(an_address(city="Atlantis"), "billing_address")


@pytest.mark.parametrize(("code", "why"), [("import nothing_there", "ModuleNotFoundError"), ("CHECK = 1", "has no attribute 'check'")])
def test_a_validator_that_cannot_be_used_is_named(tmp_path: Path, code: str, why: str) -> None:
    (tmp_path / "validators").mkdir()
    (tmp_path / "validators" / "broken_post.py").write_text(code, encoding="utf-8")
    with plugged_in(tmp_path), pytest.raises(ConfigError, match=rf"processors.validators.broken_post cannot be used: .*{why}"):
        load_validators()
    sys.modules.pop("processors.validators.broken_post", None)
