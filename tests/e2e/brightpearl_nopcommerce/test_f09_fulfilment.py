from __future__ import annotations

import json

from tests.e2e.brightpearl_nopcommerce.playing import Pair, Row, is_simple
from towpath.demo.pairs import ERP, SHOP, THREEPL
from towpath.demo.play import settle
from towpath.sandbox.nopcommerce.bundle import Bundle

TOLD = "ShipmentSent.CustomerNotification"


def has_two_lines(bundle: Bundle) -> bool:
    return len(bundle.items) == 2 and bundle.items[0]["quantity"] > 1


def everything(request: Row) -> dict[str, int]:
    return {line["sku"]: line["quantity"] for line in request["lines"]}


async def told(pair: Pair, number: int) -> int:
    """Return how often the customer was told that something of the order has left."""
    return len(await pair.rows(SHOP, "mails", order_id=number, template=TOLD))


async def test_f09_a_note_is_fulfilled_by_the_3pl_and_shipped_with_tracking_at_brightpearl_and_the_shop(pair: Pair) -> None:
    async with pair.faults(ERP, webhook_duplicate=1), pair.faults(THREEPL, webhook_duplicate=1):
        await pair.buy(1901)
        note = await pair.noted(1901)
        request = await pair.requested(note)
        (parcel,) = await pair.threepl("POST", "ship", {"request": request["id"]})
        shipped = await pair.left(note)
        (shipment,) = await pair.sent(1901)
        await settle(pair.stack)
    assert parcel["trackingNumber"] == shipped["shipping"]["reference"] == shipment["tracking_number"]
    assert [f"{THREEPL}/shipment/{parcel['id']}", parcel["carrier"]] == shipment["admin_comment"].splitlines()
    calls = [(row["method"], row["path"].rpartition("/goods-out/")[2]) for row in await pair.calls(ERP, "PUT", f"goods-out/{note['_id']}")]
    calls += [(row["method"], row["path"].rpartition("/goods-out/")[2]) for row in await pair.calls(ERP, "POST", f"goods-out/{note['_id']}/event")]
    assert [("PUT", f"{note['_id']}"), ("POST", f"{note['_id']}/event")] == calls, "the number first, and each once"
    assert (1, 1) == (await told(pair, 1901), len(await pair.rows(THREEPL, "requests", reference=f"BP-{note['_id']}")))
    shop_order = await pair.row(SHOP, "orders", id=1901)
    assert 30 == shop_order["shipping_status_id"], "the customer's order is shipped"
    assert (request["shipTo"]["country"], "standard") == (request["shipTo"]["country"].upper(), request["service"])


async def test_f09_parts_and_parcels_reach_the_shop_one_by_one_and_brightpearl_once_all_have_left(pair: Pair) -> None:
    await pair.buy(1902, has_two_lines)
    note = await pair.noted(1902)
    request = await pair.requested(note)
    (first, pieces), (second, others) = everything(request).items()
    async with pair.faults(THREEPL, webhook_shuffle=1, seed=5):
        one = await pair.threepl("POST", "ship", {"request": request["id"], "parcels": [{"lines": {first: 1}}]})
        two = await pair.threepl("POST", "ship", {"request": request["id"], "parcels": [{"lines": {first: pieces - 1}}, {"lines": {second: others}}]})
        shipped = await pair.left(note)
        sent = await pair.sent(1902, 3)
        await settle(pair.stack)
    numbers = {parcel["trackingNumber"] for parcel in (*one, *two)}
    assert numbers == set(shipped["shipping"]["reference"].split(", ")) == {row["tracking_number"] for row in sent}
    assert 1 == len(await pair.calls(ERP, "POST", f"goods-out/{note['_id']}/event"))
    assert (3, 30) == (await told(pair, 1902), (await pair.row(SHOP, "orders", id=1902))["shipping_status_id"])


