from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from towpath.blanking import blank
from towpath.systems.nopcommerce import BLANKED

CARD = "4111111111111111"
FIELDS = ("card_number", "card_cvv2")


@pytest.mark.parametrize("name", BLANKED)
@pytest.mark.parametrize("value", ['"4111111111111111"', "4111111111111111", '"a \\" b"', "-1.5e+3", "true", '""', "[1, [2]]", '{"a": {"b": "}"}}'])
def test_every_declared_field_is_emptied_whatever_its_value(name: str, value: str) -> None:
    body = f'{{"id" : 5,\n "{name}" : {value} , "after": "x"}}'.encode()
    assert f'{{"id" : 5,\n "{name}" : "" , "after": "x"}}'.encode() == blank(body, BLANKED)


def test_fields_are_found_at_any_depth_and_in_any_case() -> None:
    body = b'{"a": [{"Card_Number": "1"}, {"b": {"CARD_CVV2": "2"}}]}'
    assert b'{"a": [{"Card_Number": ""}, {"b": {"CARD_CVV2": ""}}]}' == blank(body, FIELDS)


def test_a_name_with_escapes_is_the_same_name() -> None:
    assert b'{"card\\u005fnumber": ""}' == blank(b'{"card\\u005fnumber": "4111111111111111"}', FIELDS)


@pytest.mark.parametrize(
    "name", ["ma\N{LATIN SMALL LETTER LONG S}ked_credit_card_number", "\N{KELVIN SIGN}ey_masked", "KEY_MASKED", "ma\\u017fked_credit_card_number"]
)
def test_a_name_in_letters_that_fold_to_it_is_the_same_name(name: str) -> None:
    assert f'{{"{name}": ""}}'.encode() == blank(f'{{"{name}": "4111111111111111"}}'.encode(), [*BLANKED, "key_masked"])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-8-sig"])
def test_another_encoding_hides_nothing(encoding: str) -> None:
    text = '{"name": "Zoë", "card_number": "4111111111111111"}'
    assert {"name": "Zoë", "card_number": ""} == json.loads(blank(text.encode(encoding), FIELDS))
    untouched = '{"name": "Zoë"}'.encode(encoding)
    assert untouched == blank(untouched, FIELDS)


def test_a_value_that_only_looks_like_the_field_stays() -> None:
    body = b'{"note": "\\"card_number\\": 5", "card_number_hint": "x", "x": "card_number", "card_number": null}'
    assert body == blank(body, FIELDS)


def test_json_without_such_fields_stays_byte_for_byte_with_long_numbers_in_it() -> None:
    body = b'{ "tracking":"4111111111111111" ,"n":4111111111111111, "e":1.50, "u":"\\u00e9\xc3\xa9"}\n'
    assert body == blank(body, FIELDS)
    assert body == blank(body, ())


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*FIELDS, "id", "a\\b", 'q"']) | st.text(max_size=5), inner, max_size=5)
    ),
)


def emptied(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {name: ("" if part is not None else None) if name.casefold() in FIELDS else emptied(part) for name, part in value.items()}
    return [emptied(part) for part in value] if isinstance(value, list) else value


@settings(deadline=None)
@given(plain, st.booleans(), st.sampled_from([None, 1]))
def test_of_any_json_exactly_the_declared_fields_are_emptied(value: Any, escaped: bool, indent: int | None) -> None:  # noqa: ANN401, FBT001
    body = json.dumps(value, ensure_ascii=escaped, indent=indent).encode("utf-8", "replace")
    assert emptied(json.loads(body)) == json.loads(blank(body, FIELDS))


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_are_too_broken(body: bytes) -> None:
    assert blank(blank(body, FIELDS), FIELDS) == blank(body, FIELDS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("card=4111111111111111&cvv", "card=****************&cvv"),
        ("card: 4111 1111 1111 1111.", "card: **** **** **** ****."),
        ("3782-822463-10005", "****-******-*****"),
        ("4111111111111111 123", "**************** 123"),
        ("2026 11 20 4111 1111 1111 1111 12", "2026 11 20 **** **** **** **** 12"),
        ("4111111111111111 5555555555554444", "**************** ****************"),
        ("4111111111111112", "4111111111111112"),
        ("411111111111111100000000", "411111111111111100000000"),
        ("0000000000000000", "0000000000000000"),
        ("+49 30 1234567", "+49 30 1234567"),
    ],
)
def test_in_what_is_no_json_card_numbers_are_struck_out(text: str, expected: str) -> None:
    assert expected.encode() == blank(text.encode(), FIELDS)


@pytest.mark.parametrize(
    "cut",
    [f'{{"card_number": "{CARD}", "x',
     '{"card_cvv2": "12', '{"card_cvv2": "12\\', '{"card_cvv2": "a\nb"} trailing', '{"card_cvv2": 123, "a": }', '[{"card_cvv2": "123"}'],
)  # fmt: skip
def test_a_body_cut_off_or_broken_shows_no_declared_field(cut: str) -> None:
    blanked = blank(cut.encode(), FIELDS)
    assert b"12" not in blanked
    assert CARD.encode() not in blanked
    assert b"a\nb" not in blanked


@pytest.mark.parametrize(
    "hostile",
    [b"1 " * 500_000, b"41 " * 330_000, b"4" * 1_000_000, b'{"a":"' + b'\\"' * 500_000 + b'"}', b'\\"' * 500_000, b'"' * 1_000_000,
     b'"card_number":' * 70_000, b'{"card_number":' * 60_000, b"[" * 1_000_000, b'{"card_number":' + b"[" * 900_000],
)  # fmt: skip
def test_a_megabyte_made_to_be_slow_is_not(hostile: bytes) -> None:
    began = time.process_time()
    blank(hostile, FIELDS)
    assert time.process_time() - began < 1
