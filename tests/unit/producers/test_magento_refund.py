"""What a Magento credit memo becomes: lines of the order, exact money, and a data error that names what is wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from processors.rules import check
from producers.base import Fetch, Provenance
from producers.magento import SOURCE
from towpath.codec import default_codec
from towpath.errors import DataError
from towpath.events import Event
from towpath.systems.magento import key_of

PROVENANCE = Provenance("shop", datetime(2026, 3, 1, 12, tzinfo=UTC), 5, "1" * 32)
Json = dict[str, Any]
TEE = {"item_id": 3, "sku": "WS12-M", "name": "Tee", "product_type": "simple", "price": 22, "row_total": 44, "tax_amount": 3.63, "qty_ordered": 2}
BAG = {"item_id": 4, "sku": "BAG-RED", "name": "Bag", "product_type": "configurable", "price": 30, "row_total": 90, "tax_amount": 0, "qty_ordered": 3}
RED = {**BAG, "item_id": 5, "product_type": "simple", "price": 0, "row_total": 0, "parent_item_id": 4}
ORDER = {"entity_id": 3, "increment_id": "000000007", "order_currency_code": "EUR", "items": [TEE, BAG, RED], "payment": {"method": "checkmo"}}
ONE_TEE = {"order_item_id": 3, "sku": "WS12-M", "price": 22, "qty": 1, "row_total": 22, "tax_amount": 1.82}


def a_memo(*items: Json, **changes: object) -> Json:
    return {
        "entity_id": 9,
        "order_id": 3,
        "state": 2,
        "order_currency_code": "EUR",
        "base_currency_code": "USD",
        "base_grand_total": 999,
        "created_at": "2026-02-28 23:59:59",
        "updated_at": "2026-03-01 00:00:00",
        "shipping_amount": 5,
        "tax_amount": 1.82,
        "discount_amount": -2.2,
        "adjustment_positive": 1,
        "adjustment_negative": 3.5,
        "grand_total": 24.12,
        "items": list(items) or [ONE_TEE],
        "comments": [{"comment": " too small "}, {"comment": None}],
    } | changes


def events_of(memo: Json, order: Json | None = None) -> list[Event]:
    bundle = json.dumps({"creditmemo": memo, "order": ORDER if order is None else order}).encode()
    events = SOURCE.decode("creditmemo", bundle, PROVENANCE)
    for event in events:
        assert (event.type, event.value) == default_codec().decode(default_codec().encode(event.type, event.value))
    return events


def refund(memo: Json, order: Json | None = None) -> dict[str, Any]:
    (event,) = events_of(memo, order)
    return dict(event.value)


def lines(memo: Json, order: Json | None = None) -> list[tuple[object, ...]]:
    found = refund(memo, order)["lines"]
    return [(line["line_no"], line["sku"], line["quantity"], line["line_total"]) for line in found]


def test_a_credit_memo_is_a_refund_of_its_order_whose_total_adds_up() -> None:
    (event,) = events_of(a_memo(transaction_id="re_1"))
    check(event)
    value = event.value
    assert ("RefundIssued", "shop/order/3", "9", "000000007") == (event.type, event.meta["key"], value["refund_id"], value["order_number"])
    assert ("EUR", "checkmo", "re_1", "too small") == tuple(value[name] for name in ("currency", "method", "transaction_id", "reason"))
    money = {name: value[name] for name in ("shipping_amount", "discount_total", "tax_total", "adjustment", "total")}
    assert {"shipping_amount": 5, "discount_total": Decimal("2.2"), "tax_total": Decimal("1.82"), "adjustment": Decimal("-2.5")} == {
        name: money[name] for name in ("shipping_amount", "discount_total", "tax_total", "adjustment")
    }
    assert (Decimal("24.12"), datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)) == (value["total"], value["refunded_at"])
    assert [(1, "WS12-M", 1, 22)] == lines(a_memo())


def test_the_same_credit_memo_read_again_is_the_same_event() -> None:
    assert events_of(a_memo())[0].meta["event_id"] == events_of(a_memo(updated_at="2026-03-02 00:00:00"))[0].meta["event_id"]


@pytest.mark.parametrize("child", [[], [{"order_item_id": 5, "qty": 2, "price": 0, "row_total": 0}]])
def test_a_parent_s_money_is_its_child_s_whether_or_not_that_is_named_and_lines_have_the_order_s_numbers(child: list[Json]) -> None:
    parent = {"order_item_id": 4, "qty": 2, "price": 30, "row_total": 60}
    assert [(2, "BAG-RED", 2, 60)] == lines(a_memo(parent, *child))


@pytest.mark.parametrize("state", [1, 3, None, "2"])
def test_one_that_is_open_or_cancelled_gives_nothing_back(state: object) -> None:
    assert [] == events_of(a_memo(state=state))


def test_an_adjustment_alone_has_no_lines() -> None:
    assert [] == refund(a_memo(items=[]))["lines"]


@pytest.mark.parametrize("change", [{"grand_total": 24.14}, {"adjustment_negative": 0}, {"grand_total": -1}])
def test_a_total_that_does_not_add_up_is_refused_by_name(change: Json) -> None:
    (event,) = events_of(a_memo(**change))
    with pytest.raises(DataError, match="refund 9 of order 000000007") as caught:
        check(event)
    assert "total" == caught.value.field


@pytest.mark.parametrize(
    ("memo", "order", "field"),
    [
        ({"entity_id": 0}, {}, "entity_id"),
        ({"order_id": None}, {}, "order_id"),
        ({"order_id": 4}, {}, "order_id"),
        ({"created_at": "soon"}, {}, "created_at"),
        ({"updated_at": None}, {}, "updated_at"),
        ({"grand_total": None}, {}, "grand_total"),
        ({"grand_total": "NaN"}, {}, "grand_total"),
        ({"shipping_amount": []}, {}, "shipping_amount"),
        ({"items": None}, {}, "items"),
        ({"items": [{"qty": 1}]}, {}, "items[0].order_item_id"),
        ({"items": [{"order_item_id": 77, "qty": 1}]}, {}, "items.order_item_id"),
        ({"items": [{"order_item_id": 3, "qty": "some"}]}, {}, "items.qty"),
        ({"items": [{"order_item_id": 3, "qty": 1, "row_total": "x"}]}, {}, "items.row_total"),
        ({}, {"items": None}, "order.items"),
        ({}, {"items": [{}]}, "order.items[0].item_id"),
        ({"items": [{"order_item_id": 4, "qty": 1}]}, {"items": [{**BAG, "qty_ordered": 0}, RED]}, "order.items.qty_ordered"),
    ],
)
def test_what_is_wrong_is_named(memo: Json, order: Json, field: str) -> None:
    with pytest.raises(DataError) as caught:
        events_of(a_memo(**memo), {**ORDER, **order})
    assert field == caught.value.field


def test_its_event_names_it_and_is_not_taken_for_its_order() -> None:
    kind = "com.adobe.commerce.observer.sales_order_creditmemo_save_commit_after"
    body = json.dumps({"type": kind, "event": {"data": {"value": {"entity_id": "9", "order_id": "3"}}}}).encode()
    assert Fetch("creditmemo", 9) == SOURCE.wanted(body)
    assert "creditmemo/9" == key_of(body)


RUBBISH = [None, True, [], {}, -1, 1e300, "1e300", "\ud800", [1], {"a": 1}, [[1]], "0"]


@pytest.mark.parametrize("place", ["creditmemo", "order", "item"])
def test_rubbish_in_any_field_is_an_event_or_a_data_error_and_nothing_else(place: str) -> None:
    whole: dict[str, Json] = {"creditmemo": a_memo(), "order": ORDER, "item": ONE_TEE}
    for field in whole[place]:
        for value in RUBBISH:
            parts = {name: {**part, field: value} if name == place else part for name, part in whole.items()}
            memo = {**parts["creditmemo"], "items": [parts["item"]]} if place == "item" else parts["creditmemo"]
            try:
                SOURCE.decode("creditmemo", json.dumps({"creditmemo": memo, "order": parts["order"]}).encode(), PROVENANCE)
            except DataError as error:
                assert error.field  # noqa: PT017 - or it decodes
