"""What the documents of invoices, payments and refunds have in common: amounts are exact, and two of them agree or they do not."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from sinks.base import Document
from towpath.errors import DataError


def amount_of(document: Document, field: str, where: str = "") -> Decimal:
    """Return an amount, with the places of its currency; raises DataError naming it, after `where` it stands, for what is no text of one."""
    value = document.get(field)
    amount = decimal(value) if isinstance(value, str) else None
    if amount is None:
        raise DataError(f"{where}{field} is no amount of money", field=f"{where}{field}", value=repr(value))
    return amount


def decimal(value: object) -> Decimal | None:
    """Return what a system says that an amount is, None for what is none."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def agree(wanted: Decimal, found: Decimal) -> bool:
    """Tell whether an amount is another one, but for one minor unit of the first one's currency: each side rounds for itself."""
    exponent = wanted.as_tuple().exponent
    return abs(wanted - found) <= Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0)
