"""F-11: customers of NopCommerce and contacts of Brightpearl, which are polled, both ways."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.e2e.brightpearl_nopcommerce.playing import PATIENCE, Pair, Row
from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.testing.waiting import until

BERLIN = {"address1": "Hauptstraße 5", "address2": "Hof 2", "city": "Berlin", "zip_postal_code": "10115", "country_id": 82}
AT_ERP = {"addressLine1": "Hauptstraße 5", "addressLine2": "Hof 2", "addressLine3": "Berlin", "postalCode": "10115", "countryIsoCode": "DEU"}
POLLS = 3


async def contacts(pair: Pair, email: str) -> list[Row]:
    rows = await pair.rows(ERP, "contacts")
    return [row for row in rows if row["communication"]["emails"].get("PRI", {}).get("email") == email]


async def contact(pair: Pair, email: str, **having: Any) -> Row:  # noqa: ANN401 - values of any field
    """Return Brightpearl's one contact with this e-mail address, once it has these values."""

    async def is_so() -> bool:
        return any(having.items() <= row.items() for row in await contacts(pair, email))

    await until(is_so, seconds=PATIENCE, what=f"a contact {email} with {having}")
    (found,) = await contacts(pair, email)
    return found


async def register(pair: Pair, email: str, **address: object) -> int:
    body = {"email": email, "address": {**BERLIN, **address}, "attributes": {"FirstName": "Zoë", "LastName": "Müller"}}
    return int((await pair.shop("POST", "customers", body))["customer"]["id"])


async def name_at_shop(pair: Pair, customer: int, name: str = "LastName") -> str | None:
    return next((row["value"] for row in await pair.rows(SHOP, "generic_attributes", entity_id=customer, key=name)), None)


async def polled(pair: Pair) -> None:
    """Return once the contacts were read some times more, and all that came of it is done."""

    async def reads() -> int:
        return len(await pair.calls(ERP, "GET", "/contact-search"))

    before = await reads()

    async def has_read() -> bool:
        return await reads() >= before + POLLS

    await until(has_read, seconds=PATIENCE, what="the contacts are polled")
    await settle(pair.stack)


async def writes(pair: Pair) -> int:
    """Return how often the API of either system was asked to change a customer."""
    found = 0
    for name in (SHOP, ERP):
        calls = (await pair.ask(name, "GET", "journal?limit=1000000"))["items"]
        paths = [call["path"] for call in calls if call["method"] in {"POST", "PUT", "PATCH"}]
        found += sum(any(part in path for part in ("/Customer/", "/Address/", "/GenericAttribute/", "/contact-service/")) for path in paths)
    return found


async def test_f11_a_registration_at_the_shop_is_a_contact_once_and_is_not_echoed(pair: Pair) -> None:
    await register(pair, "f11-new@shop.example")
    made = await contact(pair, "f11-new@shop.example", firstName="Zoë", lastName="Müller")
    address = await pair.row(ERP, "addresses", addressId=made["postAddressIds"]["BIL"])
    assert {name: address[name] for name in AT_ERP} == AT_ERP
    await polled(pair)
    before = await writes(pair)
    await polled(pair)
    assert (len(await contacts(pair, "f11-new@shop.example")), await writes(pair)) == (1, before)


async def test_f11_a_contact_becomes_a_customer_of_the_shop_once(pair: Pair) -> None:
    body = {"firstName": "Ann", "lastName": "Lee", "communication": {"emails": {"PRI": {"email": "f11-erp@shop.example"}}}}
    await pair.erp("PUT", "contacts/291", body)
    made = await pair.one(SHOP, "customers", seconds=PATIENCE, email="f11-erp@shop.example")
    await pair.becomes(lambda: name_at_shop(pair, made["id"]), "Lee", seconds=PATIENCE)
    await polled(pair)
    assert [len(await pair.rows(SHOP, "customers", email="f11-erp@shop.example")), len(await contacts(pair, "f11-erp@shop.example"))] == [1, 1]


