from __future__ import annotations

from decimal import Decimal

import pytest

from tests.e2e.brightpearl_nopcommerce.playing import Pair, is_simple
from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.sandbox.nopcommerce.bundle import Bundle
from towpath.testing.played import SKUS


async def test_f08_an_order_of_the_shop_is_one_reserved_order_at_brightpearl(pair: Pair) -> None:
    async with pair.faults(SHOP, webhook_duplicate=1):
        await pair.buy(1001)
        order = await pair.placed(1001, allocationStatusCode="AAA")
        await settle(pair.stack)
    shop_order = await pair.row(SHOP, "orders", id=1001)
    assert Decimal(str(shop_order["order_total"])) == Decimal(order["totalValue"]["total"])
    (contact,) = [row for row in await pair.rows(ERP, "contacts") if row["contactId"] == order["parties"]["customer"]["contactId"]]
    assert "@" in contact["communication"]["emails"]["PRI"]["email"]
    assert 1 == len(await pair.rows(ERP, "orders", reference="SHOP-1001"))


async def test_f08_an_order_of_which_answers_are_lost_is_one_order_with_one_contact_and_one_reservation(pair: Pair) -> None:
    async with pair.faults(ERP, response_lost=0.6, seed=3):
        await pair.buy(1011, is_simple)
        order = await pair.placed(1011, allocationStatusCode="AAA")
        await settle(pair.stack)
    assert 1 == len(await pair.rows(ERP, "orders", reference="SHOP-1011"))
    email = order["parties"]["customer"]["email"].casefold()
    emails = [row["communication"]["emails"].get("PRI", {}).get("email", "") for row in await pair.rows(ERP, "contacts")]
    assert 1 == [one.casefold() for one in emails].count(email)
    assert [] == await pair.letters(f"{SHOP}/order/1011")


async def test_f08_a_sku_that_brightpearl_does_not_know_is_a_row_of_free_text_that_a_person_is_told_to_review(pair: Pair) -> None:
    await pair.buy(1014, lambda bundle: len(bundle.items) > 1, bad=["unknown_sku"])
    order = await pair.placed(1014, allocationStatusCode="AAA")
    await settle(pair.stack)
    (row,) = [row for row in order["orderRows"].values() if row["productName"].startswith("GHOST-1014: ")]
    assert "productSku" not in row
    assert "placed as rows of free text: SKU GHOST-1014" in await pair.command("trace", f"{SHOP}/order/1014", "--json")


def has_no_mug(bundle: Bundle) -> bool:
    """Tell whether an order that stays where it is holds none of the stock that others count."""
    return not any(SKUS[product].startswith("MUG") for product in bundle.wanted)


BAD = {"bad_email": "customer_email", "bad_total": "total", "bad_address": "shipping_address.postcode", "bad_currency": "currency"}


@pytest.mark.parametrize(("number", "kind", "field"), [(number, *bad) for number, bad in enumerate(BAD.items(), start=1015)])
async def test_f08_bad_data_is_a_dead_letter_that_names_the_field_and_nothing_is_written(pair: Pair, number: int, kind: str, field: str) -> None:
    await pair.buy(number, has_no_mug, bad=[kind])
    letter = await pair.letter(f"{SHOP}/order/{number}", flow="shop-orders-to-erp")
    assert (field, "dead") == (letter["field"], letter["state"])
    assert [] == await pair.rows(ERP, "orders", reference=f"SHOP-{number}")
