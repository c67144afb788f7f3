"""Money back for a return: through the shop's gateway, by a GET that writes, of which a second one gives back twice.

So what is about to be done is noted at the return request before, with what had been given back until then; whether a lost call came through is
told by the order's `refunded_amount`. A gateway that refuses is noted there too, and the request goes back to "authorised".
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from sinks.base import Document, Standing
from sinks.money import agree, amount_of, decimal
from sinks.nopcommerce.shop import Row, Shop, whole
from towpath.errors import DataError
from towpath.http import ApiClient

AUTHORISED, REFUNDED, NOTHING = 20, 40, Decimal(0)
REFUSED_STATES: Final = frozenset({50, 60})
CENT: Final = Decimal("0.01")
_MARK: Final = re.compile(r": refunding [0-9.]+ on top of ([0-9.]+)$")


async def find_refund(api: ApiClient, document: Document) -> Standing | None:
    """Return the order where its money was given back for this return; it is not whole until the request says so too."""
    shop, reference = Shop(api), _reference(document)
    asked = await shop.return_request(_request_id(document))
    marks = [found[1] for line in _notes(asked) if line.startswith(f"{reference}: ") and (found := _MARK.search(line))]
    if not marks:
        return None
    order = await shop.order(document)
    given, wanted = _refunded(order) - Decimal(marks[-1]), _amount(document, order)
    if given <= 0 or (given < wanted and not agree(wanted, given)):
        return None
    return Standing(str(order["id"]), whole=asked.get("return_request_status_id") == REFUNDED)


async def close_request(api: ApiClient, document: Document, found: Standing) -> Standing:
    """Have the request say that its money was given back."""
    shop = Shop(api)
    await shop.put_return_request({**await shop.return_request(_request_id(document)), "return_request_status_id": REFUNDED})
    return found._replace(whole=True)


async def refund_order(api: ApiClient, document: Document) -> Standing:
    """Give the money back; raises DataError where the gateway, or the order, does not allow it, which the request then says."""
    shop, reference = Shop(api), _reference(document)
    order, asked = await shop.order(document), await shop.return_request(_request_id(document))
    amount, before = _amount(document, order), _refunded(order)
    left = (decimal(order.get("order_total")) or NOTHING) - before
    if asked.get("return_request_status_id") in REFUSED_STATES:
        raise DataError(f"return request {asked['id']} was rejected or cancelled; settle it by hand", field="ReturnRequestID", value=str(asked["id"]))
    if amount > left and not agree(amount, left):
        raise DataError(f"{amount} are to go back, and of order {order['id']} {left} are left to refund", field="Amount", value=str(amount))
    line = f"{reference}: refunding {amount} on top of {before}"
    if _notes(asked)[-1:] != [line]:  # else it was noted, and that answer lost
        asked = await _note(shop, asked, line)
    is_all = before == 0 and agree(amount, left)
    try:
        await shop.refund(order["id"], None if is_all else min(amount, left), online=document.get("Offline") is not True)
    except DataError as refusal:
        await _note(shop, asked, f"{reference}: refund failed: {str(refusal)[:300]}", AUTHORISED)
        message = f"the refund of {amount} for order {order['id']} was refused: {refusal}; mend it at the payment provider, then replay"
        raise DataError(message, field="refund", value=str(amount)) from refusal
    return await close_request(api, document, Standing(str(order["id"])))


async def _note(shop: Shop, asked: Row, line: str, status: int | None = None) -> Row:
    """Write one more line of staff notes, and another status where one is given; return the request as it is then."""
    after = {**asked, "staff_notes": "\n".join([*_notes(asked), " ".join(line.split())])}
    after |= {} if status is None else {"return_request_status_id": status}
    await shop.put_return_request(after)
    return after


def _notes(asked: Row) -> list[str]:
    return [line for line in str(asked.get("staff_notes") or "").splitlines() if line.strip()]


def _amount(document: Document, order: Row) -> Decimal:
    """Return how much goes back in the shop's own currency, which all amounts of an order are kept in; raises DataError for another currency."""
    amount, currency = amount_of(document, "Amount"), order.get("customer_currency_code")
    if document.get("Currency") != currency:
        message = f"the refund is in {document.get('Currency')}, and order {order['id']} in {currency}; settle it by hand"
        raise DataError(message, field="Currency", value=str(document.get("Currency")))
    rate = decimal(order.get("currency_rate"))
    return amount if rate in {None, Decimal(1)} or not rate else (amount / rate).quantize(CENT, ROUND_HALF_UP)


def _refunded(order: Row) -> Decimal:
    return decimal(order.get("refunded_amount") or 0) or NOTHING


def _reference(document: Document) -> str:
    value = document.get("Reference")
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise DataError("the refund has no Reference", field="Reference", value=repr(value))
    return value


def _request_id(document: Document) -> int:
    value = str(document.get("ReturnRequestID"))
    return whole({"ReturnRequestID": int(value) if value.isascii() and value.isdecimal() and len(value) <= 10 else value}, "ReturnRequestID", 1)  # noqa: PLR2004 - digits of an id
