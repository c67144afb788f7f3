from __future__ import annotations

import json
from typing import Any

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.kafka import make_producer
from towpath.testing.played import Played
from towpath.testing.waiting import until

BAD = 1101
KINDS = {
    "unknown_sku": ".SKU",
    "bad_email": "customer_email",
    "bad_total": "total",
    "bad_address": "shipping_address.postcode",
    "bad_currency": "currency",
    "unknown_status": "status",
}


async def correct(pair: Played, kind: str, number: int) -> None:
    """Mend a bad order at the shop, which tells of it by order.changed."""
    looked_at = await pair.shop("POST", f"orders/{number}", {"event": None})
    good = {"email": "mended@shop.example"}
    changes: dict[str, dict[str, Any]] = {
        "unknown_sku": {"items": [{"id": looked_at["items"][-1]["id"], "product_id": 1}]},
        "bad_email": {"customer": good, "billing_address": good, "shipping_address": good},
        "bad_total": {"order_total": round(looked_at["order"]["order_total"] - 5, 2)},
        "bad_address": {"shipping_address": {"country_id": 82, "state_province_id": None, "city": "Berlin", "zip_postal_code": "10115"}},
        "bad_currency": {"customer_currency_code": "USD"},
        "unknown_status": {"order_status_id": 20},
    }
    await pair.shop("POST", f"orders/{number}", changes[kind])


async def test_f01_a_bad_order_is_one_dead_letter_naming_the_field_until_the_shop_corrects_it(pair: Played) -> None:
    for number, kind in enumerate(KINDS, start=BAD):
        await pair.buy(number, bad=[kind])
    await pair.bought(1001)
    for number, field in enumerate(KINDS.values(), start=BAD):
        letter = await pair.letter(f"{SHOP}/order/{number}")
        assert (letter["state"], letter["field"].endswith(field)) == ("dead", True)
        assert await pair.sales_orders(number) == []
    for number, kind in enumerate(KINDS, start=BAD):
        await correct(pair, kind, number)
        await pair.sales_order(number)
    await settle(pair.stack)
    for number in range(BAD, BAD + len(KINDS)):
        assert (len(await pair.sales_orders(number)), await pair.letters(f"{SHOP}/order/{number}")) == (1, [])


async def test_f01_an_order_with_a_product_unknown_at_the_erp_comes_through_by_itself_once_that_arrives(pair: Played) -> None:
    await pair.buy(1121, bad=["unknown_sku"])
    letter = await pair.letter(f"{SHOP}/order/1121")
    assert "once product GHOST-1121 is there" in letter["reason"]
    await pair.erp("PUT", "products/GHOST-1121", {})
    await pair.sales_order(1121)
    await settle(pair.stack)
    assert (len(await pair.sales_orders(1121)), await pair.letters(f"{SHOP}/order/1121")) == (1, [])
    outcomes = await pair.outcomes(1121, "sink")
    assert (outcomes[0], outcomes.count("applied"), outcomes[-1]) == ("dead", 1, "applied")


async def test_f01_a_bad_order_that_an_operator_mends_in_its_dead_letter_comes_through_once(pair: Played) -> None:
    """As docs/runbooks/failed-order.md says: every command is one that the command before it told of."""
    await pair.buy(1131, bad=["bad_email"])
    short = (await pair.letter(f"{SHOP}/order/1131"))["dead_letter_id"][:8]
    assert f"`towpath dlq show {short}` tells what mends it" in await pair.command("trace", "1131")
    shown = json.loads(await pair.command("dlq", "show", short))
    assert ("customer_email", "not-an-email", True) == (shown["field"], shown["field_value"], f"`towpath dlq edit {short}`" in shown["remedy"])
    (group,) = [json.loads(line) for line in (await pair.command("dlq", "groups", "--json", "--where", "business_key=1131")).splitlines()]
    those = ("--where", f"fingerprint={shown['fingerprint']}")
    assert (1, f"`towpath dlq edit {' '.join(those)}`" in group["remedy"]) == (group["letters"], True)
    mend = ("dlq", "edit", short, "--set", "customer_email=mended@shop.example")
    assert "would replay 1, mended" in await pair.command(*mend, "--plan")
    assert "replayed 1, mended" in await pair.command(*mend)
    order = await pair.sales_order(1131)
    await settle(pair.stack)
    customer = await pair.row(ERP, "customers", CustomerID=order["CustomerID"])
    assert (customer["Email"], len(await pair.sales_orders(1131)), await pair.letters(f"{SHOP}/order/1131")) == ("mended@shop.example", 1, [])
    traced = await pair.command("trace", "1131")
    assert (f"create_order as {order['SalesOrderID']}" in traced, "tells what mends it" in traced) == (True, False)


async def test_f01_what_need_not_be_done_is_discarded_and_said_to_be(pair: Played) -> None:
    await pair.buy(1141, bad=["bad_total"])
    letter = await pair.letter(f"{SHOP}/order/1141")
    await pair.command("dlq", "discard", letter["dead_letter_id"], "--reason", "placed by a test of the shop")
    await settle(pair.stack)
    assert (await pair.sales_orders(1141), await pair.letters(f"{SHOP}/order/1141")) == ([], [])
    assert (await pair.outcomes(1141, letter["hop"]))[-1] == "discarded"


async def test_f01_rubbish_becomes_one_dead_letter_each_and_the_others_go_on(pair: Played) -> None:
    await pair.shop("POST", "emit", {"body": "this is { not JSON"})
    producer = make_producer(pair.stack.config().kafka)
    producer.produce("received.orders", b"\x00rubbish that is not Avro", b"shop/order/9")
    assert producer.flush(10) == 0
    for number in (1201, 1202, 1203):
        await pair.buy(number)
    for number in (1201, 1202, 1203):
        await pair.sales_order(number)
    await until(lambda: tried(pair, 1), what="both are dead letters")
    assert sorted((letter["hop"], letter["field"]) for letter in await pair.letters("")) == [("adapter", "body"), ("processor", "value")]
    await pair.command("dlq", "replay", "--all")
    await until(lambda: tried(pair, 2), what="both letters tried a second time")
    assert len(await pair.letters("")) == 2  # still rubbish, still one letter each


async def tried(pair: Played, times: int) -> bool:
    return [letter["attempts"] for letter in await pair.letters("")] == [times, times]
