"""Customers at Magento over HTTP: found or made by e-mail address, saved whole, and never with an address lost."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.unit.sinks.conftest import Played, Sink
from towpath.delivery.reviewing import DUPLICATE
from towpath.errors import DataError

KEY = "erp/customer/C1"
HOME = {"Lines": ["12 Oak Ave", "Apt 4"], "City": "Purchase", "State": "New York", "Zip": "10577", "Country": "US"}
AWAY = {"Lines": ["Hauptstraße 5"], "City": "Berlin", "State": "", "Zip": "10115", "Country": "DE"}
ANN = {
    "Email": "ann@shop.example",
    "FirstName": "Ann",
    "LastName": "Lee",
    "Company": "Oak Ltd",
    "GroupID": 2,
    "BillingAddress": HOME,
    "Telephone": "000",
}
ALIKE = {"Confidence": 0.8}


@pytest.fixture
async def shop(play: Callable[[str], Awaitable[Played]]) -> Played:
    return await play("magento")


@pytest.fixture
def sink(shop: Played, sink_to: Callable[..., Sink]) -> Sink:
    return sink_to(shop)


async def put(sink: Sink, wanted: Any, expected: Any = None, *, version: int = 1, match: object = ALIKE) -> str:  # noqa: ANN401 - documents
    document = {"Customer": {"$ref": "customer", "key": KEY}, "Wanted": wanted, "Expected": expected, "Fills": False}
    related = {f"customer {KEY}": json.dumps({**wanted, "Match": match})}
    return (await sink.insist("put_customer", KEY, document, version=(version, 0), related=related)).external_id


async def one(shop: Played) -> dict[str, Any]:
    [row] = [row for row in await shop.rows("customers") if row["email"].casefold() == "ann@shop.example"]
    return dict(row)


async def registered(shop: Played, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    number = (await shop.control("POST", "customers", {"email": "ann@shop.example"}))["customer"]["id"]
    customer: dict[str, Any] = (await shop.control("POST", f"customers/{number}", fields))["customer"]
    shop.calls.clear()
    return customer


def default(customer: dict[str, Any], kind: str) -> dict[str, Any]:
    [row] = [row for row in customer["addresses"] if row.get(kind)]
    assert customer[kind] == str(row["id"])
    return dict(row)


async def test_a_new_customer_is_made_whole_by_one_call(shop: Played, sink: Sink) -> None:
    number = await put(sink, ANN)
    made = await one(shop)
    assert ["POST customers"] == shop.sent("POST", "PUT")
    assert (number, "Ann", "Lee", 2) == (str(made["id"]), made["firstname"], made["lastname"], made["group_id"])
    address = default(made, "default_billing")
    assert (["12 Oak Ave", "Apt 4"], "NY", 43, "Oak Ltd", "000") == (
        address["street"],
        address["region"]["region_code"],
        address["region_id"],
        address["company"],
        address["telephone"],
    )


@pytest.mark.parametrize(("shipping", "rows"), [(HOME, 1), (AWAY, 2)])
async def test_two_addresses_are_one_row_where_they_are_one(shop: Played, sink: Sink, shipping: dict[str, Any], rows: int) -> None:
    await put(sink, {**ANN, "ShippingAddress": shipping})
    made = await one(shop)
    assert (rows, shipping["City"]) == (len(made["addresses"]), default(made, "default_shipping")["city"])
    shop.calls.clear()
    await put(sink, {**ANN, "ShippingAddress": shipping}, version=2)
    assert [] == shop.sent("POST", "PUT")


async def test_a_change_keeps_all_that_it_does_not_name(shop: Played, sink: Sink) -> None:
    other = {
        "id": 7,
        "firstname": "Bob",
        "lastname": "Lee",
        "street": ["1 Elm"],
        "city": "Rye",
        "telephone": "1",
        "country_id": "US",
        "postcode": "10580",
    }
    before = await registered(shop, firstname="Ann", lastname="Lee", custom_attributes=[{"attribute_code": "loyalty", "value": "gold"}])
    await shop.control("POST", f"customers/{before['id']}", {"addresses": [*before["addresses"], other]})
    await put(sink, {"Email": "ann@shop.example", "FirstName": "Anna", "LastName": "Lee"})
    after = await one(shop)
    assert ("Anna", [{"attribute_code": "loyalty", "value": "gold"}]) == (after["firstname"], after["custom_attributes"])
    assert [row["id"] for row in before["addresses"]] + [7] == [row["id"] for row in after["addresses"]]
    assert before["addresses"][0]["street"] == default(after, "default_billing")["street"]


async def test_defaults_that_were_one_row_part_where_only_one_changes(shop: Played, sink: Sink) -> None:
    await put(sink, {**ANN, "ShippingAddress": HOME})
    await put(sink, {**ANN, "ShippingAddress": AWAY}, {**ANN, "ShippingAddress": HOME}, version=2)
    after = await one(shop)
    assert ("Purchase", "Berlin", "Ann") == (
        default(after, "default_billing")["city"],
        default(after, "default_shipping")["city"],
        default(after, "default_shipping")["firstname"],
    )


async def test_a_row_that_both_defaults_are_moves_where_both_move(shop: Played, sink: Sink) -> None:
    await put(sink, {**ANN, "ShippingAddress": HOME})
    moved = {**ANN, "BillingAddress": AWAY, "ShippingAddress": AWAY}
    await put(sink, moved, {**ANN, "ShippingAddress": HOME}, version=2)
    after = await one(shop)
    assert (1, "Berlin") == (len(after["addresses"]), default(after, "default_billing")["city"])


async def test_what_changed_at_the_shop_meanwhile_is_left(shop: Played, sink: Sink) -> None:
    await put(sink, ANN)
    await shop.control("POST", f"customers/{(await one(shop))['id']}", {"lastname": "Low"})
    shop.calls.clear()
    await put(sink, {**ANN, "LastName": "Long"}, ANN, version=2)
    assert [] == shop.sent("PUT")


async def test_one_who_may_be_the_same_is_asked_about(shop: Played, sink: Sink) -> None:
    there = await registered(shop, firstname="Bob", lastname="Stone")
    with pytest.raises(DataError) as caught:
        await put(sink, ANN)
    assert (DUPLICATE, str(there["id"]), []) == (caught.value.field, caught.value.value, shop.sent("POST", "PUT"))
    assert str(there["id"]) == await put(sink, ANN, version=2, match=str(there["id"]))
    assert "Ann" == (await one(shop))["firstname"]


async def test_a_country_that_the_shop_does_not_have_is_refused_by_name(sink: Sink) -> None:
    with pytest.raises(DataError) as caught:
        await put(sink, {**ANN, "BillingAddress": {**AWAY, "Country": "XX"}})
    assert "BillingAddress.Country" == caught.value.field


async def test_a_company_without_an_address_is_nowhere_and_written_once(shop: Played, sink: Sink) -> None:
    await put(sink, {"Email": "ann@shop.example", "FirstName": "Ann", "LastName": "Lee", "Company": "Oak Ltd"})
    assert ["POST customers"] == shop.sent("POST", "PUT")


@pytest.mark.parametrize("how", ["lost", "late", "unsent"])
@pytest.mark.parametrize("call", ["POST customers", "PUT customers"])
async def test_an_answer_that_is_lost_makes_no_second_customer_and_loses_no_change(shop: Played, sink: Sink, call: str, how: str) -> None:
    shop.cut(call, how)
    await put(sink, ANN)
    await put(sink, {**ANN, "LastName": "Low"}, ANN, version=2)
    assert "Low" == (await one(shop))["lastname"]
