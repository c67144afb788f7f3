"""Rules that every flow obeys, whatever its mapping: what breaks one is a data error that names the field (flows.md, section 2)."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import babel
import babel.numbers
import email_validator

from towpath.errors import DataError
from towpath.events import Event


@functools.cache
def decimal_places(currency: str) -> int:
    """Return the decimal places of an ISO 4217 currency; raises DataError for one that does not exist."""
    if currency not in babel.Locale("en").currencies:
        message = f"unknown currency {currency!r}: expected an ISO 4217 code such as EUR"
        raise DataError(message, field="currency", value=currency)
    return babel.numbers.get_currency_precision(currency)


def check(event: Event) -> None:
    """Raise DataError for the first rule that the event breaks."""
    if event.type == "OrderPlaced":
        check_order(event.value)
    elif event.type == "CustomerChanged":
        check_email(event.value["email"], "email")


def check_order(order: Mapping[str, Any]) -> None:
    """Raise DataError unless the order has lines, a known currency, a possible e-mail address and a total that adds up."""
    places = decimal_places(order["currency"])
    check_email(order["customer_email"], "customer_email")
    if not order["lines"]:
        message = f"order {order['order_number']} has no lines"
        raise DataError(message, field="lines")
    for index, line in enumerate(order["lines"]):
        if line["quantity"] <= 0:
            message = f"order {order['order_number']}, line {line['line_no']}: quantity {line['quantity']:f} is not positive"
            raise DataError(message, field=f"lines[{index}].quantity", value=f"{line['quantity']:f}")
    lines: Decimal = sum((line["line_total"] for line in order["lines"]), Decimal())
    expected: Decimal = lines + order["shipping_amount"] + order["tax_total"] - order["discount_total"]
    minor_unit = Decimal(1).scaleb(-places)
    if abs(expected - order["total"]) > minor_unit:
        message = (
            f"order {order['order_number']}: total {order['total'].normalize():f} is not lines {lines.normalize():f}"
            f" + shipping {order['shipping_amount'].normalize():f} + tax {order['tax_total'].normalize():f}"
            f" - discount {order['discount_total'].normalize():f} = {expected.normalize():f} {order['currency']}"
        )
        raise DataError(message, field="total", value=f"{order['total'].normalize():f}")


def check_email(address: str, field: str) -> None:
    """Raise DataError unless the address is one that could exist; no mail server is asked."""
    try:
        email_validator.validate_email(address, check_deliverability=False, test_environment=True)
    except email_validator.EmailNotValidError as error:
        message = f"e-mail address is not valid: {error}"
        raise DataError(message, field=field, value=address) from error