async def test_f11_a_change_goes_to_the_other_side_and_what_changes_on_both_is_equal_after_at_most_two_writes(pair: Pair) -> None:
    shop = await register(pair, "f11-both@shop.example")
    number = (await contact(pair, "f11-both@shop.example", lastName="Müller"))["contactId"]
    await polled(pair)
    await pair.shop("POST", f"customers/{shop}", {"attributes": {"LastName": "Meier"}})
    await contact(pair, "f11-both@shop.example", lastName="Meier")
    await pair.erp("PUT", f"contacts/{number}", {"firstName": "Zoe"})
    await pair.becomes(lambda: name_at_shop(pair, shop, "FirstName"), "Zoe", seconds=PATIENCE)
    await polled(pair)
    before = await writes(pair)
    await asyncio.gather(
        pair.shop("POST", f"customers/{shop}", {"attributes": {"LastName": "Shop"}}),
        pair.erp("PUT", f"contacts/{number}", {"lastName": "Erp"}),
    )
    await polled(pair)
    assert (await contact(pair, "f11-both@shop.example"))["lastName"] == await name_at_shop(pair, shop)
    assert await writes(pair) <= before + 2


async def test_f11_a_customer_with_an_impossible_address_is_quarantined_until_it_is_corrected(pair: Pair) -> None:
    shop = await register(pair, "f11-bad@shop.example", zip_postal_code="1")
    letter = await pair.letter(f"{SHOP}/customer/{shop}", seconds=PATIENCE)
    assert (letter["state"], letter["hop"], letter["field"]) == ("dead", "processor", "billing_address.postcode")
    await pair.shop("POST", f"customers/{shop}", {"address": {"zip_postal_code": "10115"}})
    await contact(pair, "f11-bad@shop.example")
    await settle(pair.stack)
    assert await pair.letters(f"{SHOP}/customer/{shop}") == []


async def there_before(pair: Pair, number: int, email: str, first: str, last: str) -> int:
    """Enter a contact at Brightpearl and one of the same e-mail address at the shop, before either was told of the other; return the shop's id."""
    async with pair.faults(SHOP, unavailable=1):
        body = {"firstName": first, "lastName": last, "communication": {"emails": {"PRI": {"email": email}}}}
        await pair.erp("PUT", f"contacts/{number}", body)
        return await register(pair, email)


async def test_f11_one_who_is_there_already_is_merged_where_that_is_certain(pair: Pair) -> None:
    shop = await there_before(pair, 292, "f11-known@shop.example", "ZOE", "MULLER")

    async def last_names() -> set[str | None]:  # whose words stand is decided by which of them is told first
        return {await name_at_shop(pair, shop), *(row["lastName"] for row in await contacts(pair, "f11-known@shop.example"))}

    async def are_one() -> bool:
        return len(await last_names()) == 1

    await until(are_one, seconds=PATIENCE, what="one name on both sides")
    await polled(pair)
    assert await last_names() in ({"Müller"}, {"MULLER"})
    assert [292] == [row["contactId"] for row in await contacts(pair, "f11-known@shop.example")]
    assert [shop] == [row["id"] for row in await pair.rows(SHOP, "customers", email="f11-known@shop.example")]


async def test_f11_one_who_may_be_there_already_is_asked_about_and_merged_where_somebody_says_so(pair: Pair) -> None:
    shop = await there_before(pair, 293, "f11-asked@shop.example", "Bob", "Stone")
    asked: list[Row] = []

    async def is_asked() -> bool:
        lines = (await pair.command("review", "list", "--json")).splitlines()
        asked[:] = [one for one in map(json.loads, lines) if (one["connection"], one["business_key"]) == (ERP, f"{SHOP}/customer/{shop}")]
        return bool(asked)

    await until(is_asked, seconds=PATIENCE, what="a question about the customer at Brightpearl")
    assert ["293"] == asked[-1]["candidates"]
    await pair.command("review", "merge", asked[-1]["dead_letter_id"], "--reason", "they told us")
    await contact(pair, "f11-asked@shop.example", lastName="Müller")
    await polled(pair)
    assert [293] == [row["contactId"] for row in await contacts(pair, "f11-asked@shop.example")]
    assert [] == await pair.letters(f"{SHOP}/customer/{shop}")


async def test_f11_systems_that_throttle_are_down_or_lose_their_answers_have_each_customer_once(pair: Pair) -> None:
    faulty: dict[str, float] = {"unavailable": 0.2, "response_lost": 0.2, "seed": 11}
    async with pair.faults(ERP, throttle=0.2, **faulty), pair.faults(SHOP, **faulty):
        shops = [await register(pair, f"f11-hard-{number}@shop.example") for number in range(2)]
        for number in range(2):
            await contact(pair, f"f11-hard-{number}@shop.example", lastName="Müller")
    await polled(pair)
    assert [1, 1] == [len(await contacts(pair, f"f11-hard-{number}@shop.example")) for number in range(2)]
    assert [[], []] == [await pair.letters(f"{SHOP}/customer/{shop}") for shop in shops]
