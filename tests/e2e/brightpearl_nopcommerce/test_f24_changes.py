"""F-24: what becomes of an order of the shop before it has left reaches Brightpearl; what comes too late is told to a person."""

from __future__ import annotations

from tests.e2e.brightpearl_nopcommerce.playing import Pair, is_simple
from towpath.demo.pairs import ERP, SHOP, THREEPL
from towpath.demo.play import settle

CANCELLED = 5


async def status(pair: Pair, number: int) -> int:
    return int((await pair.row(ERP, "orders", reference=f"SHOP-{number}"))["orderStatus"]["orderStatusId"])


async def test_f24_a_cancellation_before_shipment_cancels_the_order_once_and_asks_nobody_to_send_it(pair: Pair) -> None:
    await pair.buy(2411, is_simple)
    order = await pair.placed(2411, allocationStatusCode="AAA")
    async with pair.faults(SHOP, webhook_duplicate=1), pair.faults(ERP, response_lost=0.5, seed=24):
        await pair.shop("POST", "orders/2411/cancel")
        await pair.becomes(lambda: status(pair, 2411), CANCELLED, seconds=60)
        await settle(pair.stack)
    assert 1 == len(await pair.calls(ERP, "PUT", f"order/{order['id']}/status"))
    assert [] == [row for row in await pair.rows(THREEPL, "requests") if row["reference"].endswith("2411")]
    assert [] == await pair.letters(f"{SHOP}/order/2411")
