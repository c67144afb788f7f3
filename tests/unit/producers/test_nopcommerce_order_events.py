"""What a fetched NopCommerce order tells beside that it was placed: its cancellation, its payment, and the merchant's own fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from producers.base import Provenance
from producers.nopcommerce import SOURCE
from towpath.codec import default_codec
from towpath.errors import DataError
from towpath.events import Event

PROVENANCE = Provenance("shop", datetime(2026, 11, 20, 12, tzinfo=UTC), 42, "1" * 32)
PLACED, PAID = datetime(2026, 11, 20, 9, 30, tzinfo=UTC), datetime(2026, 11, 20, 9, 45, 0, 500_000, tzinfo=UTC)
ADDRESS = {"id": 11, "first_name": "Zoë", "last_name": "Müller", "email": "zoe@shop.example", "company": "Öko", "country_id": None, "city": "Berlin"}
CHOSEN = "<Attributes><{0} ID='{1}'>{2}</{0}></Attributes>"
VALUE = "<{0}Value><Value>{1}</Value></{0}Value>"
VALUES = "<DictionarySerializer><item><key>{0}</key><value>{1}</value></item></DictionarySerializer>"


def bundle(attributes: Any = None, own: Any = None, **order: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Return a fetched order of one line, some of its fields changed; `own` are rows of the customer's attributes, by key."""
    rows = [{"key": key, "value": value, "store_id": 0} for key, value in own.items()] if isinstance(own, dict) else own
    plain = {
        "order": {
            "id": 1001, "custom_order_number": "A-1001", "store_id": 1, "customer_id": 7, "billing_address_id": 11, "shipping_address_id": None,
            "order_status_id": 20, "payment_status_id": 10, "payment_method_system_name": "Payments.Manual", "customer_currency_code": "EUR",
            "currency_rate": 1.0, "order_shipping_excl_tax": 0, "order_tax": 0, "order_discount": 0, "order_total": 12.5,
            "authorization_transaction_id": None, "capture_transaction_id": None, "paid_date_utc": None,
            "created_on_utc": "2026-11-20T09:30:00", **order,
        },
        "items": [{"id": 501, "product_id": 31, "quantity": 1, "unit_price_excl_tax": 12.5, "price_excl_tax": 12.5, "price_incl_tax": 12.5}],
        "customer": {"id": 7, "email": "zoe@shop.example", "billing_address_id": 11, "registered_in_store_id": 1, "created_on_utc": "2026-01-02"},
        "addresses": {"11": ADDRESS},
        "products": {"31": {"id": 31, "sku": "TP-0001"}},
        "countries": {},
        "states": {},
    }  # fmt: skip
    more = {"attributes": attributes, "customer_attributes": rows}
    return json.dumps(plain | {name: part for name, part in more.items() if part is not None}).encode()


def events(payload: bytes, provenance: Provenance = PROVENANCE) -> list[Event]:
    return SOURCE.decode("order", payload, provenance)


def content(event: Event) -> dict[str, Any]:
    return {name: value for name, value in event.value.items() if name != "meta"}


# --- cancellation


def test_an_order_that_is_cancelled_was_placed_and_is_cancelled() -> None:
    placed, cancelled = events(bundle(order_status_id=40))
    assert ("OrderPlaced", "40") == (placed.type, placed.value["status"]), "so that it can still be created"
    expected = {"order_id": "1001", "order_number": "A-1001", "reason": "", "custom_fields": {}}
    assert ("OrderCancelled", expected) == (cancelled.type, content(cancelled))
    meta = cancelled.meta
    assert ("shop/order/1001", placed.meta["version"], PROVENANCE.received_at) == (meta["key"], meta["version"], meta["occurred_at"])
    assert {"minor": 42, "major": int(PLACED.timestamp()) * 1_000_000} == meta["version"]
    assert PLACED == placed.meta["occurred_at"], "the one's time is not the other's"


def test_a_cancellation_that_is_read_again_is_the_same_one_whenever_it_is_read() -> None:
    later = Provenance("shop", PROVENANCE.received_at + timedelta(days=3), 99, "2" * 32)
    one, other = events(bundle(order_status_id=40))[1], events(bundle(order_status_id=40, order_total=13), later)[1]
    assert (one.meta["event_id"], one.meta["digest"]) == (other.meta["event_id"], other.meta["digest"])
    assert one.meta["version"]["minor"] < other.meta["version"]["minor"]


