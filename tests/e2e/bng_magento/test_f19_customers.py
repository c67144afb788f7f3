"""F-19: customers of Magento and BNG, both ways, with the customer's group as its segment."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.testing.played_magento import PlayedMagento
from towpath.testing.waiting import until

Row = dict[str, Any]
PURCHASE = {"street": ["12 Oak Ave", "Apt 4", "Rear"], "city": "Purchase", "postcode": "10577", "country_id": "US", "company": "Oak Ltd"}
NEW_YORK = {"region": {"region_id": 43, "region_code": "NY", "region": "New York"}, "region_id": 43}
ZOE = {"firstname": "Zoë", "lastname": "Müller", "group_id": 2}


async def register(magento: PlayedMagento, email: str, **address: object) -> int:
    """Let a customer register at the shop, and return the number."""
    number = int((await magento.shop("POST", "customers", {"email": email, "address": {**PURCHASE, **NEW_YORK, **address}}))["customer"]["id"])
    await magento.shop("POST", f"customers/{number}", ZOE)
    return number


async def joined(magento: PlayedMagento, email: str) -> tuple[int, str]:
    """Return the ids of a customer at the shop and at BNG, once both are known to be one."""
    shop = await register(magento, email)
    erp = (await magento.one(ERP, "customers", Email=email, ExternalID=f"SHOP-{shop}", LastName="Müller"))["CustomerID"]
    await settle(magento.stack)
    return shop, erp


async def writes(magento: PlayedMagento, since: dict[str, int]) -> list[tuple[str, str]]:
    """Return what the API of either system was asked to change of customers since these rows of the journals."""
    found = []
    for name, after in since.items():
        calls = (await magento.ask(name, "GET", f"journal?limit=100000&after={after}"))["items"]
        found += [(call["method"], call["path"]) for call in calls if call["method"] != "GET" and "/customers" in call["path"]]
    return found


async def now(magento: PlayedMagento) -> dict[str, int]:
    journals = {name: (await magento.ask(name, "GET", "journal?limit=1000000"))["items"] for name in (SHOP, ERP)}
    return {name: items[-1]["seq"] if items else 0 for name, items in journals.items()}


async def test_f19_a_registration_at_the_shop_is_a_customer_at_bng_with_its_segment_and_the_usual_terms(magento: PlayedMagento) -> None:
    shop, erp = await joined(magento, "f19-new@shop.example")
    made = await magento.row(ERP, "customers", CustomerID=erp)
    assert (made["CompanyName"], made["PaymentTerms"], made["CustomFields"]) == ("Oak Ltd", "NET14", {"Customer Segment": "Wholesale"})
    assert made["BillingAddress"] == {"Street": "12 Oak Ave, Apt 4, Rear", "City": "Purchase", "State": "NY", "Zip": "10577", "Country": "US"}
    assert (await magento.row(SHOP, "customers", id=shop))["addresses"][0]["street"] == PURCHASE["street"]


async def test_f19_a_customer_of_bng_is_made_at_the_shop_once_in_the_group_of_its_segment(magento: PlayedMagento) -> None:
    address = {"Street": "Hauptstraße 5, Hof 2", "City": "Berlin", "Zip": "10115", "Country": "DE"}
    body = {"Email": "f19-erp@shop.example", "FirstName": "Ann", "LastName": "Lee", "CustomFields": {"Customer Segment": "Retailer"}}
    erp = (await magento.erp("POST", "customers", {**body, "BillingAddress": address}))["CustomerID"]
    shop = await magento.one(SHOP, "customers", email="f19-erp@shop.example")
    assert (shop["firstname"], shop["group_id"], shop["addresses"][0]["street"]) == ("Ann", 3, ["Hauptstraße 5", "Hof 2"])
    await magento.one(ERP, "customers", CustomerID=erp, ExternalID=f"SHOP-{shop['id']}")
    await settle(magento.stack)
    assert len(await magento.rows(SHOP, "customers", email="f19-erp@shop.example")) == 1
    assert len(await magento.rows(ERP, "customers", Email="f19-erp@shop.example")) == 1


async def test_f19_a_change_goes_to_the_other_side_and_does_not_come_back(magento: PlayedMagento) -> None:
    shop, erp = await joined(magento, "f19-both@shop.example")
    begin = await now(magento)
    await magento.shop("POST", f"customers/{shop}", {"group_id": 1, "address": {"city": "Rye", "postcode": "10580"}})
    changed = await magento.one(ERP, "customers", CustomerID=erp, CustomFields={"Customer Segment": "General"})
    assert (changed["BillingAddress"]["City"], changed["PaymentTerms"]) == ("Rye", "NET14")
    await settle(magento.stack)
    assert await writes(magento, begin) == [("PATCH", f"/api/v1/customers/{erp}")]
    begin = await now(magento)
    await magento.erp("PATCH", f"customers/{erp}", {"FirstName": "Zoe", "CustomFields": {"Customer Segment": "Retailer"}})
    await magento.one(SHOP, "customers", id=shop, firstname="Zoe", group_id=3)
    await settle(magento.stack)
    assert await writes(magento, begin) == [("PUT", f"/rest/V1/customers/{shop}")]


async def test_f19_what_changes_on_both_sides_within_a_second_is_equal_after_at_most_two_writes(magento: PlayedMagento) -> None:
    people = [await joined(magento, f"f19-second-{number}@shop.example") for number in range(2)]
    begin = await now(magento)
    for shop, erp in people:
        await asyncio.gather(
            magento.shop("POST", f"customers/{shop}", {"lastname": "Shop"}),
            magento.erp("PATCH", f"customers/{erp}", {"LastName": "Erp"}),
        )
    await settle(magento.stack)
    for shop, erp in people:
        names = (await magento.row(SHOP, "customers", id=shop))["lastname"], (await magento.row(ERP, "customers", CustomerID=erp))["LastName"]
        assert names in {("Shop", "Shop"), ("Erp", "Erp")}
    done = await writes(magento, begin)
    assert len(done) <= 2 * len(people), done


async def test_f19_a_group_that_means_nothing_and_a_bad_address_are_dead_letters_that_a_correction_resolves(magento: PlayedMagento) -> None:
    shop = await register(magento, "f19-bad@shop.example", postcode="1")
    letter = await magento.letter(f"{SHOP}/customer/{shop}", field="billing_address.postcode")
    assert (letter["state"], letter["hop"]) == ("dead", "processor")
    await magento.shop("POST", f"customers/{shop}", {"group_id": 9, "address": {"postcode": "10577"}})
    await magento.letter(f"{SHOP}/customer/{shop}", field="custom_fields.Customer Group")
    await magento.shop("POST", f"customers/{shop}", {"group_id": 2})
    await magento.one(ERP, "customers", ExternalID=f"SHOP-{shop}", CustomFields={"Customer Segment": "Wholesale"})
    await settle(magento.stack)
    assert await magento.letters(f"{SHOP}/customer/{shop}") == []


async def there_before(magento: PlayedMagento, email: str, first: str, last: str) -> tuple[int, str]:
    """Return the ids of one at the shop and one at BNG with one e-mail address, entered before either was told of the other."""
    async with magento.faults(SHOP, unavailable=1):
        erp = (await magento.erp("POST", "customers", {"Email": email, "FirstName": first, "LastName": last, "ExternalID": "CRM-19"}))["CustomerID"]
        return await register(magento, email), erp


async def test_f19_one_who_is_there_already_is_merged_where_that_is_certain(magento: PlayedMagento) -> None:
    shop, erp = await there_before(magento, "f19-known@shop.example", "ZOE", "MULLER")

    async def are_one() -> bool:  # whose words stand is decided by which of them is told first
        here, there = await magento.row(SHOP, "customers", id=shop), await magento.row(ERP, "customers", CustomerID=erp)
        return (here["firstname"], here["lastname"]) == (there["FirstName"], there["LastName"])

    await until(are_one, what="one name on both sides")
    await settle(magento.stack)
    assert await are_one()
    assert (await magento.row(ERP, "customers", CustomerID=erp))["LastName"] in {"Müller", "MULLER"}
    rows = [row for row in await magento.rows(ERP, "customers") if row["Email"].casefold() == "f19-known@shop.example"]
    assert [(erp, "CRM-19")] == [(row["CustomerID"], row["ExternalID"]) for row in rows]
    assert [shop] == [row["id"] for row in await magento.rows(SHOP, "customers", email="f19-known@shop.example")]


async def test_f19_one_who_may_be_there_already_is_asked_about_and_merged_where_somebody_says_so(magento: PlayedMagento) -> None:
    shop, erp = await there_before(magento, "f19-asked@shop.example", "Bob", "Stone")
    asked: list[Row] = []

    async def is_asked() -> bool:
        lines = (await magento.command("review", "list", "--json")).splitlines()
        asked[:] = [one for one in map(json.loads, lines) if (one["connection"], one["business_key"]) == (ERP, f"{SHOP}/customer/{shop}")]
        return bool(asked)

    await until(is_asked, what="a question about the customer at BNG")
    assert [erp] == asked[-1]["candidates"]
    await magento.command("review", "merge", asked[-1]["dead_letter_id"], "--reason", "they told us")
    await magento.one(ERP, "customers", CustomerID=erp, LastName="Müller")
    await settle(magento.stack)
    assert [shop] == [row["id"] for row in await magento.rows(SHOP, "customers", email="f19-asked@shop.example")]
    assert [] == await magento.letters(f"{SHOP}/customer/{shop}")


async def test_f19_systems_that_throttle_are_down_or_lose_their_answers_have_each_customer_once(magento: PlayedMagento) -> None:
    faulty: dict[str, float] = {"throttle": 0.2, "unavailable": 0.2, "response_lost": 0.2, "seed": 19}
    async with magento.faults(ERP, **faulty), magento.faults(SHOP, **faulty):
        shops = [await register(magento, f"f19-hard-{number}@shop.example") for number in range(2)]
        for number, shop in enumerate(shops):
            await magento.one(ERP, "customers", seconds=60, Email=f"f19-hard-{number}@shop.example", ExternalID=f"SHOP-{shop}", LastName="Müller")
    await settle(magento.stack)
    rows = await magento.rows(ERP, "customers")
    assert [1, 1] == [sum(row["ExternalID"] == f"SHOP-{shop}" for row in rows) for shop in shops]
    assert [[], []] == [await magento.letters(f"{SHOP}/customer/{shop}") for shop in shops]
