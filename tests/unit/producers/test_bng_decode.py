"""What BNG sends becomes canonical events exactly, or a data error that names what is wrong."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.base import Fetch, Provenance
from producers.bng import SOURCE
from towpath.codec import default_codec
from towpath.errors import DataError
from towpath.events import Event
from towpath.systems import bng

RECEIVED = datetime(2026, 11, 20, 9, 31, tzinfo=UTC)
PROVENANCE = Provenance("erp", RECEIVED, 42, "1" * 32)
CHANGED = datetime(2026, 11, 20, 9, 30, 0, 250_000, tzinfo=UTC)

STOCK = """{"SKU":"TP-0001","Warehouse":"MAIN","OnHand":12,"Allocated":15,"Available":-3,"Sequence":7,"UpdatedAt":"2026-11-20T09:30:00.250Z"}"""
ORDER = """{"SalesOrderID":"SO1001","ExternalOrderID":"SHOP-1001","CustomerID":"C7","OrderDate":"2026-11-20","OrderStatus":30,"PaymentStatus":"Paid",
 "Currency":"EUR","Lines":[{"LineNo":1,"ProductID":"P1","SKU":"TP-0001","Quantity":2,"UnitPrice":"9.99","TaxAmount":"3.80"},
 {"LineNo":2,"ProductID":"P2","SKU":"TP-0002","Quantity":1,"UnitPrice":"5.00","TaxAmount":"0.95"}],"ShippingAmount":"4.90","TaxTotal":"5.68",
 "Total":"34.56","BillingAddress":null,"ShippingAddress":null,"CostCentre":null,"Dimensions":{},"CustomFields":{"Discount":"1.00"},"Sequence":9,
 "UpdatedAt":"2026-11-20T09:30:00.250Z"}"""
SHIPMENT = """{"ShipmentID":"SH1","SalesOrderID":"SO1001","Lines":[{"LineNo":2,"Quantity":1},{"LineNo":1,"Quantity":2}],"Carrier":"DHL",
 "TrackingNumber":"JD01","ShippedAt":"2026-11-20T09:30:00.250Z","Sequence":3,"UpdatedAt":"2026-11-20T09:31:00Z"}"""
PRODUCT = """{"ProductID":"P1","SKU":"TP-0001","Name":"Mug","ProductType":"Tableware","Attributes":{"Colour":"blue"},"Price":"9.99",
 "Currency":"EUR","Sequence":4,"UpdatedAt":"2026-11-20T09:30:00.250Z"}"""
INVOICE = """{"InvoiceID":"INV1","SalesOrderID":"SO1001","Total":"34.56","Currency":"EUR","Status":"Open","Sequence":5,
 "UpdatedAt":"2026-11-20T09:30:00.250Z"}"""
CUSTOMER = """{"CustomerID":"C7","ExternalID":"SHOP-7","CompanyName":null,"FirstName":"Zoë","LastName":"Müller","Email":"zoe@shop.example",
 "BillingAddress":{"Street":"Hauptstraße 5, Hof 2, links","City":"Berlin","State":null,"Zip":"10115","Country":"DE"},"ShippingAddress":null,
 "PaymentTerms":"NET30","CreditLimit":"0.00","CustomFields":{"Customer Type":"VIP","Note":null},"Sequence":5,
 "UpdatedAt":"2026-11-20T09:30:00.250Z"}"""
PURCHASE = """{"PurchaseOrderID":"PO1","VendorID":"V1","OrderDate":"2026-11-20","Status":"PartiallyReceived","Currency":"EUR",
 "Lines":[{"LineNo":1,"SKU":"TP-0001","Quantity":10,"ReceivedQuantity":4,"UnitCost":"3.25"}],"Sequence":6,"UpdatedAt":"2026-11-20T09:30:00.250Z"}"""
VENDOR = """{"VendorID":"V1","Name":"Kiln & Co","Email":null,"Address":{"Street":"1 Clay Road","City":"Stoke","Zip":"ST1","Country":"GB"},
 "Currency":"GBP","Sequence":2,"UpdatedAt":"2026-11-20T09:30:00.250Z"}"""
BUNDLES = {
    "purchase_order": f'{{"purchase_order":{PURCHASE}}}',
    "vendor": f'{{"vendor":{VENDOR}}}',
    "invoice": f'{{"order_key":"shop/order/1001","invoice":{INVOICE}}}',
    "customer": f'{{"customer_key":"shop/customer/7","customer":{CUSTOMER}}}',
    "product": f'{{"product":{PRODUCT}}}',
    "inventory": f'{{"inventory":{STOCK}}}',
    "sales_order": f'{{"order_key":"shop/order/1001","sales_order":{ORDER}}}',
    "shipment": f'{{"order_key":"shop/order/1001","shipment":{SHIPMENT},"sales_order":{ORDER}}}',
}
Edit = Callable[[dict[str, Any]], object]


def decoded(entity: str, payload: str | bytes | None = None, provenance: Provenance = PROVENANCE) -> Event:
    body = BUNDLES[entity] if payload is None else payload
    (event,) = SOURCE.decode(entity, body.encode() if isinstance(body, str) else body, provenance)
    return event


def edited(entity: str, edit: Edit) -> bytes:
    content = json.loads(BUNDLES[entity])
    edit(content)
    return json.dumps(content).encode()


def changed(entity: str, part: str, **fields: object) -> bytes:
    return edited(entity, lambda content: content[part].update(fields))


def refused(entity: str, payload: bytes) -> DataError:
    with pytest.raises(DataError) as caught:
        SOURCE.decode(entity, payload, PROVENANCE)
    return caught.value


GOLDEN: dict[str, tuple[str, str, int, Mapping[str, Any]]] = {
    "inventory": (
        "StockChanged",
        "erp/stock/TP-0001",
        7,
        {"sku": "TP-0001", "location": "MAIN", "on_hand": Decimal(12), "allocated": Decimal(15), "available": Decimal(-3), "custom_fields": {}},
    ),
    "product": (
        "ProductChanged",
        "erp/product/P1",
        4,
        {
            "product_id": "P1",
            "sku": "TP-0001",
            "name": "Mug",
            "product_type": "Tableware",
            "price": Decimal("9.99"),
            "currency": "EUR",
            "attributes": {"Colour": "blue"},
            "custom_fields": {},
        },
    ),
    "purchase_order": (
        "PurchaseOrderChanged",
        "erp/purchase_order/PO1",
        6,
        {
            "purchase_order_id": "PO1",
            "reference": "",
            "vendor_id": "V1",
            "status": "PartiallyReceived",
            "ordered_at": datetime(2026, 11, 20, tzinfo=UTC),
            "currency": "EUR",
            "lines": [{"line_no": 1, "sku": "TP-0001", "quantity": Decimal(10), "received": Decimal(4), "unit_cost": Decimal("3.25")}],
            "custom_fields": {},
        },
    ),
    "vendor": (
        "VendorChanged",
        "erp/vendor/V1",
        2,
        {
            "vendor_id": "V1",
            "name": "Kiln & Co",
            "email": "",
            "currency": "GBP",
            "address": {
                **dict.fromkeys(("first_name", "last_name", "email", "phone", "region"), ""),
                "company": "Kiln & Co",
                "lines": ["1 Clay Road"],
                "city": "Stoke",
                "postcode": "ST1",
                "country": "GB",
            },
            "custom_fields": {},
        },
    ),
    "invoice": (
        "InvoiceIssued",
        "shop/order/1001",
        5,
        {"invoice_id": "INV1", "order_id": "SO1001", "status": "Open", "total": Decimal("34.56"), "currency": "EUR", "custom_fields": {}},
    ),
    "customer": (
        "CustomerChanged",
        "shop/customer/7",
        5,
        {
            "customer_id": "C7",
            "email": "zoe@shop.example",
            "first_name": "Zoë",
            "last_name": "Müller",
            "company": "",
            "active": True,
            "billing_address": {
                **dict.fromkeys(("first_name", "last_name", "company", "email", "phone", "region"), ""),
                "lines": ["Hauptstraße 5", "Hof 2, links"],
                "city": "Berlin",
                "postcode": "10115",
                "country": "DE",
            },
            "shipping_address": None,
            "custom_fields": {"Customer Type": "VIP", "PaymentTerms": "NET30", "CreditLimit": "0.00"},
        },
    ),
    "sales_order": ("OrderStatusChanged", "shop/order/1001", 9, {"order_id": "SO1001", "status": "30", "custom_fields": {}}),
    "shipment": (
        "ShipmentConfirmed",
        "shop/order/1001",
        3,
        {
            "shipment_id": "SH1",
            "order_id": "SO1001",
            "carrier": "DHL",
            "tracking_number": "JD01",
            "shipped_at": CHANGED,
            "lines": [
                {"line_no": 2, "sku": "TP-0002", "quantity": Decimal(1)},
                {"line_no": 1, "sku": "TP-0001", "quantity": Decimal(2)},
            ],
            "request_id": "",
            "custom_fields": {},
        },
    ),
}


@pytest.mark.parametrize("entity", GOLDEN)
def test_the_golden_events(entity: str) -> None:
    kind, key, sequence, content = GOLDEN[entity]
    event = decoded(entity)
    assert (kind, content) == (event.type, {name: value for name, value in event.value.items() if name != "meta"})
    expected = {"connection": "erp", "key": key, "version": {"major": sequence, "minor": 0}, "occurred_at": CHANGED, "received_at": RECEIVED}
    assert expected == {name: value for name, value in event.meta.items() if name in expected}
    assert (kind, event.value) == default_codec().decode(default_codec().encode(kind, event.value))


# --- ids: of a fact, not of a reading or a content


@pytest.mark.parametrize("entity", GOLDEN)
def test_the_same_fact_read_twice_is_the_same_event_whenever_it_was_read(entity: str) -> None:
    later = Provenance("erp", datetime(2027, 1, 1, tzinfo=UTC), 99, "2" * 32)
    one, other = decoded(entity).meta, decoded(entity, provenance=later).meta
    assert (one["event_id"], one["digest"], one["version"]) == (other["event_id"], other["digest"], other["version"])


def test_stock_that_is_again_what_it_was_is_another_fact_of_the_same_content() -> None:
    one, other = decoded("inventory").meta, decoded("inventory", changed("inventory", "inventory", Sequence=8)).meta
    assert one["digest"] == other["digest"]
    assert one["event_id"] != other["event_id"]


def test_facts_that_share_a_sequence_are_told_apart() -> None:
    elsewhere = decoded("inventory", changed("inventory", "inventory", Warehouse="SECOND"))
    status = decoded("sales_order", changed("sales_order", "sales_order", Sequence=3))
    shipment, other = decoded("shipment"), decoded("shipment", changed("shipment", "shipment", ShipmentID="SH2"))
    assert 5 == len({event.meta["event_id"] for event in (decoded("inventory"), elsewhere, status, shipment, other)})
    assert decoded("inventory").meta["key"] == elsewhere.meta["key"]


# --- numbers and times


@given(st.integers(0, 2**63 - 1), st.integers(-(2**63) + 1, 2**63 - 1), st.integers(1, 2**63 - 1))
def test_quantities_and_sequences_are_exact(allocated: int, available: int, sequence: int) -> None:
    event = decoded("inventory", changed("inventory", "inventory", Allocated=allocated, Available=available, Sequence=sequence))
    assert (Decimal(allocated), Decimal(available), sequence) == (event.value["allocated"], event.value["available"], event.meta["version"]["major"])
    assert event.value == default_codec().decode(default_codec().encode("StockChanged", event.value))[1]


@pytest.mark.parametrize("raw", ["12.0", "1.2e1", "12.000000000000000000000", "120E-1"])
def test_every_way_to_write_a_whole_number_is_the_same_quantity(raw: str) -> None:
    event = decoded("inventory", BUNDLES["inventory"].replace('"OnHand":12', f'"OnHand":{raw}'))
    assert decoded("inventory").value == event.value


NO_QUANTITIES = ["null", "true", '"12"', "12.5", "12.0000000001", "1e400", "-1e400", "9223372036854775808", "[]", "{}"]


@pytest.mark.parametrize("raw", NO_QUANTITIES)
@pytest.mark.parametrize("field", ["OnHand", "Allocated", "Available", "Sequence"])
def test_what_is_no_quantity_is_refused_by_name(field: str, raw: str) -> None:
    value = json.loads(STOCK)[field]
    assert field == refused("inventory", BUNDLES["inventory"].replace(f'"{field}":{value}', f'"{field}":{raw}').encode()).field


@pytest.mark.parametrize(
    ("entity", "part", "fields", "field"),
    [
        ("inventory", "inventory", {"SKU": ""}, "SKU"),
        ("inventory", "inventory", {"SKU": 7}, "SKU"),
        ("inventory", "inventory", {"SKU": "A\nB"}, "SKU"),
        ("inventory", "inventory", {"SKU": "\ud800"}, "SKU"),
        ("inventory", "inventory", {"SKU": "x" * 201}, "SKU"),
        ("inventory", "inventory", {"Warehouse": None}, "Warehouse"),
        ("inventory", "inventory", {"Allocated": -1}, "Allocated"),
        ("inventory", "inventory", {"Sequence": 0}, "Sequence"),
        ("inventory", "inventory", {"UpdatedAt": "soon"}, "UpdatedAt"),
        ("inventory", "inventory", {"UpdatedAt": 20261120}, "UpdatedAt"),
        ("product", "product", {"SKU": None}, "SKU"),
        ("product", "product", {"ProductID": "P\n1"}, "ProductID"),
        ("product", "product", {"Price": None}, "Price"),
        ("product", "product", {"Price": "-0.01"}, "Price"),
        ("product", "product", {"Price": "NaN"}, "Price"),
        ("product", "product", {"Price": True}, "Price"),
        ("product", "product", {"Currency": 978}, "Currency"),
        ("product", "product", {"Name": None}, "Name"),
        ("product", "product", {"Attributes": None}, "Attributes"),
        ("product", "product", {"Attributes": {"Colour": 7}}, "Attributes"),
        ("product", "product", {"Sequence": "4"}, "Sequence"),
        ("purchase_order", "purchase_order", {"VendorID": None}, "VendorID"),
        ("purchase_order", "purchase_order", {"OrderDate": "20.11.2026"}, "OrderDate"),
        ("purchase_order", "purchase_order", {"Status": None}, "Status"),
        ("purchase_order", "purchase_order", {"Lines": []}, "Lines"),
        ("purchase_order", "purchase_order", {"Lines": [{"LineNo": 1, "SKU": ""}]}, "Lines[0].SKU"),
        (
            "purchase_order",
            "purchase_order",
            {"Lines": [{"LineNo": 1, "SKU": "A", "Quantity": 1, "ReceivedQuantity": -1}]},
            "Lines[0].ReceivedQuantity",
        ),
        (
            "purchase_order",
            "purchase_order",
            {"Lines": [{"LineNo": 1, "SKU": "A", "Quantity": 1, "ReceivedQuantity": 0, "UnitCost": "x"}]},
            "Lines[0].UnitCost",
        ),
        ("vendor", "vendor", {"Name": None}, "Name"),
        ("vendor", "vendor", {"Email": 7}, "Email"),
        ("vendor", "vendor", {"Address": "Stoke"}, "Address"),
        ("vendor", "vendor", {"Address": {"City": 7}}, "City"),
        ("invoice", "invoice", {"InvoiceID": None}, "InvoiceID"),
        ("invoice", "invoice", {"SalesOrderID": ""}, "SalesOrderID"),
        ("invoice", "invoice", {"Total": "-0.01"}, "Total"),
        ("invoice", "invoice", {"Total": None}, "Total"),
        ("invoice", "invoice", {"Currency": None}, "Currency"),
        ("invoice", "invoice", {"Status": 10}, "Status"),
        ("sales_order", "sales_order", {"OrderStatus": None}, "OrderStatus"),
        ("sales_order", "sales_order", {"OrderStatus": "20"}, "OrderStatus"),
        ("sales_order", "sales_order", {"SalesOrderID": 1001}, "SalesOrderID"),
        ("sales_order", "sales_order", {"Sequence": None}, "Sequence"),
        ("shipment", "shipment", {"ShipmentID": None}, "ShipmentID"),
        ("shipment", "shipment", {"ShippedAt": None}, "ShippedAt"),
        ("shipment", "shipment", {"Carrier": None}, "Carrier"),
        ("shipment", "shipment", {"TrackingNumber": 5}, "TrackingNumber"),
        ("shipment", "shipment", {"Lines": []}, "Lines"),
        ("shipment", "shipment", {"Lines": {"LineNo": 1}}, "Lines"),
        ("shipment", "shipment", {"Lines": [{"LineNo": 1, "Quantity": 1}, {"LineNo": 3, "Quantity": 1}]}, "Lines[1].LineNo"),
        ("shipment", "shipment", {"Lines": [{"LineNo": [], "Quantity": 1}]}, "Lines[0].LineNo"),
        ("shipment", "shipment", {"Lines": [{"LineNo": 1, "Quantity": 0}]}, "Lines[0].Quantity"),
        ("shipment", "shipment", {"Lines": [{"LineNo": 2**31, "Quantity": 1}]}, "Lines[0].LineNo"),
        ("shipment", "sales_order", {"Lines": [{"LineNo": 1}, {"LineNo": 2}]}, "sales_order.Lines[0].SKU"),
        ("shipment", "sales_order", {"Lines": [{"LineNo": [], "SKU": "TP-0001"}]}, "sales_order.Lines[0].LineNo"),
        ("shipment", "sales_order", {"Lines": None}, "sales_order.Lines"),
        ("shipment", "sales_order", {"SalesOrderID": "SO1002"}, "SalesOrderID"),
    ],
)
def test_what_is_wrong_is_named(entity: str, part: str, fields: dict[str, object], field: str) -> None:
    error = refused(entity, changed(entity, part, **fields))
    assert field == error.field
    str(error).encode()


@pytest.mark.parametrize(
    ("entity", "name"),
    [("inventory", "inventory"), ("product", "product"), ("sales_order", "order_key"), ("shipment", "shipment"), ("shipment", "sales_order")],
)
def test_a_part_that_is_missing_is_named(entity: str, name: str) -> None:
    assert name == refused(entity, edited(entity, lambda content: content.pop(name))).field


@pytest.mark.parametrize("key", [None, "", 7, []])
def test_an_order_s_event_without_its_business_key_is_refused(key: object) -> None:
    assert "order_key" == refused("sales_order", edited("sales_order", lambda content: content.update(order_key=key))).field


def test_a_shipment_may_have_no_tracking_number_and_a_warehouse_no_name() -> None:
    assert "" == decoded("shipment", changed("shipment", "shipment", TrackingNumber=None)).value["tracking_number"]
    assert "" == decoded("shipment", edited("shipment", lambda content: content["shipment"].update(TrackingNumber=""))).value["tracking_number"]
    assert "" == decoded("inventory", changed("inventory", "inventory", Warehouse="")).value["location"]


@pytest.mark.parametrize("status", [10, 20, 30, 40, 90, 55])
def test_a_status_is_the_source_s_own_word_even_one_that_nobody_knows(status: int) -> None:
    assert str(status) == decoded("sales_order", changed("sales_order", "sales_order", OrderStatus=status)).value["status"]


@given(st.data())
def test_any_part_replaced_by_any_json_is_an_event_or_a_data_error(data: st.DataObject) -> None:
    entity = data.draw(st.sampled_from(sorted(BUNDLES)))
    content = json.loads(BUNDLES[entity])
    anything = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda part: st.lists(part, max_size=2), max_leaves=4)
    place: Any = content
    while isinstance(place, dict | list) and place:
        name = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[name], dict | list) or not place[name] or data.draw(st.booleans()):
            place[name] = data.draw(anything)
            break
        place = place[name]
    try:
        event = decoded(entity, json.dumps(content).encode())
        default_codec().encode(event.type, event.value)
    except DataError as error:
        assert error.field  # noqa: PT017 - or it decodes


def test_decoding_changes_nothing_that_it_was_given() -> None:
    provenance = copy.deepcopy(PROVENANCE)
    decoded("shipment")
    assert provenance == PROVENANCE


def test_an_entity_that_nothing_is_known_of_is_refused_by_name() -> None:
    assert "entity" == refused("ledger", b"{}").field


BODIES: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"<html>",
    "no object": b"[]",
    "NaN": BUNDLES["inventory"].replace("12", "NaN").encode(),
    "an integer of 100,000 digits": BUNDLES["inventory"].replace("12", "9" * 100_000).encode(),
    "100,000 brackets": b'{"inventory":' + b"[" * 100_000,
    "a name that stands twice": BUNDLES["inventory"].replace('"OnHand":12', '"OnHand":12,"OnHand":13').encode(),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_a_hostile_body_is_a_data_error_in_50_ms(body: bytes) -> None:
    started = time.process_time()
    assert "body" == refused("inventory", body).field
    assert time.process_time() - started < 0.05


# --- webhooks


def webhook(kind: object, data: str) -> bytes:
    return f'{{"type": {json.dumps(kind)}, "id": "evt_1", "occurredAt": "2026-11-20T09:30:01Z", "data": {data} }}'.encode()


WEBHOOKS = [
    ("inventory_updated", STOCK, "inventory", "TP-0001", "MAIN"),
    ("order_status_changed", ORDER, "sales_order", "SO1001", ""),
    ("shipment_created", SHIPMENT, "shipment", "SH1", ""),
    ("product_updated", PRODUCT, "product", "P1", ""),
    ("invoice_created", INVOICE, "invoice", "INV1", ""),
]


@pytest.mark.parametrize(("kind", "data", "entity", "one", "part"), WEBHOOKS)
def test_a_webhook_carries_its_entity_as_it_was_sent(kind: str, data: str, entity: str, one: str, part: str) -> None:
    assert Fetch(entity, one, data, part=part) == SOURCE.wanted(webhook(kind, data))
    assert f"{entity}/{one}" == bng.key_of(webhook(kind, data))


def test_numbers_of_a_webhook_stay_as_they_were_written() -> None:
    raw = STOCK.replace('"OnHand":12', '"OnHand":12.0000000000000000055')
    wanted = SOURCE.wanted(webhook("inventory_updated", raw))
    assert wanted is not None
    assert raw == wanted.payload


@pytest.mark.parametrize("kind", ["something_new", "vendor_updated"])
def test_a_webhook_that_no_flow_can_use_is_none_and_no_error(kind: str) -> None:
    assert None is SOURCE.wanted(webhook(kind, "{}"))
    assert None is bng.key_of(webhook(kind, "{}"))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"),
        (b"\xff", "body"),
        (b"[" * 100_000, "body"),
        (b"[]", "body"),
        (b'{"type": "inventory_updated", "type": "shipment_created"}', "body"),
        (b"{}", "type"),
        (webhook(7, STOCK), "type"),
        (webhook("inventory_updated", "[]"), "data"),
        (b'{"type": "inventory_updated"}', "data"),
        (webhook("inventory_updated", "{}"), "data.SKU"),
        (webhook("order_status_changed", STOCK), "data.SalesOrderID"),
        (webhook("shipment_created", '{"ShipmentID": 5}'), "data.ShipmentID"),
        (webhook("shipment_created", '{"ShipmentID": " "}'), "data.ShipmentID"),
        (webhook("shipment_created", '{"ShipmentID": "a\\u0000b"}'), "data.ShipmentID"),
    ],
)
def test_a_webhook_that_cannot_be_read_is_refused_by_the_name_of_the_field(body: bytes, field: str) -> None:
    with pytest.raises(DataError) as caught:
        SOURCE.wanted(body)
    assert field == caught.value.field
    if field != "body":
        assert None is bng.key_of(body)


@pytest.mark.parametrize("key", [None, "", 7])
def test_a_customer_who_stands_for_nobody_elsewhere_has_a_key_of_its_own(key: object) -> None:
    assert "erp/customer/C7" == decoded("customer", edited("customer", lambda content: content.update(customer_key=key))).meta["key"]


@pytest.mark.parametrize("field", ["Email", "FirstName", "BillingAddress", "CustomFields", "CustomerID", "Sequence", "UpdatedAt"])
def test_a_customer_with_a_field_that_is_none_is_refused_by_name(field: str) -> None:
    assert field == refused("customer", changed("customer", "customer", **{field: [7]})).field


def test_an_address_with_a_part_that_is_no_text_is_refused_by_name() -> None:
    assert "BillingAddress.City" == refused("customer", changed("customer", "customer", BillingAddress={"Street": "x", "City": 7})).field