# --- payment

CAPTURED = {
    "payment_status_id": 30,
    "paid_date_utc": "2026-11-20T09:45:00.5",
    "capture_transaction_id": "ch_1",
    "authorization_transaction_id": "au_1",
}


def test_an_order_that_is_paid_was_placed_and_is_paid() -> None:
    placed, paid = events(bundle(**CAPTURED))
    expected = {
        "payment_id": "ch_1",
        "order_id": "1001",
        "order_number": "A-1001",
        "amount": Decimal("12.5"),
        "currency": "EUR",
        "method": "Payments.Manual",
        "transaction_id": "ch_1",
        "paid_at": PAID,
        "custom_fields": {},
    }
    assert ("PaymentReceived", expected) == (paid.type, content(paid))
    assert ("shop/order/1001", PAID, placed.meta["version"]) == tuple(paid.meta[name] for name in ("key", "occurred_at", "version"))
    assert 3 == len({event.meta["event_id"] for event in events(bundle(**CAPTURED, order_status_id=40))})


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"capture_transaction_id": None}, ("au_1", "au_1")),
        ({"capture_transaction_id": "", "authorization_transaction_id": ""}, ("paid", "")),
        ({"capture_transaction_id": None, "authorization_transaction_id": None}, ("paid", "")),
        ({"authorization_transaction_id": None}, ("ch_1", "ch_1")),
    ],
)
def test_a_payment_is_told_apart_by_the_transaction_that_the_shop_knows(known: Mapping[str, Any], expected: tuple[str, str]) -> None:
    paid = events(bundle(**{**CAPTURED, **known}))[1].value
    assert expected == (paid["payment_id"], paid["transaction_id"])


def test_a_payment_is_in_the_customer_s_currency() -> None:
    paid = events(bundle(**CAPTURED, customer_currency_code="USD", currency_rate=1.1))[1].value
    assert ("USD", Decimal("13.75")) == (paid["currency"], paid["amount"])


@pytest.mark.parametrize("status", [10, 20, 35, 40, 50])
def test_an_order_that_is_not_paid_has_no_payment(status: int) -> None:
    assert ["OrderPlaced"] == [event.type for event in events(bundle(**{**CAPTURED, "payment_status_id": status}))]


def test_a_payment_waits_until_the_shop_says_when_it_came() -> None:
    assert ["OrderPlaced"] == [event.type for event in events(bundle(payment_status_id=30, paid_date_utc=None))]


@pytest.mark.parametrize("text", ["", "yesterday", 20261120, True])
def test_a_time_of_payment_that_is_none_is_refused_by_name(text: object) -> None:
    with pytest.raises(DataError) as caught:
        events(bundle(**{**CAPTURED, "paid_date_utc": text}))
    assert "paid_date_utc" == caught.value.field


def test_all_that_an_order_tells_comes_through_the_wire() -> None:
    codec = default_codec()
    told = events(bundle(**CAPTURED, order_status_id=40))
    assert ["OrderPlaced", "OrderCancelled", "PaymentReceived"] == [event.type for event in told]
    assert [(event.type, event.value) for event in told] == [codec.decode(codec.encode(event.type, event.value)) for event in told]


# --- the merchant's own fields

CHECKOUT = {
    "CheckoutAttribute/1": {"id": 1, "name": "Order Source", "attribute_control_type_id": 2},
    "CheckoutAttributeValue/2": {"id": 2, "name": "web"},
    "CheckoutAttributeValue/5": {"id": 5, "name": "fair"},
}


def fields(payload: bytes, entity: str = "order") -> dict[str, str]:
    found: dict[str, str] = SOURCE.decode(entity, payload, PROVENANCE)[0].value["custom_fields"]
    return found


def at_checkout(*values: object, number: object = 1) -> str:
    return CHOSEN.format("CheckoutAttribute", number, "".join(VALUE.format("CheckoutAttribute", value) for value in values))


def test_what_was_chosen_at_checkout_is_told_by_name() -> None:
    assert {"Order Source": "web, fair"} == fields(bundle(CHECKOUT, checkout_attributes_xml=at_checkout(2, 5)))


