"""Records come back as they were; poison is a DataError, soon and in little memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.codec import HEADER, Codec
from towpath.errors import DataError
from towpath.testing.events import a_customer, an_address, an_order

CODEC = Codec()
GOOD = CODEC.encode("OrderPlaced", an_order())
CODEC.decode(GOOD)  # the reader of a schema is written for its first record
MEGABYTE = 1_000_000

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
amounts = st.decimals(-(10**20), 10**20, places=6)
moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants them naive
longs = st.integers(-(2**63), 2**63 - 1)
addresses = st.builds(lambda city, lines: an_address(city=city, lines=lines), texts, st.lists(texts, max_size=3))
lines = st.fixed_dictionaries(
    {"line_no": st.integers(1, 2**31 - 1), "line_id": texts, "sku": texts, "name": texts}
    | dict.fromkeys(["quantity", "unit_price", "line_total", "tax_amount"], amounts)
)
orders = st.builds(
    lambda changes, version: {**(order := an_order(**changes)), "meta": {**order["meta"], "version": version}},
    st.fixed_dictionaries(
        {
            "order_number": texts,
            "placed_at": moments,
            "billing_address": addresses,
            "shipping_address": st.none() | addresses,
            "lines": st.lists(lines, max_size=4),
            "total": amounts,
            "custom_fields": st.dictionaries(texts, texts, max_size=3),
        }
    ),
    st.fixed_dictionaries({"major": longs, "minor": longs}),
)


@given(orders)
def test_an_order_comes_back_as_it_was(order: dict[str, Any]) -> None:
    assert ("OrderPlaced", order) == CODEC.decode(CODEC.encode("OrderPlaced", order))


@given(st.integers(-(10**38) + 1, 10**38 - 1))
def test_every_decimal_of_38_digits_comes_back_exactly(unscaled: int) -> None:
    digits = tuple(int(digit) for digit in str(abs(unscaled)))
    total = Decimal((int(unscaled < 0), digits, -6))
    assert total == CODEC.decode(CODEC.encode("OrderPlaced", an_order() | {"total": total}))[1]["total"]


@given(st.decimals(-1_000_000, 1_000_000, places=2), st.integers(0, 4))
def test_trailing_zeros_do_not_change_the_bytes(amount: Decimal, zeros: int) -> None:
    longer = amount.quantize(Decimal(1).scaleb(-2 - zeros))
    order = an_order()
    assert CODEC.encode("OrderPlaced", order | {"total": amount}) == CODEC.encode("OrderPlaced", order | {"total": longer})


def varint(number: int) -> bytes:
    """Return an Avro long."""
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def huge_decimal() -> bytes:
    """Return the order with a total of a megabyte, which Python's decimals take minutes to convert."""
    total = (34_560_000).to_bytes(4, "big")
    at = GOOD.rindex(b"\x08" + total)
    return GOOD[:at] + varint(MEGABYTE) + b"\x7f" * MEGABYTE + GOOD[at + 5 :]


POISON: dict[str, bytes | None] = {
    "null": None,
    "empty": b"",
    "shorter than the header": GOOD[:4],
    "header alone": GOOD[:5],
    "bad Avro": GOOD[:5] + b"\xff" * 40,
    "unknown schema id": b"\x00\x00\x00\x00\x2a" + GOOD[5:],
    "another first byte": b"\x01" + GOOD[1:],
    "JSON": b'{"order_number": "1001"}',
    "truncated": GOOD[:-1],
    "bytes after its end": GOOD + b"\x00",
    "bad UTF-8": GOOD.replace("Zoë".encode(), b"Zo\xff\xff", 1),
    "a text of a negative length": GOOD[:5] + varint(-5) + b"abc",
    "a text of 4 exabytes": GOOD[:5] + varint(2**62) + b"abc",
    "an endless number": GOOD[:5] + b"\xff" * MEGABYTE,
    "a decimal of a megabyte": huge_decimal(),
    "huge": GOOD[:5] + b"\x00" * 5 * MEGABYTE,
}


