"""What a Magento order and customer become: each trap of the vendor's shapes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from producers.base import Fetch, Provenance
from producers.magento import SOURCE
from towpath.blanking import blank
from towpath.codec import default_codec
from towpath.errors import DataError
from towpath.events import Event
from towpath.systems.magento import BLANKED, key_of

PROVENANCE = Provenance("shop", datetime(2026, 3, 1, 12, tzinfo=UTC), 5, "1" * 32)
BILLING = {"firstname": "Zoë", "lastname": "Müller", "street": ["123 Oak Ave", "Apt 4"], "city": "Purchase", "region": "New York", "country_id": "US"}
SHIPPING = {**BILLING, "firstname": "Jane", "region_code": "NY", "postcode": "10755"}
ITEM = {"item_id": 3, "sku": "WS12-M", "name": "Tee", "product_type": "simple", "price": 22, "row_total": 44, "tax_amount": 3.63, "qty_ordered": 2}
INVOICE = {"entity_id": 9, "state": 2, "created_at": "2026-02-28 23:59:59", "transaction_id": "txn_1"}
Json = dict[str, Any]


def an_order(*items: Json, **changes: object) -> Json:
    return {
        "entity_id": 3,
        "increment_id": "000000007",
        "state": "processing",
        "status": "processing",
        "created_at": "2026-02-28 22:36:02",
        "updated_at": "2026-02-28 23:30:00",
        "customer_email": "jdoe@example.com",
        "customer_id": 2,
        "order_currency_code": "EUR",
        "base_currency_code": "USD",
        "base_grand_total": 999,
        "shipping_amount": 5,
        "tax_amount": 3.63,
        "discount_amount": -4.4,
        "grand_total": 48.23,
        "items": list(items) or [ITEM],
        "billing_address": BILLING,
        "payment": {"method": "checkmo", "cc_last4": "1111"},
        "extension_attributes": {"shipping_assignments": [{"shipping": {"address": SHIPPING, "method": "flatrate"}, "items": []}]},
    } | changes


def events_of(order: Json | str, *invoices: Json, provenance: Provenance = PROVENANCE) -> list[Event]:
    text = order if isinstance(order, str) else json.dumps(order)
    events = SOURCE.decode("order", f'{{"order": {text}, "invoices": {json.dumps(list(invoices))}}}'.encode(), provenance)
    for event in events:
        assert (event.type, event.value) == default_codec().decode(default_codec().encode(event.type, event.value))
    return events


def placed(order: Json | str) -> dict[str, Any]:
    return dict(events_of(order)[0].value)


def test_an_order_is_known_by_its_entity_id_and_called_by_its_increment_id() -> None:
    order = placed(an_order())
    assert ("shop/order/3", "3", "000000007") == (order["meta"]["key"], order["order_id"], order["order_number"])
    assert ("shop/customer/2", "EUR", Decimal("48.23")) == (order["customer_key"], order["currency"], order["total"])


@pytest.mark.usefixtures("tokyo")
def test_times_are_utc_though_they_name_no_zone_and_the_version_is_the_last_save() -> None:
    order = placed(an_order())
    assert datetime(2026, 2, 28, 22, 36, 2, tzinfo=UTC) == order["placed_at"]
    assert {"major": int(datetime(2026, 2, 28, 23, 30, tzinfo=UTC).timestamp()) * 1_000_000, "minor": 5} == order["meta"]["version"]


def test_the_shipping_address_is_that_of_the_shipping_assignment_and_the_street_is_a_list() -> None:
    order = placed(an_order())
    assert ("Zoë", "Jane") == (order["billing_address"]["first_name"], order["shipping_address"]["first_name"])
    assert (["123 Oak Ave", "Apt 4"], "NY", "US") == tuple(order["shipping_address"][name] for name in ("lines", "region", "country"))
    assert "New York" == order["billing_address"]["region"]
    assert None is placed(an_order(extension_attributes={"shipping_assignments": [{"shipping": {}}]}))["shipping_address"]


@pytest.mark.parametrize("total", ["0.1", "104.59", "1234567890123.4567", '"58.0400"'])
def test_money_is_exact_whether_it_comes_as_a_number_or_as_a_text(total: str) -> None:
    text = json.dumps(an_order(grand_total="TOTAL")).replace('"TOTAL"', total)
    assert Decimal(total.strip('"')) == placed(text)["total"]


def test_the_sum_adds_up_though_the_discount_is_below_zero_and_part_of_the_tax_is_hidden() -> None:
    order = placed(an_order(discount_tax_compensation_amount=0.5, shipping_discount_tax_compensation_amount=0.25, grand_total=48.98))
    lines = sum(line["line_total"] for line in order["lines"])
    assert order["total"] == lines + order["shipping_amount"] + order["tax_total"] - order["discount_total"]
    assert Decimal("4.4") == order["discount_total"]


PARENT = {**ITEM, "item_id": 10, "sku": "WS12-M", "product_type": "configurable"}
CHILD = {**ITEM, "item_id": 11, "parent_item_id": 10, "price": 0, "row_total": 0, "tax_amount": 0}


def test_a_configurable_and_its_child_are_one_line_with_the_childs_sku_and_the_parents_price() -> None:
    lines = placed(an_order(PARENT, CHILD))["lines"]
    assert [("WS12-M", Decimal(2), Decimal(22), Decimal(44), Decimal("3.63"), "11")] == [
        (line["sku"], line["quantity"], line["unit_price"], line["line_total"], line["tax_amount"], line["line_id"]) for line in lines
    ]


def test_a_bundle_at_one_price_is_its_parts_which_cost_what_it_costs() -> None:
    parent = {**PARENT, "sku": "SET-A-B", "product_type": "bundle", "qty_ordered": 1, "row_total": 10, "tax_amount": 1}
    parts = [{**CHILD, "item_id": 11 + index, "sku": sku, "qty_ordered": quantity} for index, (sku, quantity) in enumerate((("A", 1), ("B", 2)))]
    lines = placed(an_order(parent, *parts))["lines"]
    assert [("A", Decimal("3.33")), ("B", Decimal("6.67"))] == [(line["sku"], line["line_total"]) for line in lines]
    assert Decimal(1) == sum(line["tax_amount"] for line in lines)
    assert [1, 2] == [line["line_no"] for line in lines]


def test_a_bundle_whose_parts_have_prices_costs_what_they_cost() -> None:
    parent = {**PARENT, "sku": "SET-A-B", "product_type": "bundle", "qty_ordered": 1, "row_total": 10, "tax_amount": 1}
    costs = (("A", 4, 0.4), ("B", 6, 0.6))
    parts = [
        {**CHILD, "item_id": 11 + index, "sku": sku, "row_total": row, "price": row, "tax_amount": tax, "qty_ordered": 1}
        for index, (sku, row, tax) in enumerate(costs)
    ]
    assert [Decimal(4), Decimal(6)] == [line["line_total"] for line in placed(an_order(parent, *parts))["lines"]]


def test_a_save_that_changes_nothing_but_how_far_the_order_is_gives_the_same_fact() -> None:
    first, again = (events_of(an_order(updated_at=f"2026-02-28 23:30:0{second}"))[0] for second in (0, 1))
    assert first.meta["event_id"] == again.meta["event_id"]
    assert first.meta["digest"] == again.meta["digest"]
    assert first.meta["version"] != again.meta["version"]


def test_a_cancelled_order_is_told_so_and_an_order_of_any_other_state_is_not() -> None:
    assert ["OrderPlaced", "OrderCancelled"] == [event.type for event in events_of(an_order(state="canceled", status="canceled"))]
    for state in ("new", "pending_payment", "complete", "closed", "holded", "payment_review"):
        assert ["OrderPlaced"] == [event.type for event in events_of(an_order(state=state, status=state))]


def test_a_payment_is_dated_by_its_invoice_and_is_the_same_at_every_save() -> None:
    paid = an_order(total_paid=48.23, payment={"method": "checkmo", "last_trans_id": "other"})
    open_one = {**INVOICE, "entity_id": 10, "state": 1, "created_at": "2026-03-02 00:00:00"}
    first, again = (events_of(an_order(**{**paid, "updated_at": at}), INVOICE, open_one)[1] for at in ("2026-02-28 23:30:00", "2026-03-05 01:00:00"))
    assert ("PaymentReceived", "txn_1", "txn_1") == (first.type, first.value["payment_id"], first.value["transaction_id"])
    assert (Decimal("48.23"), datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)) == (first.value["amount"], first.value["paid_at"])
    assert first.meta["event_id"] == again.meta["event_id"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "pending"),
        ({"total_paid": 48.23}, "paid"),
        ({"total_paid": 10}, "pending"),
        ({"total_paid": 48.23, "total_refunded": 5}, "partially_refunded"),
        ({"total_paid": 48.23, "total_refunded": 48.23}, "refunded"),
        ({"payment": {"method": "card", "amount_authorized": 48.23}}, "authorized"),
    ],
)
def test_whether_an_order_is_paid_is_said_by_its_amounts(changes: Json, status: str) -> None:
    order = placed(an_order(**changes))
    assert status == order["payment_status"]


def test_without_a_paid_invoice_to_be_read_no_payment_is_told() -> None:
    assert ["OrderPlaced"] == [event.type for event in events_of(an_order(total_paid=48.23))]


def test_a_guest_is_known_by_the_address_in_any_case_and_the_address_is_in_no_key() -> None:
    one, other = (placed(an_order(customer_id=None, customer_is_guest=1, customer_email=email)) for email in ("Ann@Example.com", "ann@example.com "))
    assert one["customer_key"] == other["customer_key"]
    assert one["customer_key"].startswith("shop/customer/guest-")
    assert "ann" not in one["customer_key"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"entity_id": None}, "entity_id"),
        ({"entity_id": "3/../9"}, "entity_id"),
        ({"updated_at": None}, "updated_at"),
        ({"created_at": "yesterday"}, "created_at"),
        ({"grand_total": None}, "grand_total"),
        ({"grand_total": "1e999"}, "grand_total"),
        ({"items": None}, "items"),
        ({"items": [{**ITEM, "sku": " "}]}, "items[0].sku"),
        ({"items": [{**ITEM, "qty_ordered": "many"}]}, "items[0].qty_ordered"),
        ({"items": [{**ITEM, "parent_item_id": 99}]}, "items[0].parent_item_id"),
        ({"items": [{**ITEM, "item_id": None}]}, "items[0].item_id"),
        ({"billing_address": None}, "billing_address"),
        ({"billing_address": {**BILLING, "street": 7}}, "billing_address.street"),
        ({"customer_id": None, "customer_email": None}, "customer_email"),
    ],
)
def test_what_is_wrong_is_a_data_error_that_names_the_field(changes: Json, field: str) -> None:
    with pytest.raises(DataError) as caught:
        events_of(an_order(**changes))
    assert field == caught.value.field


CUSTOMER = {
    "id": 7,
    "group_id": 2,
    "default_billing": "70",
    "default_shipping": "71",
    "created_at": "2026-01-01 10:00:00",
    "updated_at": "2026-02-01 10:00:00",
    "email": "jane@example.com",
    "firstname": "Jane",
    "lastname": "Doe",
    "addresses": [
        {
            "id": 70,
            "region": {"region_code": "NY", "region": "New York"},
            "street": ["1 Oak"],
            "company": "Doe Ltd",
            "country_id": "US",
            "default_billing": True,
        },
        {"id": 71, "region": {"region": "Bayern"}, "street": ["2 Elm"], "country_id": "DE"},
    ],
    "custom_attributes": [{"attribute_code": "order_source", "value": "web"}, {"attribute_code": "sizes", "value": ["S", "M"]}],
}


def test_a_customers_default_addresses_are_found_by_their_ids_which_are_texts() -> None:
    [event] = SOURCE.decode("customer", json.dumps({"customer": CUSTOMER}).encode(), PROVENANCE)
    value = event.value
    assert ("CustomerChanged", "shop/customer/7", "Doe Ltd") == (event.type, event.meta["key"], value["company"])
    assert (["1 Oak"], "NY", ["2 Elm"], "Bayern") == (
        *(value["billing_address"][name] for name in ("lines", "region")),
        *(value["shipping_address"][name] for name in ("lines", "region")),
    )
    assert {"Customer Group": "2", "order_source": "web"} == value["custom_fields"]


def an_event(kind: str = "com.adobe.commerce.observer.sales_order_save_commit_after", **value: object) -> bytes:
    return json.dumps({"type": kind, "event": {"data": {"value": {"entity_id": "3", **value}, "_metadata": {}}}}).encode()


def test_an_event_only_names_what_was_saved_for_its_values_are_texts_without_lines() -> None:
    body = an_event(grand_total="104.5900")
    assert Fetch("order", 3) == SOURCE.wanted(body)
    assert "order/3" == key_of(body)
    assert Fetch("customer", 3) == SOURCE.wanted(an_event("observer.customer_save_commit_after"))
    assert Fetch("order", 3) == SOURCE.wanted(an_event("observer.sales_order_place_after"))


@pytest.mark.parametrize(
    "kind",
    ["observer.sales_order_item_save_after", "observer.catalog_product_save_commit_after", "plugin.x", "", "observer.customer_address_save_after"],
)
def test_events_of_other_entities_concern_no_flow(kind: str) -> None:
    assert None is SOURCE.wanted(an_event(kind))
    assert None is key_of(an_event(kind))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"not json", "body"),
        (b"[]", "type"),
        (b'{"type": 3}', "type"),
        (an_event().replace(b'"value"', b'"values"'), "event.data.value"),
        (an_event(entity_id="3; drop"), "event.data.value.entity_id"),
        (an_event(entity_id=True), "event.data.value.entity_id"),
        (an_event(entity_id="-3"), "event.data.value.entity_id"),
        (an_event(entity_id="9" * 40), "event.data.value.entity_id"),
        (b"[" * 100_000, "body"),
    ],
)
def test_an_event_that_is_none_is_a_data_error_and_has_no_key(body: bytes, field: str) -> None:
    with pytest.raises(DataError) as caught:
        SOURCE.wanted(body)
    assert field == caught.value.field
    assert None is key_of(body)


def test_card_data_of_a_payment_is_blanked_in_events_and_answers() -> None:
    payment = {
        "cc_number_enc": "4929420573595709",
        "cc_owner": "JANE DOE",
        "cc_exp_year": "2031",
        "additional_information": ["4929420573595709"],
        "method": "card",
    }
    kept = json.loads(blank(json.dumps({"order": {"payment": payment}}).encode(), BLANKED))
    assert {"cc_number_enc": "", "cc_owner": "", "cc_exp_year": "", "additional_information": "", "method": "card"} == kept["order"]["payment"]


RUBBISH = [None, True, [], {}, -1, 1e300, "1e300", "\ud800", [1], {"a": 1}, [[1]], "0"]
READ = ("total_paid", "total_refunded", "customer_id", "discount_amount", "extension_attributes", "payment", *an_order())


@pytest.mark.parametrize("field", sorted(set(READ)))
def test_rubbish_in_any_field_is_an_event_or_a_data_error_and_nothing_else(field: str) -> None:
    invoices: list[object] = [None, [], [3], [{"state": 2}], [INVOICE]]
    for bundle in ({"order": {**an_order(total_paid=48.23), field: value}, "invoices": invoice} for value in RUBBISH for invoice in invoices):
        try:
            kinds = {event.type for event in SOURCE.decode("order", json.dumps(bundle).encode(), PROVENANCE)}
        except DataError as error:
            kinds = {"OrderPlaced"} if error.field else set()
        assert "OrderPlaced" in kinds
