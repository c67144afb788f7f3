"""A fetched NopCommerce order or customer becomes a canonical event exactly, or a data error that names what is wrong."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.rules import check
from producers.base import Fetch, Provenance
from producers.nopcommerce import SOURCE
from towpath.codec import default_codec
from towpath.errors import DataError
from towpath.events import Event

RECEIVED = datetime(2026, 11, 20, 9, 31, tzinfo=UTC)
PROVENANCE = Provenance("shop", RECEIVED, 42, "1" * 32)

# The shop's own bodies, as raw text: amounts are numbers there, and 0.1 must not become 0.1000000000000000055.
PROLOGUE = '<?xml version=\\"1.0\\" encoding=\\"utf-16\\"?>'
VALUES = PROLOGUE + "<DictionarySerializer><item><key>Order Source</key><value>web</value></item></DictionarySerializer>"
CHOSEN = "".join(f"<CheckoutAttributeValue><Value>{value}</Value></CheckoutAttributeValue>" for value in (2, 5))
ORDER = (
    (
        """{"id":1001,"order_guid":"8a6a0f5e","store_id":1,"customer_id":7,"billing_address_id":11,"shipping_address_id":12,"pickup_in_store":false,
 "order_status_id":20,"shipping_status_id":20,"payment_status_id":30,"payment_method_system_name":"Payments.CheckMoneyOrder",
 "customer_currency_code":"EUR","currency_rate":1.0,"order_subtotal_incl_tax":29.73,"order_subtotal_excl_tax":24.98,
 "order_sub_total_discount_excl_tax":0.0,"order_shipping_incl_tax":5.83,"order_shipping_excl_tax":4.9,
 "payment_method_additional_fee_excl_tax":0.1,"tax_rates":"19:5.68;","order_tax":5.68,"order_discount":1.0,"order_total":34.66,
 "refunded_amount":0.0,"shipping_method":"Ground","custom_order_number":"A-1001","created_on_utc":"2026-11-20T09:30:00.1234567",
 "custom_values_xml":"VALUES","checkout_attributes_xml":"<Attributes><CheckoutAttribute ID=\\"1\\">CHOSEN</CheckoutAttribute></Attributes>",
 "deleted":false}"""
    )
    .replace("VALUES", VALUES)
    .replace("CHOSEN", CHOSEN)
)
ITEMS = """[{"id":501,"order_id":1001,"product_id":31,"quantity":2,"unit_price_excl_tax":9.99,"price_excl_tax":19.98,"price_incl_tax":23.78},
 {"id":502,"order_id":1001,"product_id":32,"quantity":1,"unit_price_excl_tax":5.0,"price_excl_tax":5.0,"price_incl_tax":5.95}]"""
ADDRESS = """{"id":%s,"first_name":"Zoë","last_name":"Müller","email":"zoe@shop.example","company":null,"country_id":81,"state_province_id":%s,
 "county":null,"city":"Berlin","address1":"Hauptstraße 5","address2":"%s","zip_postal_code":"10115","phone_number":"+49 30 1234"}"""
PARTS: dict[str, str] = {
    "order": ORDER,
    "items": ITEMS,
    "customer": """{"id":7,"email":"zoe@shop.example","active":true,"deleted":false,"billing_address_id":11,"shipping_address_id":null,
     "created_on_utc":"2026-01-02T03:04:05"}""",
    "addresses": '{{"11":{},"12":{}}}'.format(ADDRESS % (11, 60, "Hof 2"), ADDRESS % (12, "null", "")),
    "products": '{"31":{"id":31,"sku":"TP-0001","name":"Mug"},"32":{"id":32,"sku":"TP-0002","name":"Cup"}}',
    "countries": '{"81":{"id":81,"two_letter_iso_code":"DE"}}',
    "states": '{"60":{"id":60,"abbreviation":"BE","name":"Berlin"}}',
}
Edit = Callable[[dict[str, Any]], object]


def bundle(**parts: str) -> bytes:
    """Return the fetched record, some of its parts replaced by other raw text."""
    return ("{" + ",".join(f'"{name}":{text}' for name, text in {**PARTS, **parts}.items()) + "}").encode()


def edited(edit: Edit) -> bytes:
    content = json.loads(bundle())
    edit(content)
    return json.dumps(content).encode()


def decoded(payload: bytes, entity: str = "order") -> Event:
    (event,) = SOURCE.decode(entity, payload, PROVENANCE)
    return event


def refused(payload: bytes, entity: str = "order") -> DataError:
    with pytest.raises(DataError) as caught:
        SOURCE.decode(entity, payload, PROVENANCE)
    return caught.value


ADDRESS_12 = {
    "first_name": "Zoë",
    "last_name": "Müller",
    "company": "",
    "email": "zoe@shop.example",
    "phone": "+49 30 1234",
    "lines": ["Hauptstraße 5"],
    "city": "Berlin",
    "region": "",
    "postcode": "10115",
    "country": "DE",
}


def test_the_golden_order() -> None:
    event = decoded(bundle())
    expected = {
        "order_number": "A-1001",
        "order_id": "1001",
        "status": "20",
        "payment_status": "30",
        "placed_at": datetime(2026, 11, 20, 9, 30, 0, 123456, tzinfo=UTC),
        "currency": "EUR",
        "customer_key": "shop/customer/7",
        "customer_id": "7",
        "customer_email": "zoe@shop.example",
        "customer_first_name": "Zoë",
        "customer_last_name": "Müller",
        "customer_company": "",
        "billing_address": {**ADDRESS_12, "lines": ["Hauptstraße 5", "Hof 2"], "region": "BE"},
        "shipping_address": ADDRESS_12,
        "lines": [
            {"line_no": 1, "line_id": "501", "sku": "TP-0001", "name": "Mug", "quantity": Decimal(2), "unit_price": Decimal("9.99"),
             "line_total": Decimal("19.98"), "tax_amount": Decimal("3.8")},
            {"line_no": 2, "line_id": "502", "sku": "TP-0002", "name": "Cup", "quantity": Decimal(1), "unit_price": Decimal(5),
             "line_total": Decimal(5), "tax_amount": Decimal("0.95")},
        ],
        "shipping_amount": Decimal("5.0"),
        "shipping_method": "Ground",
        "discount_total": Decimal(1),
        "tax_total": Decimal("5.68"),
        "total": Decimal("34.66"),
        "payment_method": "Payments.CheckMoneyOrder",
        "custom_fields": {"Order Source": "web", "checkout attribute 1": "2, 5", "Payment Fee": "0.1"},
    }  # fmt: skip
    assert expected == {name: value for name, value in event.value.items() if name != "meta"}
    assert ("OrderPlaced", "shop", "shop/order/1001", RECEIVED, "1" * 32) == (
        event.type, *(event.meta[name] for name in ("connection", "key", "received_at", "trace_id")),
    )  # fmt: skip
    seconds = int(datetime(2026, 11, 20, 9, 30, tzinfo=UTC).timestamp())
    assert {"major": seconds * 1_000_000 + 123_456, "minor": 42} == event.meta["version"]


def test_the_golden_order_obeys_the_rules_and_comes_through_the_wire() -> None:
    event = decoded(bundle())
    check(event)
    assert ("OrderPlaced", event.value) == default_codec().decode(default_codec().encode("OrderPlaced", event.value))


def test_the_golden_customer() -> None:
    event = decoded(bundle(), "customer")
    expected = {
        "customer_id": "7",
        "email": "zoe@shop.example",
        "first_name": "Zoë",
        "last_name": "Müller",
        "company": "",
        "active": True,
        "billing_address": {**ADDRESS_12, "lines": ["Hauptstraße 5", "Hof 2"], "region": "BE"},
        "shipping_address": None,
        "custom_fields": {},
    }
    assert expected == {name: value for name, value in event.value.items() if name != "meta"}
    assert ("CustomerChanged", "shop/customer/7") == (event.type, event.meta["key"])


def test_the_same_content_read_twice_is_the_same_event_whenever_and_wherever_it_was_read() -> None:
    later = Provenance("shop", datetime(2027, 1, 1, tzinfo=UTC), 99, "2" * 32)
    one, (other,) = decoded(bundle()), SOURCE.decode("order", bundle(), later)
    assert (one.meta["event_id"], one.meta["digest"]) == (other.meta["event_id"], other.meta["digest"])
    assert one.meta["version"]["minor"] < other.meta["version"]["minor"]


def test_other_content_is_another_event() -> None:
    other = decoded(edited(lambda content: content["order"].update(order_status_id=30)))
    assert decoded(bundle()).meta["event_id"] != other.meta["event_id"]


# --- amounts and times


@given(st.decimals(0, 10**12, places=4))
def test_an_amount_is_exactly_what_the_raw_text_says(amount: Decimal) -> None:
    raw = ORDER.replace('"order_tax":5.68', f'"order_tax":{amount:f}')
    assert amount == decoded(bundle(order=raw)).value["tax_total"]


@pytest.mark.parametrize("raw", ["1e1", "10", '"10.00"', "10.0000000", "1E+1"])
def test_every_way_to_write_a_number_is_the_same_amount(raw: str) -> None:
    assert Decimal(10) == decoded(bundle(order=ORDER.replace('"order_tax":5.68', f'"order_tax":{raw}'))).value["tax_total"]


def test_amounts_are_in_the_customer_s_currency_which_the_shop_s_own_are_not() -> None:
    raw = ORDER.replace('"EUR"', '"USD"').replace('"currency_rate":1.0', '"currency_rate":1.08765432')
    event = decoded(bundle(order=raw))
    assert ("USD", Decimal("37.698099")) == (event.value["currency"], event.value["total"])
    assert [Decimal("10.865667"), Decimal("5.438272")] == [line["unit_price"] for line in event.value["lines"]]
    check(event)


NO_AMOUNTS = ["null", "true", '"ten"', '"NaN"', '"Infinity"', "[0,[1,2],-1]", "{}", "1e999999", "1e30"]


@pytest.mark.parametrize("raw", NO_AMOUNTS)
def test_what_is_no_amount_is_refused_by_name(raw: str) -> None:
    assert "order_tax" == refused(bundle(order=ORDER.replace('"order_tax":5.68', f'"order_tax":{raw}'))).field


@pytest.mark.parametrize("raw", ["null", "0", "-1", '"x"', "true", "[]"])
def test_what_is_no_rate_is_refused_by_name(raw: str) -> None:
    assert "currency_rate" == refused(bundle(order=ORDER.replace('"currency_rate":1.0', f'"currency_rate":{raw}'))).field


@pytest.mark.parametrize("field", ["quantity", "unit_price_excl_tax", "price_excl_tax", "price_incl_tax"])
def test_a_line_s_missing_amount_is_named_with_its_line(field: str) -> None:
    assert f"items[1].{field}" == refused(edited(lambda content: content["items"][1].pop(field))).field


TIMES = {
    "2026-11-20T09:30:00": datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
    "2026-11-20T09:30:00Z": datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
    "2026-11-20T09:30:00+02:00": datetime(2026, 11, 20, 7, 30, tzinfo=UTC),
    "2026-11-20T09:30:00.1234567Z": datetime(2026, 11, 20, 9, 30, 0, 123456, tzinfo=UTC),
}


@pytest.mark.usefixtures("tokyo")
@pytest.mark.parametrize(("text", "expected"), TIMES.items())
def test_a_time_without_a_zone_is_utc_wherever_we_run(text: str, expected: datetime) -> None:
    event = decoded(edited(lambda content: content["order"].update(created_on_utc=text)))
    assert (expected, expected) == (event.value["placed_at"], event.meta["occurred_at"])


@pytest.mark.parametrize("text", [None, "", "yesterday", 1_700_000_000, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "\ud800"])
def test_what_is_no_time_is_refused_by_name(text: object) -> None:
    assert "created_on_utc" == refused(edited(lambda content: content["order"].update(created_on_utc=text))).field


# --- what is missing

MISSING: dict[str, tuple[Edit, str]] = {
    "the order": (lambda content: content.pop("order"), "order"),
    "the customer": (lambda content: content.pop("customer"), "customer"),
    "the items": (lambda content: content.pop("items"), "items"),
    "a product": (lambda content: content["products"].pop("32"), "items[1].product_id"),
    "a product's SKU": (lambda content: content["products"]["31"].update(sku=""), "items[0].product_id"),
    "the billing address": (lambda content: content["addresses"].pop("11"), "billing_address_id"),
    "the shipping address": (lambda content: content["addresses"].pop("12"), "shipping_address_id"),
    "the order's id": (lambda content: content["order"].pop("id"), "id"),
    "the customer's id": (lambda content: content["order"].update(customer_id=None), "customer_id"),
    "the total": (lambda content: content["order"].pop("order_total"), "order_total"),
    "objects among the items": (lambda content: content.update(items=[1, 2]), "items"),
    "a list of items": (lambda content: content.update(items={"items": {}}), "items"),
}


@pytest.mark.parametrize(("edit", "field"), MISSING.values(), ids=list(MISSING))
def test_what_is_missing_is_named(edit: Edit, field: str) -> None:
    assert field == refused(edited(edit)).field


def test_an_order_without_a_shipping_address_has_none() -> None:
    assert None is decoded(edited(lambda content: content["order"].update(shipping_address_id=None))).value["shipping_address"]


@pytest.mark.parametrize("other", [None, [], "x", 3])
def test_a_country_or_state_of_another_shape_is_empty_and_no_crash(other: object) -> None:
    event = decoded(edited(lambda content: content.update(countries={"81": other}, states={"60": other})))
    assert ("", "") == tuple(event.value["billing_address"][name] for name in ("country", "region"))


def test_items_are_taken_as_an_array_or_as_a_page() -> None:
    page = f'{{"total_count":2,"total_pages":1,"page_index":0,"page_size":2147483647,"items":{ITEMS}}}'
    assert decoded(bundle()).value == decoded(bundle(items=page)).value


# --- hostile bodies

BODIES: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"<html>",
    "no object": b"[]",
    "bad UTF-8": b'{"order": "\xff"}',
    "cut off": bundle()[:-1],
    "NaN": bundle(order=ORDER.replace("34.66", "NaN")),
    "infinite": bundle(order=ORDER.replace("34.66", "-Infinity")),
    "an exponent without end": bundle(order=ORDER.replace("34.66", "1e99999999999999999999")),
    "an integer of 100,000 digits": bundle(order=ORDER.replace("34.66", "9" * 100_000)),
    "100,000 brackets": b'{"order":' + b"[" * 100_000,
    "a name that stands twice": bundle(customer='{"id":7},"order":{"id":1}'),
    "a name that stands twice further in": bundle(order=ORDER.replace('"order_total":34.66', '"order_total":34.66,"order_total":0.01')),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_a_hostile_body_is_a_data_error_in_50_ms(body: bytes) -> None:
    started = time.process_time()
    assert "body" == refused(body).field
    assert time.process_time() - started < 0.05


LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><x><item><key>&c;</key></item></x>'
)
XML = {
    "a billion laughs": LAUGHS,
    "a file of ours": '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x><item><key>k</key><value>&a;</value></item></x>',
    "a call to elsewhere": '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><x/>',
    "broken": "<x>",
    "no XML": "hello",
    "null bytes": "<x>\x00</x>",
    "half a surrogate pair": "<x>\ud800</x>",
    "an unknown encoding": '<?xml version="1.0" encoding="x-none"?><x>ä</x',
}


@pytest.mark.parametrize("field", ["custom_values_xml", "checkout_attributes_xml"])
@pytest.mark.parametrize("xml", XML.values(), ids=list(XML))
def test_xml_that_is_not_safe_to_read_is_refused_by_the_name_of_its_field(field: str, xml: str) -> None:
    error = refused(edited(lambda content: content["order"].update({field: xml})))
    assert field == error.field
    str(error).encode()


def test_xml_that_is_empty_is_no_custom_field() -> None:
    event = decoded(edited(lambda content: content["order"].update(custom_values_xml=None, checkout_attributes_xml="")))
    assert {"Payment Fee": "0.1"} == event.value["custom_fields"]


@given(st.data())
def test_any_part_replaced_by_any_json_is_an_event_or_a_data_error(data: st.DataObject) -> None:
    content = json.loads(bundle())
    anything = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda part: st.lists(part, max_size=2), max_leaves=4)
    place: Any = content
    while isinstance(place, dict | list) and place:
        name = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[name], dict | list) or not place[name] or data.draw(st.booleans()):
            place[name] = data.draw(anything)
            break
        place = place[name]
    try:
        event = decoded(json.dumps(content).encode())
        default_codec().encode("OrderPlaced", event.value)
    except DataError as error:
        assert error.field  # noqa: PT017 - or it decodes


def test_decoding_changes_nothing_that_it_was_given() -> None:
    provenance = copy.deepcopy(PROVENANCE)
    SOURCE.decode("order", bundle(), PROVENANCE)
    assert provenance == PROVENANCE


def test_an_entity_that_nothing_is_known_of_is_refused_by_name() -> None:
    assert "entity" == refused(bundle(), "shipment").field


# --- webhooks


@pytest.mark.parametrize(
    ("entity", "expected"), [("order", Fetch("order", 1001)), ("return_request", Fetch("return_request", 1001)), ("product", None)]
)
def test_a_webhook_names_what_to_fetch(entity: str, expected: Fetch | None) -> None:
    body = json.dumps({"type": "order.placed", "id": "1", "data": {"entity": entity, "entityId": 1001}}).encode()
    assert expected == SOURCE.wanted(body)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"),
        (b"\xff", "body"),
        (b"[" * 100_000, "body"),
        (b"[]", "data"),
        (b'{"data": []}', "data"),
        (b'{"data": {"entity": 1}}', "data.entity"),
        (b'{"data": {"entity": "order"}}', "data.entityId"),
        (b'{"data": {"entity": "order", "entityId": true}}', "data.entityId"),
        (b'{"data": {"entity": "order", "entityId": "1/../2"}}', "data.entityId"),
        (b'{"data": {"entity": "order", "entityId": 1e3}}', "data.entityId"),
        (b'{"data": {"entity": "order", "entityId": 99999999999}}', "data.entityId"),
    ],
)
def test_a_webhook_that_cannot_be_read_is_refused_by_the_name_of_the_field(body: bytes, field: str) -> None:
    with pytest.raises(DataError) as caught:
        SOURCE.wanted(body)
    assert field == caught.value.field
