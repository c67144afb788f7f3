"""Which of a target's customers is meant, which fields are written, and both at BNG and the shop over HTTP."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sinks.bng.customer import same as same_at_bng
from sinks.customers import Person, alike, change_of, checked, chosen, meant
from tests.unit.sinks.conftest import Played, Sink
from towpath.delivery.reviewing import DUPLICATE
from towpath.errors import DataError

ZOE = Person("", "zoe@shop.example", "Zoë", "Müller", "10115")
STREET = {"Street": "Hauptstraße 5, Hof 2", "City": "Berlin", "Zip": "10115", "Country": "DE"}
WANTED = {"ExternalID": "SHOP-7", "Email": "zoe@shop.example", "FirstName": "Zoë", "LastName": "Müller", "CompanyName": "", "BillingAddress": STREET}
KEY = "shop/customer/7"


# --- who is meant


@pytest.mark.parametrize(
    ("found", "confidence"),
    [
        (ZOE, 1.0),
        (Person("", "ZOE@shop.example", "ZOE", "Muller", "10115"), 1.0),
        (Person("", "zoe@shop.example"), 0.8),
        (Person("", "zoe@shop.example", "Zoë", "Schmidt", "10115"), 0.8),
        (Person("", "zoe@shop.example", "Bob", "Stone", ""), 0.65),
        (Person("", "bob@shop.example", "Bob", "Stone", "1"), 0.0),
    ],
)
def test_how_alike_two_customers_are(found: Person, confidence: float) -> None:
    assert confidence == alike(ZOE, found)


def test_the_oldest_of_those_most_alike_is_meant() -> None:
    likely = [Person("C1", "zoe@shop.example", "", "Müller"), ZOE._replace(id="C2"), ZOE._replace(id="C3")]
    assert "C2" == getattr(meant(ZOE, likely, 0.8), "id", None)


def test_nobody_is_meant_where_nobody_is_there() -> None:
    assert None is meant(ZOE, [], 0.8)


@pytest.mark.parametrize("found", [Person("C1", "zoe@shop.example", "Bob", "Stone"), ZOE._replace(id="C1", taken_by="SHOP-9")])
def test_one_who_is_not_alike_enough_or_stands_for_another_is_asked_about(found: Person) -> None:
    with pytest.raises(DataError) as caught:
        meant(ZOE, [found, found._replace(id="C2")], 0.8)
    assert (DUPLICATE, "C1,C2") == (caught.value.field, caught.value.value)
    assert "zoe@shop.example" not in str(caught.value), "ids tell enough"


@pytest.mark.parametrize(("match", "wanted"), [("C1", "C1"), ({"Confidence": 0.9}, 0.9), (None, None), (False, None), ({"Not": ["C1"]}, None)])
def test_a_document_says_who_may_be_meant(match: object, wanted: object) -> None:
    assert wanted == chosen({"Match": match})


@pytest.mark.parametrize("match", ["", 7, {"Confidence": True}, {"Confidence": "much"}, {}, []])
def test_what_says_neither_an_id_nor_a_confidence_is_refused(match: object) -> None:
    with pytest.raises(DataError):
        chosen({"Match": match})


# --- what is written


def change(wanted: Any, stands: Any, expected: Any = None, *, fills: bool = False) -> tuple[dict[str, Any], list[str]]:  # noqa: ANN401 - documents
    found = change_of({"Wanted": wanted, "Expected": expected, "Fills": fills}, stands, same_at_bng)
    return found.fields, found.left


def test_what_stands_as_wanted_is_not_written() -> None:
    assert ({}, []) == change(WANTED, {**WANTED, "CompanyName": None, "BillingAddress": {**STREET, "State": None}})


def test_a_field_that_is_as_expected_is_written() -> None:
    assert ({"LastName": "B"}, []) == change({"LastName": "B"}, {"LastName": "A"}, {"LastName": "A"})
    assert ({"LastName": ""}, []) == change({"LastName": ""}, {"LastName": "A"}, {"LastName": "A"})


def test_a_field_that_changed_meanwhile_is_left_for_that_change_to_be_told() -> None:
    assert ({}, ["LastName"]) == change({"LastName": "B"}, {"LastName": "C"}, {"LastName": "A"})


def test_a_field_of_which_nothing_new_is_wanted_is_left_alone_whatever_it_is() -> None:
    assert ({}, []) == change({"LastName": "A"}, {"LastName": "C"}, {"LastName": "A"})


def test_a_custom_field_that_is_new_is_written() -> None:
    wanted, stands = {"CustomFields": {"Tier": "gold"}}, {"CustomFields": {"Own": "1"}}
    assert (wanted, []) == change(wanted, stands, {"CustomFields": {}})


def test_what_bng_says_of_an_address_besides_is_no_change_of_it() -> None:
    moved = {"BillingAddress": {**STREET, "City": "Potsdam"}}
    assert (moved, []) == change(moved, {"BillingAddress": {**STREET, "Verified": True}}, {"BillingAddress": STREET})


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "Wanted"),
        ({"Wanted": []}, "Wanted"),
        ({"Wanted": {}, "Expected": "x"}, "Expected"),
        ({"Wanted": {"CustomFields": ""}}, "Wanted.CustomFields"),
        ({"Wanted": {}, "Expected": {"CustomFields": []}}, "Expected.CustomFields"),
    ],
)
def test_a_part_that_is_no_object_is_named(document: Any, field: str) -> None:  # noqa: ANN401 - a document
    with pytest.raises(DataError) as caught:
        checked(document, ["CustomFields"])
    assert field == caught.value.field


def test_where_nobody_knows_what_stood_nothing_is_emptied() -> None:
    assert ({"LastName": "B"}, []) == change({"LastName": "B", "FirstName": ""}, {"LastName": "A", "FirstName": "Z"})


def test_where_the_target_decides_only_what_is_empty_is_written() -> None:
    assert ({"FirstName": "Z"}, []) == change({"LastName": "B", "FirstName": "Z"}, {"LastName": "A", "FirstName": None}, fills=True)


FIELDS = [
    ({"a": "1", "b": "2"}, {"a": "1"}, True),
    ({"a": "1"}, {"a": "2"}, False),
    ({}, {"a": ""}, True),
    ({}, {"a": "1"}, False),
    (None, {}, True),
]


@pytest.mark.parametrize(("one", "other", "alike"), FIELDS)
def test_of_custom_fields_only_those_that_are_wanted_count(one: Any, other: Any, alike: bool) -> None:  # noqa: ANN401, FBT001
    assert alike == same_at_bng("CustomFields", one, other)


# --- at BNG


@pytest.fixture
async def bng(play: Callable[[str], Awaitable[Played]]) -> Played:
    return await play("bng")


def put(wanted: Any, expected: Any = None, key: str = KEY) -> dict[str, Any]:  # noqa: ANN401 - documents
    return {"Customer": {"$ref": "customer", "key": key}, "Wanted": wanted, "Expected": expected, "Fills": False}


def related(wanted: Any, match: object, key: str = KEY) -> dict[str, str]:  # noqa: ANN401 - a document
    return {f"customer {key}": json.dumps({**wanted, "Match": match})}


ALIKE = {"Confidence": 0.8}


async def customers(bng: Played) -> list[tuple[str, str | None, str | None]]:
    return [(row["CustomerID"], row["ExternalID"], row["LastName"]) for row in await bng.rows("customers")]


async def test_a_new_customer_is_made_whole_by_one_call(bng: Played, sink_to: Callable[..., Sink]) -> None:
    effected = await sink_to(bng).apply("put_customer", KEY, put(WANTED), version=(1, 0), related=related(WANTED, ALIKE))
    assert ("unchanged", "C1001") == (effected.outcome.replace("found", "unchanged"), effected.external_id)
    assert ["POST customers"] == bng.sent("POST", "PATCH")
    assert [("C1001", "SHOP-7", "Müller")] == await customers(bng)


async def test_one_who_is_surely_the_same_gets_our_reference_and_what_is_wanted(bng: Played, sink_to: Callable[..., Sink]) -> None:
    await bng.control("POST", "customers", {"Email": "Zoe@shop.example", "LastName": "MULLER"})
    await sink_to(bng).apply("put_customer", KEY, put(WANTED), version=(1, 0), related=related(WANTED, ALIKE))
    assert ["PATCH customers/C1001", "PATCH customers/C1001"] == bng.sent("POST", "PATCH")
    assert [("C1001", "SHOP-7", "Müller")] == await customers(bng)


async def test_one_who_may_be_the_same_is_asked_about_and_then_taken_or_not(bng: Played, sink_to: Callable[..., Sink]) -> None:
    await bng.control("POST", "customers", {"Email": "zoe@shop.example", "FirstName": "Bob", "LastName": "Stone"})
    sink = sink_to(bng)
    with pytest.raises(DataError) as caught:
        await sink.apply("put_customer", KEY, put(WANTED), version=(1, 0), related=related(WANTED, ALIKE))
    assert (DUPLICATE, "C1001", []) == (caught.value.field, caught.value.value, bng.sent("POST", "PATCH"))
    other = "shop/customer/8"
    wanted = {**WANTED, "ExternalID": "SHOP-8"}
    await sink.apply("put_customer", KEY, put(WANTED), version=(2, 0), related=related(WANTED, "C1001"))
    await sink.apply("put_customer", other, put(wanted, key=other), version=(2, 0), related=related(wanted, None, other))
    assert [("C1001", "SHOP-7", "Müller"), ("C1002", "SHOP-8", "Müller")] == await customers(bng)


async def test_one_who_was_deleted_at_bng_is_made_again(bng: Played, sink_to: Callable[..., Sink]) -> None:
    sink = sink_to(bng)
    await sink.apply("put_customer", KEY, put(WANTED), version=(1, 0), related=related(WANTED, ALIKE))
    await bng.control("DELETE", "customers/C1001")
    changed = {**WANTED, "LastName": "Meier"}
    await sink.apply("put_customer", KEY, put(changed, WANTED), version=(2, 0), related=related(changed, ALIKE))
    assert [("C1002", "SHOP-7", "Meier")] == await customers(bng)


@pytest.mark.parametrize("how", ["lost", "late", "unsent"])
@pytest.mark.parametrize("call", ["POST customers", "PATCH customers"])
async def test_an_answer_that_is_lost_makes_no_second_customer_and_loses_no_change(
    bng: Played, sink_to: Callable[..., Sink], call: str, how: str
) -> None:
    sink = sink_to(bng)
    bng.cut(call, how)
    await sink.insist("put_customer", KEY, put(WANTED), version=(1, 0), related=related(WANTED, ALIKE))
    changed = {**WANTED, "LastName": "Meier"}
    await sink.insist("put_customer", KEY, put(changed, WANTED), version=(2, 0), related=related(changed, ALIKE))
    assert [("C1001", "SHOP-7", "Meier")] == await customers(bng)


# --- at the shop

AT_SHOP = {"Address1": "Hauptstraße 5", "Address2": "Hof 2", "City": "Berlin", "State": "", "Zip": "10115", "Country": "DE"}
OF_ERP = {
    "Reference": "erp/customer/C1",
    "Email": "ann@shop.example",
    "FirstName": "Ann",
    "LastName": "Lee",
    "Company": "",
    "BillingAddress": AT_SHOP,
}
ERP_KEY = "erp/customer/C1"


async def at_shop(shop: Played) -> dict[str, Any]:
    """The shop's one customer with that e-mail address, with its attributes and addresses."""
    [row] = [row for row in await shop.rows("customers") if row["email"] == "ann@shop.example"]
    own = {one["key"]: one["value"] for one in await shop.rows("generic_attributes") if one["entity_id"] == row["id"]}
    places = {one["id"]: one for one in await shop.rows("addresses")}
    return {**row, **own, "billing": places.get(row["billing_address_id"]), "shipping": places.get(row["shipping_address_id"])}


