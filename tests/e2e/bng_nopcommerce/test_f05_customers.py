from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.testing.played import Played, Row
from towpath.testing.waiting import until

BERLIN = {"address1": "Hauptstraße 5", "address2": "Hof 2", "city": "Berlin", "zip_postal_code": "10115", "country_id": 82}
AT_ERP = {"Street": "Hauptstraße 5, Hof 2", "City": "Berlin", "State": None, "Zip": "10115", "Country": "DE"}
ZOE = {"FirstName": "Zoë", "LastName": "Müller"}


async def register(pair: Played, email: str, attributes: Mapping[str, str] | None = None, **address: object) -> int:
    """Let a customer register at the shop, and return the number."""
    body = {"email": email, "address": {**BERLIN, **address}, "attributes": {**ZOE, **(attributes or {})}}
    return int((await pair.shop("POST", "customers", body))["customer"]["id"])


async def at_erp(pair: Played, email: str, **having: Any) -> Row:  # noqa: ANN401 - values of any field
    """Return BNG's one customer with this e-mail address, once it has these values."""
    return await pair.one(ERP, "customers", Email=email, **having)


async def at_shop(pair: Played, email: str) -> Row:
    """Return the shop's one customer with this e-mail address."""
    return await pair.one(SHOP, "customers", email=email)


async def attributes(pair: Played, customer: int) -> dict[str, str]:
    return {row["key"]: row["value"] for row in await pair.rows(SHOP, "generic_attributes", entity_id=customer)}


