"""Rules that every flow obeys, whatever its mapping: what breaks one is a data error that names the field (flows.md, section 2)."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, get_type_hints

import babel.core
import email_validator

from processors.addresses import check_address
from towpath.errors import DataError
from towpath.events import Event, OrderLine, OrderPlaced, RefundIssued, decimal_text

PLACES: Mapping[str, int] = {
    **dict.fromkeys(["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"], 0),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}
"""ISO 4217's minor units where they are not 2. CLDR's are what is common in print: none for RSD, whose prices have two."""
LARGEST = 15
"""An amount or quantity with more digits before the point than this is no one's order."""
AMOUNTS = tuple(name for name, kind in get_type_hints(OrderPlaced).items() if kind is Decimal)
REFUND_AMOUNTS = tuple(name for name, kind in get_type_hints(RefundIssued).items() if kind is Decimal)
LINE_AMOUNTS = tuple(name for name, kind in get_type_hints(OrderLine).items() if kind is Decimal)
AMOUNTS_OF, LINE_AMOUNTS_OF = operator.itemgetter(*AMOUNTS), operator.itemgetter(*LINE_AMOUNTS)
BEYOND = Decimal(10) ** LARGEST
NONE = Decimal(0)
MINOR_UNITS = tuple(Decimal(1).scaleb(-places) for places in range(5))
LONGEST_EMAIL = 254
PLAIN_EMAIL = re.compile(r"(?=.{1,64}\Z)[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]{2,}").fullmatch
"""Addresses that are certainly valid unless their domain is a reserved one; the library takes many times longer for the same answer."""
RESERVED = tuple(f".{domain}" for domain in email_validator.SPECIAL_USE_DOMAIN_NAMES)


@functools.cache
def decimal_places(currency: str) -> int:
    """Return the decimal places of an ISO 4217 currency; raises DataError for one that does not exist."""
    if currency not in _currencies():
        message = f"unknown currency {currency!r}: expected an ISO 4217 code such as EUR"
        raise DataError(message, field="currency", value=currency)
    return PLACES.get(currency, 2)


@functools.cache
def _currencies() -> frozenset[str]:
    return frozenset(babel.core.get_global("all_currencies"))


def check(event: Event) -> None:
    """Raise DataError for the first rule that the event breaks."""
    if event.type in {"OrderPlaced", "OrderChanged"}:
        check_order(event.value)
    elif event.type == "RefundIssued":
        check_refund(event.value)
    elif event.type == "CustomerChanged":
        check_email(event.value["email"], "email")
        _check_addresses(event.value)


def check_order(order: Mapping[str, Any]) -> None:
    """Raise DataError unless the order has lines, a known currency, possible addresses (e-mail and postal) and a total that adds up."""
    places, lines = decimal_places(order["currency"]), order["lines"]
    possible = _are_possible(order, lines)
    if not possible:
        _check_sizes(order, AMOUNTS, "")
    check_email(order["customer_email"], "customer_email")
    _check_addresses(order)
    if not lines:
        message = f"order {order['order_number']} has no lines"
        raise DataError(message, field="lines")
    for index, line in enumerate(lines):
        if not possible:
            _check_sizes(line, LINE_AMOUNTS, f"lines[{index}].")
        if line["quantity"] <= 0:
            message = f"order {order['order_number']}, line {line['line_no']}: quantity {decimal_text(line['quantity'])} is not positive"
            raise DataError(message, field=f"lines[{index}].quantity", value=decimal_text(line["quantity"]))
    _check_total(order, places)


def check_refund(refund: Mapping[str, Any]) -> None:
    """Raise DataError unless the refund has a known currency, a total that adds up, and gives back rather than takes."""
    places = decimal_places(refund["currency"])
    _check_sizes(refund, REFUND_AMOUNTS, "")
    for index, line in enumerate(refund["lines"]):
        _check_sizes(line, LINE_AMOUNTS, f"lines[{index}].")
    if refund["total"] < 0:
        raise DataError(
            f"{_name_of(refund)}: total {decimal_text(refund['total'])} is below zero", field="total", value=decimal_text(refund["total"])
        )
    _check_total(refund, places, refund["adjustment"])


def _check_total(paper: Mapping[str, Any], places: int, adjustment: Decimal | None = None) -> None:
    """Raise DataError unless lines + shipping + tax - discount (and what is adjusted) are the total, within one minor unit."""
    goods: Decimal = sum([line["line_total"] for line in paper["lines"]], NONE)
    expected: Decimal = goods + paper["shipping_amount"] + paper["tax_total"] - paper["discount_total"] + (adjustment or NONE)
    if abs(expected - paper["total"]) > MINOR_UNITS[places]:
        message = (
            f"{_name_of(paper)}: total {decimal_text(paper['total'])} is not lines {decimal_text(goods)}"
            f" + shipping {decimal_text(paper['shipping_amount'])} + tax {decimal_text(paper['tax_total'])}"
            f" - discount {decimal_text(paper['discount_total'])}{'' if adjustment is None else f' + adjustment {decimal_text(adjustment)}'}"
            f" = {decimal_text(expected)} {paper['currency']}"
        )
        raise DataError(message, field="total", value=decimal_text(paper["total"]))


def _name_of(paper: Mapping[str, Any]) -> str:
    order = f"order {paper['order_number']}"
    return f"refund {paper['refund_id']} of {order}" if "refund_id" in paper else order


def _are_possible(order: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> bool:
    """Tell at one glance whether all amounts are; else each has to be looked at."""
    amounts = [*AMOUNTS_OF(order)]
    for line in lines:
        amounts += LINE_AMOUNTS_OF(line)
    try:
        return bool(min(amounts) > -BEYOND and max(amounts) < BEYOND)
    except InvalidOperation:  # no number
        return False


def _check_sizes(part: Mapping[str, Any], amounts: Sequence[str], where: str) -> None:
    for name in amounts:
        value = part[name]
        if value.adjusted() >= LARGEST or not value.is_finite():
            raise DataError(f"{where}{name} is no possible amount: {value:E}", field=f"{where}{name}", value=f"{value:E}")


def _check_addresses(value: Mapping[str, Any]) -> None:
    for name in ("billing_address", "shipping_address"):
        check_address(value[name], name)


def check_email(address: str, field: str) -> None:
    """Raise DataError unless the address is one that could exist; no mail server is asked."""
    if PLAIN_EMAIL(address) and not address.endswith(RESERVED):
        return
    if len(address) > LONGEST_EMAIL:
        raise DataError(f"e-mail address is not valid: it has {len(address)} characters", field=field, value=address)
    try:
        email_validator.validate_email(address, check_deliverability=False, test_environment=True)
    except email_validator.EmailNotValidError as error:
        message = f"e-mail address is not valid: {error}"
        raise DataError(message, field=field, value=address) from error