async def put_at_shop(sink: Sink, wanted: Any, expected: Any = None, *, version: int = 1, match: object = ALIKE) -> str:  # noqa: ANN401 - documents
    document = put(wanted, expected, ERP_KEY)
    return (await sink.insist("put_customer", ERP_KEY, document, version=(version, 0), related=related(wanted, match, ERP_KEY))).external_id


async def test_a_customer_of_the_erp_is_made_at_the_shop_and_registered(shop: Played, sink: Sink) -> None:
    number = await put_at_shop(sink, OF_ERP)
    made = await at_shop(shop)
    assert (number, "Ann", "Lee", "erp/customer/C1") == (str(made["id"]), made["FirstName"], made["LastName"], made["admin_comment"])
    assert ("Hauptstraße 5", "Hof 2", 82) == (made["billing"]["address1"], made["billing"]["address2"], made["billing"]["country_id"])
    assert "POST CustomerRole/AddCustomerRoleMapping" in shop.sent("POST")


async def test_what_is_wanted_again_is_not_written_again(shop: Played, sink: Sink) -> None:
    await put_at_shop(sink, OF_ERP)
    shop.calls.clear()
    await put_at_shop(sink, OF_ERP, OF_ERP, version=2)
    assert [] == shop.sent("POST", "PUT", "GET Customer/InsertCustomerAddress")