async def joined(pair: Played, email: str, attributes: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Return the ids of a customer at the shop and at BNG, once both are known to be one."""
    shop = await register(pair, email, attributes)
    erp = (await at_erp(pair, email, ExternalID=f"SHOP-{shop}"))["CustomerID"]
    await settle(pair.stack)
    return shop, erp


async def written(pair: Played, since: tuple[int, int] = (0, 0)) -> list[tuple[str, str, object]]:
    """Return what the API of either system was asked to change since these rows of the journals."""
    found = []
    for name, after, base in ((SHOP, since[0], "/api-backend"), (ERP, since[1], "/api/v1")):
        for call in (await pair.ask(name, "GET", f"journal?limit=100000&after={after}"))["items"]:
            is_write = call["method"] != "GET" or "/InsertCustomerAddress/" in call["path"]
            if is_write and "customer" in call["path"].casefold() + str(call["body"]).casefold() and "GetToken" not in call["path"]:
                found.append((call["method"], call["path"].removeprefix(base), call["body"]))
    return found


async def now(pair: Played) -> tuple[int, int]:
    """Return the last rows of both journals."""
    places = []
    for name in (SHOP, ERP):
        items: list[Any] = (await pair.ask(name, "GET", "journal?limit=1000000"))["items"]
        places.append(items[-1]["seq"] if items else 0)
    return places[0], places[1]


async def test_f05_a_registration_at_the_shop_is_a_customer_at_bng_once(pair: Played) -> None:
    shop = await register(pair, "f05-new@shop.example", {"Company": "Oak Ltd", "Customer Type": "Wholesale"})
    erp = await at_erp(pair, "f05-new@shop.example")
    await settle(pair.stack)
    assert [erp["CustomerID"]] == [row["CustomerID"] for row in await pair.rows(ERP, "customers", Email="f05-new@shop.example")]
    assert (erp["ExternalID"], erp["FirstName"], erp["LastName"], erp["CompanyName"]) == (f"SHOP-{shop}", "Zoë", "Müller", "Oak Ltd")
    assert (erp["BillingAddress"] | {"State": None}, erp["CustomFields"]) == (AT_ERP, {"Customer Type": "Wholesale"})
    assert await pair.letters(f"{SHOP}/customer/{shop}") == []


async def test_f05_a_customer_of_bng_is_made_at_the_shop_once_and_both_know_the_other(pair: Played) -> None:
    body = {
        "Email": "f05-erp@shop.example",
        "FirstName": "Ann",
        "LastName": "Lee",
        "CompanyName": "Lee & Co",
        "BillingAddress": {**AT_ERP, "Zip": "10117"},
    }
    erp = (await pair.erp("POST", "customers", body))["CustomerID"]
    shop = await at_shop(pair, "f05-erp@shop.example")
    assert (await at_erp(pair, "f05-erp@shop.example", ExternalID=f"SHOP-{shop['id']}"))["CustomerID"] == erp
    await settle(pair.stack)
    shop = await at_shop(pair, "f05-erp@shop.example")
    assert (await attributes(pair, shop["id"])) | {"Customer Type": ""} == {
        "FirstName": "Ann",
        "LastName": "Lee",
        "Company": "Lee & Co",
        "Customer Type": "",
    }
    address = await pair.row(SHOP, "addresses", id=shop["billing_address_id"])
    assert {name: address[name] for name in BERLIN} == {**BERLIN, "zip_postal_code": "10117"}
    assert f"{ERP}/customer/{erp}" in shop["admin_comment"].splitlines()


async def test_f05_a_change_goes_to_the_other_side_and_does_not_come_back(pair: Played) -> None:
    shop, erp = await joined(pair, "f05-both@shop.example")
    begin = await now(pair)
    await pair.shop("POST", f"customers/{shop}", {"attributes": {"LastName": "Meier"}, "address": {"address1": "Nebenstraße 6"}})
    await at_erp(pair, "f05-both@shop.example", LastName="Meier")
    await settle(pair.stack)
    assert [(method, path) for method, path, _ in await written(pair, begin)] == [("PATCH", f"/customers/{erp}")]
    assert (await at_erp(pair, "f05-both@shop.example"))["BillingAddress"]["Street"] == "Nebenstraße 6, Hof 2"
    begin = await now(pair)
    await pair.erp("PATCH", f"customers/{erp}", {"FirstName": "Zoe"})
    await pair.becomes(lambda: attribute(pair, shop, "FirstName"), "Zoe")
    await settle(pair.stack)
    assert [(method, path) for method, path, _ in await written(pair, begin)] == [("PUT", "/GenericAttribute/Update")]


async def attribute(pair: Played, customer: int, name: str) -> str | None:
    return (await attributes(pair, customer)).get(name)


async def test_f05_what_changes_on_both_sides_within_a_second_is_equal_after_at_most_two_writes(pair: Played) -> None:
    people = [await joined(pair, f"f05-second-{number}@shop.example", {"Company": "Oak Ltd"}) for number in range(3)]
    begin = await now(pair)
    for shop, erp in people:
        await asyncio.gather(
            pair.shop("POST", f"customers/{shop}", {"attributes": {"LastName": "Shop", "Company": "Of the shop"}}),
            pair.erp("PATCH", f"customers/{erp}", {"LastName": "Erp", "CompanyName": "Of the ERP"}),
        )
    await settle(pair.stack)
    for number, (shop, _) in enumerate(people):
        erp_now, shop_now = await at_erp(pair, f"f05-second-{number}@shop.example"), await attributes(pair, shop)
        assert (erp_now["LastName"], erp_now["CompanyName"]) == ("Shop", "Of the ERP")  # by the master of each field
        assert (shop_now["LastName"], shop_now["Company"]) == ("Shop", "Of the ERP")
    writes = await written(pair, begin)
    assert len(writes) <= 2 * len(people), writes


async def test_f05_a_customer_with_an_impossible_address_is_quarantined_with_the_field_until_it_is_corrected(pair: Played) -> None:
    shop = await register(pair, "f05-bad@shop.example", zip_postal_code="1011")
    letter = await pair.letter(f"{SHOP}/customer/{shop}")
    assert (letter["state"], letter["hop"], letter["field"]) == ("dead", "processor", "billing_address.postcode")
    await pair.shop("POST", f"customers/{shop}", {"address": {"zip_postal_code": "10115"}, "customer": {"email": "f05 bad"}})
    letter = await pair.letter(f"{SHOP}/customer/{shop}", field="email")
    await pair.shop("POST", f"customers/{shop}", {"customer": {"email": "f05-good@shop.example"}})
    await at_erp(pair, "f05-good@shop.example", ExternalID=f"SHOP-{shop}")
    await settle(pair.stack)
    assert await pair.letters(f"{SHOP}/customer/{shop}") == []


async def test_f05_one_who_is_there_already_is_merged_where_that_is_certain(pair: Played) -> None:
    body = {"Email": "f05-known@shop.example", "FirstName": "ZOE", "LastName": "MULLER", "ExternalID": "CRM-55"}
    async with pair.faults(SHOP, unavailable=1):  # BNG's own customer is not known at the shop yet
        erp = (await pair.erp("POST", "customers", body))["CustomerID"]
        shop = await register(pair, "f05-known@shop.example")

    async def last_names() -> set[str]:  # whose words stand is decided by which of them is told first
        return {(await attributes(pair, shop))["LastName"], (await pair.row(ERP, "customers", CustomerID=erp))["LastName"]}

    async def are_one() -> bool:
        return len(await last_names()) == 1

    await until(are_one, what="one name on both sides")
    await settle(pair.stack)
    assert await last_names() in ({"Müller"}, {"MULLER"})
    rows = [row for row in await pair.rows(ERP, "customers") if row["Email"].casefold() == "f05-known@shop.example"]
    assert [(row["CustomerID"], row["ExternalID"]) for row in rows] == [(erp, "CRM-55")]
    assert len(await pair.rows(SHOP, "customers", email="f05-known@shop.example")) == 1
    assert (await pair.rows(SHOP, "customers", id=shop))[0]["email"] == "f05-known@shop.example"


async def question(pair: Played, connection: str, key: str) -> Row:
    """Return what is asked of a customer at a connection, once it is."""
    found: list[Row] = []

    async def is_asked() -> bool:
        lines = (await pair.command("review", "list", "--json")).splitlines()
        found[:] = [one for one in map(json.loads, lines) if (one["connection"], one["business_key"]) == (connection, key)]
        return bool(found)

    await until(is_asked, what=f"a question about {key} at {connection}")
    return found[-1]


async def strangers(pair: Played, email: str) -> tuple[int, str]:
    """Return the ids of two at the shop and at BNG who share an e-mail address and no name, before either side was told of the other's."""
    async with pair.faults(SHOP, unavailable=1):
        erp = (await pair.erp("POST", "customers", {"Email": email, "FirstName": "Bob", "LastName": "Stone"}))["CustomerID"]
        shop = await register(pair, email)
    return shop, erp


async def test_f05_one_who_may_be_there_already_is_asked_about_and_merged_where_somebody_says_so(pair: Played) -> None:
    shop, erp = await strangers(pair, "f05-asked@shop.example")
    at_bng = await question(pair, ERP, f"{SHOP}/customer/{shop}")
    assert at_bng["candidates"] == [erp]
    at_the_shop = await question(pair, SHOP, f"{ERP}/customer/{erp}")
    assert at_the_shop["candidates"] == [str(shop)]
    said = await pair.command("review", "merge", at_bng["dead_letter_id"], "--reason", "they told us")
    assert f"answered by it: {ERP}/customer/{erp} at {SHOP}, may be {shop}" in said
    assert (await at_erp(pair, "f05-asked@shop.example", ExternalID=f"SHOP-{shop}", LastName="Müller"))["CustomerID"] == erp
    await settle(pair.stack)
    assert (await attributes(pair, shop))["LastName"] == "Müller"
    assert len(await pair.rows(SHOP, "customers", email="f05-asked@shop.example")) == 1
    assert [await pair.letters(key) for key in (f"{SHOP}/customer/{shop}", f"{ERP}/customer/{erp}")] == [[], []]
    assert "into" in await pair.command("trace", f"{SHOP}/customer/{shop}", "--json")


async def test_f05_one_who_is_another_is_made_anew_where_somebody_says_so(pair: Played) -> None:
    shop, erp = await strangers(pair, "f05-other@shop.example")
    asked = await question(pair, ERP, f"{SHOP}/customer/{shop}")
    await pair.command("review", "reject", asked["dead_letter_id"])
    made = await pair.one(ERP, "customers", ExternalID=f"SHOP-{shop}")
    assert (made["CustomerID"] != erp, made["LastName"]) == (True, "Müller")
    assert (await pair.row(ERP, "customers", CustomerID=erp))["LastName"] == "Stone"


async def test_f05_systems_that_throttle_are_down_or_lose_their_answers_have_each_customer_once(pair: Played) -> None:
    faulty: dict[str, float] = {"unavailable": 0.2, "response_lost": 0.2, "seed": 5}
    async with pair.faults(ERP, throttle=0.2, **faulty), pair.faults(SHOP, **faulty):
        shops = [await register(pair, f"f05-hard-{number}@shop.example") for number in range(2)]
        erp = (await pair.erp("POST", "customers", {"Email": "f05-hard-erp@shop.example", "FirstName": "Ann", "LastName": "Lee"}))["CustomerID"]
        for number, shop in enumerate(shops):
            await pair.one(ERP, "customers", seconds=60, Email=f"f05-hard-{number}@shop.example", ExternalID=f"SHOP-{shop}", LastName="Müller")
        made = await pair.one(SHOP, "customers", seconds=60, email="f05-hard-erp@shop.example")
    await settle(pair.stack)
    rows = await pair.rows(ERP, "customers")
    assert [1] * 2 == [sum(row["ExternalID"] == f"SHOP-{shop}" for row in rows) for shop in shops]
    assert [[]] * 3 == [await pair.letters(key) for key in (f"{ERP}/customer/{erp}", *(f"{SHOP}/customer/{shop}" for shop in shops))]
    assert "Lee" == await attribute(pair, made["id"], "LastName")
