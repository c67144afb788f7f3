"""The rules that every flow obeys, one by one, each naming the field it refuses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import email_validator
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.rules import PLAIN_EMAIL, RESERVED, check, check_email, decimal_places
from towpath.errors import DataError
from towpath.events import Event
from towpath.testing.events import a_customer, an_order


def one_line(total: str, *, currency: str, line: str, tax: str = "0", shipping: str = "0", discount: str = "0") -> Event:
    """Return an order of one line with these amounts."""
    amounts = {"unit_price": Decimal(line), "line_total": Decimal(line), "tax_amount": Decimal(tax), "quantity": Decimal(1)}
    order = an_order(
        currency=currency,
        lines=[{**an_order()["lines"][0], **amounts}],
        shipping_amount=Decimal(shipping),
        discount_total=Decimal(discount),
        tax_total=Decimal(tax),
        total=Decimal(total),
    )
    return Event("OrderPlaced", order)


def refused(event: Event) -> DataError:
    with pytest.raises(DataError) as caught:
        check(event)
    return caught.value


def test_a_good_order_and_a_good_customer_pass() -> None:
    check(Event("OrderPlaced", an_order()))
    check(Event("CustomerChanged", a_customer()))


@pytest.mark.parametrize("currency", ["", "None", "EURO", "eur", "QQQ", "€"])
def test_an_unknown_currency_is_refused_by_name(currency: str) -> None:
    error = refused(Event("OrderPlaced", an_order(currency=currency)))
    assert ("currency", currency) == (error.field, error.value)


PLACES = {"EUR": 2, "USD": 2, "JPY": 0, "KRW": 0, "ISK": 0, "KWD": 3, "IQD": 3, "TND": 3, "CLF": 4, "RSD": 2, "ALL": 2, "MGA": 2, "HUF": 2, "PKR": 2}


@pytest.mark.parametrize(("currency", "places"), PLACES.items())
def test_a_currency_has_the_minor_units_of_iso_4217_not_those_common_in_print(currency: str, places: int) -> None:
    assert places == decimal_places(currency)


@pytest.mark.parametrize(
    ("currency", "line", "within", "beyond"),
    [
        ("EUR", "10.00", ["9.99", "10.00", "10.01"], ["9.98", "10.02", "9.989999"]),
        ("JPY", "1000", ["999", "1000", "1001"], ["998", "1002", "1001.1"]),
        ("KWD", "10.000", ["9.999", "10.001"], ["9.998", "10.002", "10.01"]),
    ],
)
def test_a_total_may_miss_its_parts_by_one_minor_unit(currency: str, line: str, within: list[str], beyond: list[str]) -> None:
    for total in within:
        check(one_line(total, currency=currency, line=line))
    for total in beyond:
        assert "total" == refused(one_line(total, currency=currency, line=line)).field


@given(*[st.decimals(0, 1_000_000, places=2)] * 4)
def test_a_total_is_lines_and_shipping_and_tax_less_discount(line: Decimal, shipping: Decimal, tax: Decimal, discount: Decimal) -> None:
    parts = {"line": str(line), "shipping": str(shipping), "tax": str(tax), "discount": str(discount)}
    total = line + shipping + tax - discount
    check(one_line(str(total), currency="EUR", **parts))
    assert "total" == refused(one_line(str(total + Decimal("0.02")), currency="EUR", **parts)).field


def test_a_wrong_total_is_explained_by_its_parts() -> None:
    expected = "order 1001: total 99.99 is not lines 24.98 + shipping 4.9 + tax 5.68 - discount 1 = 34.56 EUR"
    error = refused(Event("OrderPlaced", an_order(total=Decimal("99.99"))))
    assert (expected, "99.99") == (str(error), error.value)


def test_an_order_without_lines_is_refused() -> None:
    assert "lines" == refused(Event("OrderPlaced", an_order(lines=[]))).field


@pytest.mark.parametrize("quantity", ["0", "-1", "-0.000001"])
def test_a_quantity_that_is_not_positive_is_refused_with_its_line(quantity: str) -> None:
    first, second = an_order()["lines"]
    error = refused(Event("OrderPlaced", an_order(lines=[first, {**second, "quantity": Decimal(quantity)}])))
    assert ("lines[1].quantity", quantity) == (error.field, error.value)


@pytest.mark.parametrize("amount", ["1e15", "-1e15", "1e31", "NaN", "Infinity", "1E+999999"])
@pytest.mark.parametrize("field", ["total", "tax_total", "shipping_amount", "discount_total"])
def test_an_amount_that_no_order_has_is_refused_by_name(field: str, amount: str) -> None:
    changes: dict[str, Any] = {field: Decimal(amount)}
    assert field == refused(Event("OrderPlaced", an_order(**changes))).field


@pytest.mark.parametrize("field", ["quantity", "unit_price", "line_total", "tax_amount"])
def test_an_amount_that_no_line_has_is_refused_with_its_line(field: str) -> None:
    first, second = an_order()["lines"]
    changed: dict[str, Any] = {**second, field: Decimal("1E+999999")}
    assert f"lines[1].{field}" == refused(Event("OrderPlaced", an_order(lines=[first, changed]))).field


BAD_ADDRESSES = ["", "zoe", "zoe@", "@shop.example", "zoe@localhost", "zoe shop@shop.example", "zoe@shop..example", "a@b@c.example", "x" * 1_000_000]


@pytest.mark.parametrize("address", BAD_ADDRESSES, ids=lambda address: address[:30])
def test_an_address_that_cannot_exist_is_refused_by_the_name_of_its_field(address: str) -> None:
    assert "customer_email" == refused(Event("OrderPlaced", an_order(customer_email=address))).field
    assert "email" == refused(Event("CustomerChanged", a_customer(email=address))).field


@pytest.mark.parametrize("kind", ["OrderPlaced", "OrderChanged"])
@pytest.mark.parametrize("name", ["billing_address", "shipping_address"])
def test_an_order_to_a_place_that_cannot_be_is_refused_by_the_name_of_its_field(kind: str, name: str) -> None:
    def to(**changes: str) -> Event:
        order: dict[str, Any] = {**an_order(), name: {**an_order()["billing_address"], **changes}}
        return Event(kind, order)

    assert f"{name}.postcode" == refused(to(country="DE", postcode="1")).field
    assert f"{name}.country" == refused(to(country="QQ")).field
    check(to(country="DE", postcode="10115"))


@pytest.mark.parametrize("address", ["zoe@shop.example", "zoe+tag@shop.example", "zoë@müller.example", "z.o.e@a.b.shop.example"])
def test_an_address_that_can_exist_passes(address: str) -> None:
    check_email(address, "email")


LABELS = st.text("az09-.", min_size=1, max_size=6)


@given(st.text("azAZ09_+-.", min_size=1, max_size=6), LABELS, st.sampled_from(["de", "example", "test", "x1", "local", "c", "UK", "de\n"]))
def test_an_address_that_is_plainly_valid_is_so_for_the_library_too(local: str, labels: str, last: str) -> None:
    address = f"{local}@{labels}.{last}"
    if PLAIN_EMAIL(address) and not address.endswith(RESERVED):
        assert address.lower() == email_validator.validate_email(address, check_deliverability=False, test_environment=True).normalized.lower()


@pytest.mark.parametrize("domain", email_validator.SPECIAL_USE_DOMAIN_NAMES)
def test_an_address_in_a_reserved_domain_is_for_the_library_to_judge(domain: str) -> None:
    address = f"zoe@shop.{domain}"
    if domain == "test":
        check_email(address, "email")
    else:
        assert "email" == refused(Event("CustomerChanged", a_customer(email=address))).field


def test_a_refused_address_keeps_the_message_clear_of_it() -> None:
    assert "zoe.secret" not in str(refused(Event("OrderPlaced", an_order(customer_email="zoe.secret@localhost"))))