async def test_each_field_is_changed_by_its_own_call(shop: Played, sink: Sink) -> None:
    await put_at_shop(sink, OF_ERP)
    shop.calls.clear()
    changed = {**OF_ERP, "LastName": "Low", "BillingAddress": {**AT_SHOP, "Zip": "10117"}}
    await put_at_shop(sink, changed, OF_ERP, version=2)
    assert ["PUT GenericAttribute/Update", "PUT Address/Update"] == shop.sent("POST", "PUT")
    made = await at_shop(shop)
    assert ("Low", "10117") == (made["LastName"], made["billing"]["zip_postal_code"])


async def test_addresses_that_were_one_part_where_only_one_changes(shop: Played, sink: Sink) -> None:
    customer = (await shop.control("POST", "customers", {"email": "ann@shop.example", "address": {"city": "Berlin"}}))["customer"]
    assert customer["billing_address_id"] == customer["shipping_address_id"]
    away = {**AT_SHOP, "City": "Potsdam", "Zip": "14467"}
    await put_at_shop(sink, {**OF_ERP, "ShippingAddress": away}, match={"Confidence": 0})
    made = await at_shop(shop)
    assert ("Berlin", "Potsdam") == (made["billing"]["city"], made["shipping"]["city"])


async def test_a_country_that_the_shop_does_not_have_is_refused_by_name(sink: Sink) -> None:
    with pytest.raises(DataError) as caught:
        await put_at_shop(sink, {**OF_ERP, "BillingAddress": {**AT_SHOP, "Country": "XX"}})
    assert "BillingAddress.Country" == caught.value.field