async def test_f09_each_step_is_done_once_where_its_answer_is_lost(pair: Pair) -> None:
    await pair.buy(1903, is_simple)
    async with pair.faults(THREEPL, response_lost=1):
        note = await pair.noted(1903)
        await pair.is_there(THREEPL, "requests", reference=f"BP-{note['_id']}")
    request = await pair.requested(note)
    async with pair.faults(ERP, response_lost=1), pair.faults(SHOP, response_lost=1):
        await pair.threepl("POST", "ship", {"request": request["id"]})
        await pair.left(note)
        await pair.sent(1903)
        await settle(pair.stack)
    posts = await pair.calls(THREEPL, "POST", "fulfilment-requests")
    assert 2 <= sum(row["body"]["reference"] == request["reference"] for row in posts), "the request was sent again"
    assert 1 == len(await pair.rows(THREEPL, "requests", reference=request["reference"]))
    assert (1, 1) == (len(await pair.rows(SHOP, "shipments", order_id=1903)), await told(pair, 1903))
    assert [200] == [row["outcome"] for row in await pair.calls(ERP, "POST", f"goods-out/{note['_id']}/event")]
    assert [] == await pair.letters(f"{SHOP}/order/1903")


async def test_f09_a_3pl_that_is_down_is_asked_when_it_is_back(pair: Pair) -> None:
    await pair.buy(1904, is_simple)
    async with pair.faults(THREEPL, unavailable=1):
        note = await pair.noted(1904)
        await pair.struck(THREEPL, "unavailable", 2)
        async with pair.faults(THREEPL, throttle=1):  # in the other's place
            await pair.struck(THREEPL, "throttle")
    await pair.requested(note)
    await settle(pair.stack)
    assert 1 == len(await pair.rows(THREEPL, "requests", reference=f"BP-{note['_id']}"))
    assert [] == [letter for letter in await pair.letters(f"{SHOP}/order/1904") if letter["state"] == "dead"]


async def test_f09_what_nobody_asked_for_is_a_dead_letter_that_names_it_and_the_note_stays(pair: Pair) -> None:
    await pair.buy(1905, is_simple)
    note = await pair.noted(1905)
    request = await pair.requested(note)
    parcel = {"trackingNumber": "1Z-1905", "carrier": "UPS", "lines": [{"sku": "GIFT-1905", "quantity": 1}]}
    data = {"requestId": request["id"], "reference": request["reference"], "shippedAt": "2026-11-20T10:00:00Z", "parcels": [parcel]}
    body = {"type": "shipment.confirmed", "id": "evt-1905", "occurredAt": "2026-11-20T10:00:00Z", "data": data}
    await pair.threepl("POST", "emit", {"body": json.dumps(body), "id": "evt-1905"})
    letter = await pair.letter(f"{SHOP}/order/1905", flow="threepl-shipments-to-erp")
    assert ("lines.sku", "dead") == (letter["field"], letter["state"])
    assert "gift-1905" in letter["reason"]
    assert not (await pair.row(ERP, "notes", _id=note["_id"]))["status"]["shipped"]


async def test_f09_what_brightpearls_own_people_ship_is_told_to_the_shop_and_nobody_is_asked(pair: Pair) -> None:
    await pair.buy(1002)
    order = await pair.placed(1002, allocationStatusCode="AAA")
    note = await pair.erp("POST", "warehouse/ship", {"order": order["id"], "tracking_number": "1Z999"})
    (shipment,) = await pair.sent(1002)
    await settle(pair.stack)
    assert "1Z999" == shipment["tracking_number"]
    assert "DHL" in shipment["admin_comment"]
    assert [] == await pair.rows(THREEPL, "requests", reference=f"BP-{note['_id']}")


async def test_f24_a_cancellation_after_the_note_is_one_at_the_3pl_else_a_person_is_told(pair: Pair) -> None:
    for number in (1906, 1907):
        await pair.buy(number, is_simple)
    waiting, gone = await pair.noted(1906), await pair.noted(1907)
    await pair.requested(waiting)
    await pair.threepl("POST", "ship", {"request": (await pair.requested(gone))["id"]})
    await pair.left(gone)
    for number in (1906, 1907):
        await pair.shop("POST", f"orders/{number}/cancel", {"notify": True})
    await pair.requested(waiting, status="cancelled")
    letter = await pair.letter(f"{SHOP}/order/1907", flow="shop-cancellations-to-threepl")
    assert ("Requests", "dead") == (letter["field"], letter["state"])
    assert "shipped" in letter["reason"]