@pytest.mark.parametrize("poison", POISON.values(), ids=list(POISON))
def test_poison_is_a_data_error_that_names_a_field_soon_and_in_little_memory(poison: bytes | None) -> None:
    tracemalloc.start()
    started = time.process_time()
    with pytest.raises(DataError) as caught:
        CODEC.decode(poison)
    spent, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "value" == caught.value.field
    assert spent < 0.5
    assert peak < 4 * len(poison or b"") + MEGABYTE


@pytest.mark.parametrize("length", [2**20, 2**31, 2**40, 2**62, -(2**40)])
def test_a_forged_length_anywhere_in_a_record_costs_neither_time_nor_memory(length: int) -> None:
    tracemalloc.start()
    started = time.process_time()
    for at in range(HEADER.size, len(GOOD)):
        try:
            CODEC.decode(GOOD[:at] + varint(length) + GOOD[at + 1 :])
        except DataError as error:
            assert "value" == error.field  # noqa: PT017 - a few of the places hold a number, which may be any
    spent, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert spent < 5
    assert peak < MEGABYTE


@given(st.binary(max_size=200))
def test_any_bytes_are_a_record_or_a_data_error(tail: bytes) -> None:
    for schema in CODEC.by_name.values():
        try:
            name, _ = CODEC.decode(schema.prefix + tail)
        except DataError as error:
            assert "value" == error.field  # noqa: PT017 - or it decodes
        else:
            assert schema.name == name


@given(st.data())
def test_a_record_with_flipped_bytes_is_a_record_or_a_data_error(data: st.DataObject) -> None:
    broken = bytearray(GOOD)
    for at in data.draw(st.lists(st.integers(0, len(GOOD) - 1), min_size=1, max_size=5)):
        broken[at] = data.draw(st.integers(0, 255))
    try:
        CODEC.decode(bytes(broken))
    except DataError as error:
        assert "value" == error.field  # noqa: PT017 - or it decodes


UNFIT: dict[str, dict[str, Any]] = {
    "NaN": {"total": Decimal("NaN")},
    "infinite": {"total": Decimal("-Infinity")},
    "seven places": {"total": Decimal("1.0000001")},
    "more digits than the precision": {"total": Decimal("1e32")},
    "an exponent without end": {"total": Decimal("1e999999")},
    "a float": {"total": 1.5},
    "no value": {"total": None},
    "a number for a text": {"order_number": 1001},
    "a text for a number": {"lines": [{**an_order()["lines"][0], "line_no": "1"}]},
    "a number beyond 64 bits": {"lines": [{**an_order()["lines"][0], "line_no": 2**63}]},
    "half a surrogate pair": {"order_number": "\ud800"},
    "a field that does not exist": {"colour": "red"},
    "no address": {"billing_address": None},
}


@pytest.mark.parametrize("changes", UNFIT.values(), ids=list(UNFIT))
def test_what_does_not_fit_its_schema_is_a_data_error_naming_the_type(changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"encoding OrderPlaced") as caught:
        CODEC.encode("OrderPlaced", {**an_order(), **changes})
    assert "OrderPlaced" == caught.value.field


def test_a_missing_field_is_a_data_error_that_names_it() -> None:
    order = {name: value for name, value in an_order().items() if name != "total"}
    with pytest.raises(DataError, match=r"\btotal\b"):
        CODEC.encode("OrderPlaced", order)


@pytest.mark.parametrize(("name", "make"), [("OrderPlaced", an_order), ("CustomerChanged", a_customer)])
def test_decoding_as_a_type_takes_that_type_only(name: str, make: Callable[[], dict[str, Any]]) -> None:
    data = CODEC.encode(name, make())
    assert make() == CODEC.decode_as(name, data)
    with pytest.raises(DataError, match=rf"expected Receipt, found {name}"):
        CODEC.decode_as("Receipt", data)


def test_what_says_something_wrong_can_itself_be_written_down() -> None:
    error = DataError("bad \ud800", field="a\ud800", value="\udfff")
    assert ("bad ?", "a?", "?") == (str(error), error.field, error.value)