async def test_a_stranger_with_the_same_e_mail_address_is_asked_about_and_a_new_one_made_where_somebody_says_so(shop: Played, sink: Sink) -> None:
    there = {"email": "ann@shop.example", "attributes": {"FirstName": "Bob", "LastName": "Stone"}}
    stranger = (await shop.control("POST", "customers", there))["customer"]["id"]
    with pytest.raises(DataError) as caught:
        await put_at_shop(sink, OF_ERP)
    assert (DUPLICATE, str(stranger)) == (caught.value.field, caught.value.value)
    assert str(stranger) != await put_at_shop(sink, OF_ERP, version=2, match=None)


async def test_an_e_mail_address_in_capitals_is_the_same_address(shop: Played, sink: Sink) -> None:
    there = {"email": "ann@shop.example", "attributes": {"FirstName": "Ann", "LastName": "Lee"}}
    number = (await shop.control("POST", "customers", there))["customer"]["id"]
    assert str(number) == await put_at_shop(sink, {**OF_ERP, "Email": "Ann@Shop.example"})


async def test_the_shops_own_customer_is_known_by_its_number(shop: Played, sink: Sink) -> None:
    number = str((await shop.control("POST", "customers", {"email": "ann@shop.example"}))["customer"]["id"])
    key, wanted = f"shop/customer/{number}", {name: value for name, value in OF_ERP.items() if name != "Reference"}
    effected = await sink.insist(
        "put_customer", key, put(wanted, key=key), version=(1, 0), related={f"customer {key}": json.dumps({"Match": number})}
    )
    assert number == effected.external_id
    assert None is (await at_shop(shop))["admin_comment"]


async def test_a_guest_of_the_shop_stays_one(shop: Played, sink: Sink) -> None:
    number = (await shop.control("POST", "customers", {"email": "ann@shop.example"}))["customer"]["id"]
    await shop.control("POST", f"customers/{number}", {"customer": {"email": None}})
    shop.calls.clear()
    key = f"shop/customer/{number}"
    effected = await sink.insist(
        "put_customer", key, put(OF_ERP, key=key), version=(1, 0), related={f"customer {key}": json.dumps({"Match": str(number)})}
    )
    assert ("unchanged", []) == (effected.outcome.replace("found", "unchanged"), shop.sent("POST", "PUT"))
    assert effected.reason


WRITES = [
    "POST Customer/Create",
    "POST CustomerRole",
    "POST GenericAttribute",
    "POST Address",
    "GET Customer/InsertCustomerAddress",
    "PUT Customer/Update",
]


@pytest.mark.parametrize("how", ["lost", "late", "unsent"])
@pytest.mark.parametrize("call", WRITES)
async def test_an_answer_that_the_shop_loses_makes_no_second_customer(shop: Played, sink: Sink, call: str, how: str) -> None:
    shop.cut(call, how)
    await put_at_shop(sink, OF_ERP)
    made = await at_shop(shop)
    assert ("Ann", "Lee", "Berlin") == (made["FirstName"], made["LastName"], made["billing"]["city"])
