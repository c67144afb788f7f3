"""A return request of NopCommerce: its order's line, with no more of it than comes back, and what became of its refund."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from producers.base import Provenance
from producers.nopcommerce import SOURCE
from towpath.codec import default_codec
from towpath.errors import DataError
from towpath.events import Event

Json = dict[str, Any]
PROVENANCE = Provenance("shop", datetime(2026, 11, 20, 12, tzinfo=UTC), 5, "1" * 32)
ASKED: Json = {
    "id": 5,
    "custom_number": "R5",
    "order_item_id": 71,
    "quantity": 1,
    "reason_for_return": "Too small",
    "requested_action": "Refund",
    "customer_comments": "call me on +49 30 1234",
    "staff_notes": None,
    "return_request_status_id": 0,
    "created_on_utc": "2026-11-20T09:30:00Z",
    "updated_on_utc": "2026-11-20T09:45:00Z",
}
ORDER: Json = {"id": 1001, "custom_order_number": "1001", "customer_currency_code": "EUR", "currency_rate": 0.5}
ITEMS: list[Json] = [
    {"id": 70, "product_id": 1, "quantity": 1, "unit_price_excl_tax": 4, "price_excl_tax": 4, "price_incl_tax": 5},
    {"id": 71, "product_id": 2, "quantity": 3, "unit_price_excl_tax": 20, "price_excl_tax": 60, "price_incl_tax": 72},
]
PRODUCTS: Json = {"2": {"id": 2, "sku": "TP-0002", "name": "Mug"}}


def decoded(asked: Json | None = None, **parts: Any) -> Event:  # noqa: ANN401 - any JSON
    bundle = {"return_request": ASKED | (asked or {}), "order": ORDER, "items": ITEMS, "products": PRODUCTS, **parts}
    (event,) = SOURCE.decode("return_request", json.dumps(bundle).encode(), PROVENANCE)
    assert (event.type, event.value) == default_codec().decode(default_codec().encode(event.type, event.value))
    return event


def test_a_request_is_the_line_of_its_order_with_its_share_of_the_price() -> None:
    event = decoded()
    assert ("ReturnRequested", "shop/order/1001", "5", "R5", "0", "") == (
        event.type,
        event.meta["key"],
        *(event.value[name] for name in ("return_id", "return_number", "status", "refund")),
    )
    (line,) = event.value["lines"]
    assert (2, "71", "TP-0002", 1, 10, 10, 2) == tuple(
        line[name] for name in ("line_no", "line_id", "sku", "quantity", "unit_price", "line_total", "tax_amount")
    )


def test_what_the_customer_wrote_stays_at_the_shop() -> None:
    assert "1234" not in str(decoded().value)


@pytest.mark.parametrize(
    ("notes", "status", "refund"),
    [
        (None, 0, ""),
        ("called her", 20, ""),
        ("erp/refund/7: refunding 5.00 on top of 0", 10, ""),
        ("erp/refund/7: refunding 5.00 on top of 0\nerp/refund/7: refund failed: declined", 20, "failed"),
        ("erp/refund/7: refund failed: declined\nerp/refund/7: refunding 5.00 on top of 0", 20, ""),
        ("erp/refund/7: refund failed: declined", 40, "done"),
    ],
)
def test_what_became_of_the_refund_is_told(notes: str | None, status: int, refund: str) -> None:
    assert refund == decoded({"staff_notes": notes, "return_request_status_id": status}).value["refund"]


def test_a_later_save_is_a_newer_version_of_the_same_request() -> None:
    one, other = decoded(), decoded({"updated_on_utc": "2026-11-20T09:50:00Z", "return_request_status_id": 10})
    assert one.identity == other.identity
    assert one.meta["version"]["major"] < other.meta["version"]["major"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"id": None}, "id"),
        ({"order_item_id": 99}, "order_item_id"),
        ({"order_item_id": None}, "order_item_id"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": 4}, "quantity"),
        ({"quantity": "some"}, "quantity"),
        ({"created_on_utc": None}, "created_on_utc"),
        ({"updated_on_utc": "soon"}, "updated_on_utc"),
    ],
)
def test_what_is_wrong_is_named(asked: Json, field: str) -> None:
    with pytest.raises(DataError) as caught:
        decoded(asked)
    assert field == caught.value.field


def test_a_product_without_sku_is_named() -> None:
    with pytest.raises(DataError) as caught:
        decoded(products={})
    assert "items[1].product_id" == caught.value.field
    assert Decimal(1) == decoded().value["lines"][0]["quantity"]
