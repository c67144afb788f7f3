"""Ids, digests and versions: equal facts are equal, whoever reads them and however often."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.codec import default_codec
from towpath.events import NAMESPACE, Version, business_key, decimal_text, digest, is_newer, micros, stable_id
from towpath.testing.events import a_customer, an_order

numbers = st.decimals(-(10**20), 10**20, places=6, allow_nan=False)
versions = st.builds(lambda major, minor: Version(major=major, minor=minor), st.integers(-3, 3), st.integers(-3, 3))


def test_an_id_is_the_same_in_another_process() -> None:
    code = "from towpath.events import stable_id; print(stable_id('shop', 'order', 1001))"
    other = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert stable_id("shop", "order", 1001) == other.stdout.strip()


def test_an_id_is_what_it_always_was() -> None:
    assert "87da9008-6875-58ff-bf2f-c47b7d52eb1d" == stable_id("shop", "order", 1001)


@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_ids_are_equal_exactly_when_their_parts_are(one: list[str], other: list[str]) -> None:
    assert (one == other) == (stable_id(*one) == stable_id(*other))


def test_order_1001_of_two_shops_are_two_orders() -> None:
    assert ("shop/order/1001", "shop-2/order/1001") == (business_key("shop", "order", 1001), business_key("shop-2", "order", "1001"))


@given(numbers, st.integers(0, 10))
def test_a_digest_ignores_trailing_zeros(number: Decimal, zeros: int) -> None:
    text = f"{number:f}"
    assert digest({"total": number}) == digest({"total": Decimal(text + "0" * zeros)})


@given(numbers, numbers)
def test_a_digest_tells_any_two_amounts_apart(one: Decimal, other: Decimal) -> None:
    assert (one == other) == (digest({"total": one}) == digest({"total": other}))


def test_a_digest_tells_amounts_apart_that_differ_in_the_last_of_38_digits() -> None:
    one, other = Decimal("12345678901234567890123456789012.345678"), Decimal("12345678901234567890123456789012.345679")
    assert digest({"total": one}) != digest({"total": other})


@given(st.lists(st.one_of(st.text(), st.integers(), st.none()), max_size=4))
def test_an_id_is_the_uuid5_of_its_parts(parts: list[object]) -> None:
    assert str(uuid.uuid5(NAMESPACE, json.dumps([str(part) for part in parts]))) == stable_id(*parts)


def test_a_digest_stays_what_it_was_when_it_first_became_an_id() -> None:
    assert "4899a86fa93dbb0b7d2d6c93a705b9cc4bf4149b8d5abd8f83213e5ae1b3d620" == digest(an_order())


leaves = st.one_of(
    st.text(), st.none(), st.booleans(), st.integers(), numbers, st.sampled_from([Decimal("-0E+3"), Decimal("1E-30"), Decimal("5E+20")])
)


@given(st.recursive(leaves, lambda part: st.lists(part) | st.dictionaries(st.text(), part), max_leaves=10))
def test_a_digest_is_of_json_with_sorted_names_in_ascii(content: object) -> None:
    def text(value: Decimal) -> str:
        plain = f"{value:f}"
        plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
        return "0" if plain == "-0" else plain

    assert hashlib.sha256(json.dumps({"x": content}, sort_keys=True, default=text).encode()).hexdigest() == digest({"x": content})


def test_a_digest_ignores_the_order_of_names_meta_and_the_zone_of_a_time() -> None:
    order = an_order()
    there = order["placed_at"].astimezone(timezone(timedelta(hours=9)))
    turned = {name: order[name] for name in reversed(list(order))} | {"placed_at": there, "meta": {"event_id": "other"}}  # type: ignore[literal-required]
    assert digest(order) == digest(turned)


def test_a_digest_is_the_same_before_and_after_the_wire() -> None:
    codec, order, customer = default_codec(), an_order(), a_customer()
    assert digest(order) == digest(codec.decode(codec.encode("OrderPlaced", order))[1])
    assert digest(customer) == digest(codec.decode(codec.encode("CustomerChanged", customer))[1])


@pytest.mark.parametrize(
    "changes",
    [
        {"total": Decimal("34.57")},
        {"status": "30"},
        {"lines": []},
        {"shipping_address": None},
        {"custom_fields": {}},
        {"customer_email": "z@shop.example"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_digest_notices_every_change_of_content(changes: dict[str, Any]) -> None:
    assert digest(an_order()) != digest({**an_order(), **changes})


@pytest.mark.parametrize("value", [1 + 1j, datetime(2026, 1, 1), b"x"], ids=["complex", "time without zone", "bytes"])  # noqa: DTZ001 - that is the point
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=r"no canonical form"):
        digest({"value": value})


@given(numbers)
def test_decimal_text_is_exact_and_has_no_spare_characters(number: Decimal) -> None:
    text = decimal_text(number)
    assert number == Decimal(text)
    assert (False, False, False) == ("E" in text, "." in text and text.endswith(("0", ".")), text == "-0")


@pytest.mark.parametrize(("number", "expected"), [("-0.00", "0"), ("100", "100"), ("1E+2", "100"), ("0.10", "0.1"), ("-1.50", "-1.5")])
def test_decimal_text(number: str, expected: str) -> None:
    assert expected == decimal_text(Decimal(number))


@given(versions, versions, versions)
def test_versions_are_strictly_ordered(one: Version, other: Version, third: Version) -> None:
    assert not is_newer(one, one)
    assert 1 == is_newer(one, other) + is_newer(other, one) + (one == other)
    assert is_newer(one, third) or not (is_newer(one, other) and is_newer(other, third))


def test_the_major_part_of_a_version_decides_and_the_minor_one_breaks_ties() -> None:
    old, later_read, newer = (Version(major=1, minor=9), Version(major=1, minor=10), Version(major=2, minor=0))
    assert (True, True, False) == (is_newer(later_read, old), is_newer(newer, later_read), is_newer(old, newer))


@given(st.datetimes(timezones=st.just(UTC)))
def test_microseconds_lose_nothing(moment: datetime) -> None:
    assert moment == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros(moment))