@pytest.mark.parametrize("control", [4, 10, 20, 30, None, "1", []])
def test_what_was_typed_at_checkout_is_no_id(control: object) -> None:
    typed = {**CHECKOUT, "CheckoutAttribute/1": {"id": 1, "name": "Floor", "attribute_control_type_id": control}}
    assert {"Floor": "2"} == fields(bundle(typed, checkout_attributes_xml=at_checkout(2)))


UNKNOWN: list[Any] = [None, {}, [], {"CheckoutAttribute/1": None}, {"CheckoutAttribute/1": {"name": None}}, {"CheckoutAttribute/1": {"name": 3}}]


@pytest.mark.parametrize("attributes", UNKNOWN)
def test_what_has_no_name_keeps_its_id(attributes: object) -> None:
    assert {"checkout attribute 1": "2"} == fields(bundle(attributes, checkout_attributes_xml=at_checkout(2)))


def test_the_order_s_own_value_is_above_what_was_chosen_and_that_above_the_customer_s() -> None:
    own = {"Customer Type": "VIP", "Order Source": "of the customer"}
    checkout = {"checkout_attributes_xml": at_checkout(2)}
    assert {"Customer Type": "VIP", "Order Source": "of the customer"} == fields(bundle(own=own))
    assert {"Customer Type": "VIP", "Order Source": "web"} == fields(bundle(CHECKOUT, own, **checkout))
    custom = {"custom_values_xml": VALUES.format("Order Source", "phone")}
    assert {"Customer Type": "VIP", "Order Source": "phone"} == fields(bundle(CHECKOUT, own, **checkout, **custom))


def test_a_customer_s_own_attributes_are_told_by_name_of_the_order_and_of_the_customer() -> None:
    own = {"CustomCustomerAttributes": CHOSEN.format("CustomerAttribute", 9, VALUE.format("CustomerAttribute", 1)), "LastName": "Müller"}
    names = {"CustomerAttribute/9": {"name": "Customer Type", "attribute_control_type_id": 1}, "CustomerAttributeValue/1": {"name": "Trade"}}
    assert {"Customer Type": "Trade"} == fields(bundle(names, own)) == fields(bundle(names, own), "customer")
    assert {"customer attribute 9": "1"} == fields(bundle(None, own), "customer")


def test_an_attribute_of_one_store_is_above_that_of_all_and_that_of_another_store_is_no_one_s() -> None:
    rows = [{"key": "Customer Type", "value": value, "store_id": store} for value, store in (("own", 1), ("all", 0), ("other", 2))]
    assert {"Customer Type": "own"} == fields(bundle(own=rows)) == fields(bundle(own=rows), "customer")
    assert {"Customer Type": "all"} == fields(bundle(own=rows[1:]))
    assert {} == fields(bundle(own=rows[2:]))


def test_attributes_that_nobody_asked_for_are_no_fields() -> None:
    assert {} == fields(bundle(own={"PasswordRecoveryToken": "secret", "LastVisitedPage": "/", "Customer Type": ""}))


@pytest.mark.parametrize("rows", [{}, "x", [1], {"key": 1}])
def test_attributes_of_another_shape_are_refused_by_name(rows: object) -> None:
    payload = json.loads(bundle()) | {"customer_attributes": rows}
    with pytest.raises(DataError) as caught:
        events(json.dumps(payload).encode())
    assert "customer_attributes" == caught.value.field


@pytest.mark.parametrize("row", [{"key": []}, {"value": {}}, {"store_id": []}, {}, {"key": None, "value": 1}], ids=str)
def test_a_row_of_another_shape_is_no_field_and_no_crash(row: dict[str, Any]) -> None:
    assert {} == fields(bundle(own=[{"key": "Customer Type", "value": "", "store_id": 0} | row]))


def test_a_customer_s_name_stands_in_its_attributes_before_its_address() -> None:
    (named,) = SOURCE.decode("customer", bundle(own={"FirstName": "Zoe", "LastName": "Mueller", "Company": "Eco"}), PROVENANCE)
    assert ("Zoe", "Mueller", "Eco") == tuple(named.value[name] for name in ("first_name", "last_name", "company"))
    (bare,) = SOURCE.decode("customer", bundle(), PROVENANCE)
    assert ("Zoë", "Müller", "Öko") == tuple(bare.value[name] for name in ("first_name", "last_name", "company"))
