"""Ids of the statuses (Nop.Core, Domain/Orders/OrderStatus.cs and its neighbours), and how the API words what the shop itself refuses."""

from __future__ import annotations

from typing import Final

from towpath.sandbox.kit.messages import Refusal

PENDING: Final = 10
PROCESSING: Final = 20
COMPLETE: Final = 30
CANCELLED: Final = 40

UNPAID: Final = 10
AUTHORIZED: Final = 20
PAID: Final = 30
REFUNDED: Final = 40
VOIDED: Final = 50

NO_SHIPPING: Final = 10
NOT_SHIPPED: Final = 20
PARTLY_SHIPPED: Final = 25
SHIPPED: Final = 30
DELIVERED: Final = 40
UNDER_WAY: Final = (PARTLY_SHIPPED, SHIPPED, DELIVERED)

THROWN: Final = "exception"


def forbidden(message: str) -> Refusal:
    """Return what a NopException becomes in the API's error handler: 400 with the message as JSON."""
    return Refusal(400, THROWN, message)


def broken(message: str) -> Refusal:
    """Return what any other exception becomes there: 500, although trying again never helps."""
    return Refusal(500, THROWN, message)
