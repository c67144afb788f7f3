"""F-14: a return at the shop is a sales credit and a goods-in note at Brightpearl, and its money goes back once; both sides say whether it could."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.e2e.brightpearl_nopcommerce.playing import Pair
from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.sandbox.nopcommerce.bundle import Bundle
from towpath.testing.played import SKUS

Row = dict[str, Any]
RECEIVED, AUTHORISED, REFUNDED = 10, 20, 40
FAILED_AT_ERP, REFUNDED_AT_ERP = 7, 8


def is_paid_for_one_product(bundle: Bundle) -> bool:
    return bool(bundle.order["payment_status_id"] == 30 and len(bundle.items) == 1 and bundle.items[0]["quantity"] > 1)


async def returned(pair: Pair, number: int) -> tuple[Row, Row]:
    """Buy, ask for a return of one piece, and return the request and Brightpearl's sales credit for it."""
    bundle = await pair.buy(number, is_paid_for_one_product)
    await pair.placed(number, allocationStatusCode="AAA")
    asked = await pair.shop("POST", f"orders/{number}/return", {"sku": SKUS[bundle.items[0]["product_id"]]})
    await pair.is_there(ERP, "orders", reference=f"SHOP-{number}-R{asked['id']}")
    return asked, await pair.row(ERP, "orders", reference=f"SHOP-{number}-R{asked['id']}")


async def request(pair: Pair, asked: Row) -> Row:
    return await pair.row(SHOP, "return_requests", id=asked["id"])


async def test_f14_a_return_is_credited_taken_in_and_refunded_once_though_answers_are_lost(pair: Pair) -> None:
    async with pair.faults(ERP, response_lost=0.3, seed=14), pair.faults(SHOP, webhook_duplicate=1):
        asked, credit = await returned(pair, 1401)
        await pair.shop("POST", f"return-requests/{asked['id']}", {"return_request_status_id": RECEIVED})
        await pair.is_there(ERP, "goods_in_notes", orderId=credit["id"])
    order = await pair.placed(1401)
    (row,) = credit["orderRows"].values()
    assert ("SC", order["id"], "1.0000") == (credit["orderTypeCode"], credit["parentOrderId"], row["quantity"]["magnitude"])
    async with pair.faults(SHOP, response_lost=0.3, seed=14):
        await pair.erp("POST", f"sales-credits/{credit['id']}/close")
        await pair.is_there(SHOP, "return_requests", id=asked["id"], return_request_status_id=REFUNDED)
    await settle(pair.stack)
    (refund,) = await pair.rows(SHOP, "refunds", order_id=1401)
    assert Decimal(str(refund["amount"])) == Decimal(credit["totalValue"]["total"])
    (note,) = await pair.rows(ERP, "goods_in_notes", orderId=credit["id"])
    assert [1] == [moved["quantity"] for moved in note["goodsMoved"]]
    assert 1 == len(await pair.rows(ERP, "orders", reference=credit["reference"]))
    assert REFUNDED_AT_ERP == (await pair.row(ERP, "orders", id=credit["id"]))["orderStatus"]["orderStatusId"]
    assert [] == await pair.letters(f"{SHOP}/order/1401")


async def test_f14_a_gateway_that_refuses_is_a_dead_letter_and_said_on_both_sides_until_it_is_replayed(pair: Pair) -> None:
    asked, credit = await returned(pair, 1411)
    await pair.shop("PUT", "gateway", {"refuses": ["refund"]})
    await pair.erp("POST", f"sales-credits/{credit['id']}/close")
    letter = await pair.letter(f"{SHOP}/order/1411", state="dead")
    assert ("sink", "refund") == (letter["hop"], letter["field"])

    async def said_at_erp() -> int:
        return int((await pair.row(ERP, "orders", id=credit["id"]))["orderStatus"]["orderStatusId"])

    await pair.becomes(said_at_erp, FAILED_AT_ERP)
    found = await request(pair, asked)
    assert (AUTHORISED, True) == (found["return_request_status_id"], "refund failed" in found["staff_notes"])
    assert [] == await pair.rows(SHOP, "refunds", order_id=1411)
    await pair.shop("PUT", "gateway", {})
    await pair.command("dlq", "replay", letter["dead_letter_id"])
    await pair.becomes(said_at_erp, REFUNDED_AT_ERP)
    assert (1, REFUNDED) == (len(await pair.rows(SHOP, "refunds", order_id=1411)), (await request(pair, asked))["return_request_status_id"])
    assert [] == await pair.letters(f"{SHOP}/order/1411")


async def test_f14_a_return_is_credited_and_refunded_once_though_both_sides_were_down_and_throttling(pair: Pair) -> None:
    async with pair.faults(ERP, throttle=0.1, unavailable=0.1, seed=15):
        asked, credit = await returned(pair, 1421)
    async with pair.faults(SHOP, unavailable=1):
        await pair.erp("POST", f"sales-credits/{credit['id']}/close")
        await pair.struck(SHOP, "unavailable", 2)
    await pair.is_there(SHOP, "return_requests", id=asked["id"], return_request_status_id=REFUNDED)
    await settle(pair.stack)
    assert 1 == len(await pair.rows(SHOP, "refunds", order_id=1421))
    assert 1 == len(await pair.rows(ERP, "orders", reference=credit["reference"]))
    assert [] == await pair.letters(f"{SHOP}/order/1421")
