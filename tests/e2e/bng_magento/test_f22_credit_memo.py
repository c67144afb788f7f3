"""F-22: a credit memo of Magento is one at BNG, and the money that went back one entry in its ledger that balances."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.testing.played_magento import PlayedMagento

Row = dict[str, Any]
CASH, OWED = "1010", "1200"


def paid_for_several(order: Row) -> bool:
    return bool(order["state"] == "processing" and order["items"][0]["qty_ordered"] > 1)


async def refund(magento: PlayedMagento, order: Row, **wish: object) -> Row:
    memo: Row = await magento.shop("POST", f"orders/{order['entity_id']}/refund", wish)
    return memo


async def memos(magento: PlayedMagento, order: Row, count: int) -> list[Row]:
    """Return BNG's credit memos of a shop order, once there are so many and each has its entry."""
    written = await magento.sales_order(order["entity_id"])

    async def booked() -> int:
        return len(
            [row for row in await magento.rows(ERP, "gl_entries") if row["Reference"].startswith(f"{SHOP}/order/{order['entity_id']} refund ")]
        )

    await magento.becomes(booked, count)
    return await magento.rows(ERP, "credit_memos", SalesOrderID=written["SalesOrderID"])


async def test_f22_a_part_and_then_the_rest_are_two_credit_memos_with_an_entry_each(magento: PlayedMagento) -> None:
    order = await magento.place(7101, paid_for_several)
    number, sku = order["entity_id"], order["items"][0]["sku"]
    await magento.sales_order(number)
    async with magento.faults(ERP, response_lost=0.4), magento.faults(SHOP, webhook_duplicate=1, webhook_shuffle=0.5):
        first = await refund(magento, order, items={sku: 1}, shipping=False, comment="too small")
        await memos(magento, order, 1)
        rest = await refund(magento, order)
        found = await memos(magento, order, 2)
        await settle(magento.stack)
    assert found == await memos(magento, order, 2)
    shown = [(one["Reference"], Decimal(one["Total"]), one["Reason"]) for one in found]
    wanted = [(first, "too small"), (rest, None)]
    assert [(f"{SHOP}/order/{number} refund {memo['entity_id']}", Decimal(str(memo["grand_total"])), why) for memo, why in wanted] == shown
    assert [(sku, 1)] == [(line["SKU"], line["Quantity"]) for line in found[0]["Lines"]]
    for memo in (first, rest):
        total = Decimal(str(memo["grand_total"]))
        entry = await magento.row(ERP, "gl_entries", Reference=f"{SHOP}/order/{number} refund {memo['entity_id']}")
        booked = [(line["Account"], Decimal(line["Debit"]), Decimal(line["Credit"])) for line in entry["Lines"]]
        assert [(OWED, total, Decimal(0)), (CASH, Decimal(0), total)] == booked


async def test_f22_a_refund_that_does_not_add_up_or_is_more_than_was_sold_is_quarantined_by_its_field(magento: PlayedMagento) -> None:
    order = await magento.place(7201, paid_for_several)
    number = order["entity_id"]
    written = await magento.sales_order(number, PaymentStatus="Paid")
    await settle(magento.stack)
    await magento.change_erp(written["SalesOrderID"], Total="1.00")
    await refund(magento, order)
    letter = await magento.letter(f"{SHOP}/order/{number}", state="dead")
    assert ("sink", "Total") == (letter["hop"], letter["field"])
    assert "left to credit" in letter["reason"]
    assert [] == await magento.rows(ERP, "credit_memos", SalesOrderID=written["SalesOrderID"])


async def test_f22_a_refund_while_bng_throttles_and_is_down_is_one_credit_memo_with_its_entry_when_it_is_back(magento: PlayedMagento) -> None:
    order = await magento.place(7301, paid_for_several)
    await magento.sales_order(order["entity_id"], PaymentStatus="Paid")
    async with magento.faults(ERP, throttle=0.3, unavailable=0.7, seed=22):
        memo = await refund(magento, order)
        await magento.struck(ERP, "unavailable", 2)
    (found,) = await memos(magento, order, 1)
    await settle(magento.stack)
    assert [found] == await memos(magento, order, 1)
    assert Decimal(str(memo["grand_total"])) == Decimal(found["Total"])
    assert [] == await magento.letters(f"{SHOP}/order/{order['entity_id']}")
