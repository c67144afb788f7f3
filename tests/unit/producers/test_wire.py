"""What a system sent is read exactly, or refused by the name of what is wrong."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.wire import decimal_of, joined, member, moment, parse, part, text_of
from towpath.errors import DataError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4), st.sampled_from([None, 1]), st.booleans())
def test_each_member_is_found_as_it_was_written(record: dict[str, Any], indent: int | None, plain: bool) -> None:  # noqa: FBT001 - drawn
    text = json.dumps(record, indent=indent, ensure_ascii=plain)
    assert record == {name: json.loads(member(text, name)) for name in record}
    assert "" == member(text, "a name that stands nowhere")


def test_a_member_keeps_the_digits_that_were_sent() -> None:
    text = text_of(b' {"data" : [{"data": 0}] , "total"\n:\t30.1000000000000000055, "big": 1e400 ,"last":{"a": 1} } ')
    assert ('[{"data": 0}]', "30.1000000000000000055", "1e400") == tuple(member(text, name) for name in ("data", "total", "big"))
    assert {"a": {"a": 1}, "b": Decimal("30.1000000000000000055")} == parse(joined(a=member(text, "last"), b=member(text, "total")).encode())


def test_an_object_of_a_hundred_thousand_members_is_read_in_a_moment() -> None:
    text = json.dumps({str(number): number for number in range(100_000)})
    started = time.process_time()
    assert "99999" == member(text, "99999")
    assert time.process_time() - started < 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-le"])
def test_every_encoding_of_json_is_the_same_text(encoding: str) -> None:
    assert {"a": "ä"} == parse(text_of('{"a": "ä"}'.encode(encoding)).encode())


HOSTILE = {
    "empty": b"",
    "no object": b"[1]",
    "not a number": b'{"a": NaN}',
    "infinite": b'{"a": -Infinity}',
    "a name that stands twice": b'{"a": 1, "a": 2}',
    "a name that stands twice further in": b'{"a": [{"b": 1, "b": 1}]}',
    "two objects": b'{"a": 1}{"b": 2}',
    "bad UTF-8": b'{"a": "\xff"}',
    "half a surrogate pair": b'{"a": "\xed\xa0\x80"}',
    "100,000 brackets": b'{"a":' + b"[" * 100_000,
    "an integer of 100,000 digits": b'{"a":' + b"9" * 100_000 + b"}",
    "an exponent without end": b'{"a": 1e99999999999999999999}',
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=list(HOSTILE))
def test_a_hostile_body_is_refused(body: bytes) -> None:
    with pytest.raises(DataError) as caught:
        text_of(body)
    assert "body" == caught.value.field


@pytest.mark.parametrize("value", [None, True, 1.5, "", "x", "NaN", "Infinity", [], {}, 10**40, "1e30"])
def test_what_is_no_number_is_none(value: object) -> None:
    assert None is decimal_of(value)


@given(st.decimals(-(10**15), 10**15, places=6))
def test_a_number_is_what_its_text_says(number: Decimal) -> None:
    assert number == decimal_of(number) == decimal_of(f"{number:f}")


@pytest.mark.parametrize("text", ["2026-11-20T09:30:00Z", "2026-11-20T09:30:00", "2026-11-20T10:30:00+01:00", "2026-11-20T09:30:00.0000001Z"])
def test_a_time_is_utc(text: str) -> None:
    found = moment({"at": text}, "at")
    assert (datetime(2026, 11, 20, 9, 30, tzinfo=UTC), UTC) == (found, found.tzinfo)


@pytest.mark.parametrize("value", [None, 20261120, "", "soon", [], "9999-12-31T23:59:59-14:00"])
def test_what_is_no_time_is_refused_by_name(value: object) -> None:
    with pytest.raises(DataError) as caught:
        moment({"at": value}, "at")
    assert ("at", str(value)) == (caught.value.field, caught.value.value)


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_what_is_no_object_is_refused_by_name(value: object) -> None:
    with pytest.raises(DataError) as caught:
        part({"order": value}, "order")
    assert "order" == caught.value.field
