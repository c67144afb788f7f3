"""Writing to Brightpearl: one order, contact, reservation and shipment each, whatever is lost, late or unknown on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy.engine import URL

from sinks.brightpearl import order as order_module
from sinks.brightpearl import products
from sinks.effector import Effector
from sinks.role import find_target
from tests.unit.sinks.conftest import PATIENCE, Played, Sink
from towpath.config.connections import Connection
from towpath.delivery.database import open_engine
from towpath.delivery.ledger import Effect, Ledger
from towpath.errors import DataError, OutcomeUnknownError, RetryableError
from towpath.metrics import Metrics
from towpath.systems.base import connect
from towpath.testing.clock import VirtualClock

Json = Any
BASE = "/public-api/acme/"
PRIVATE = {"app_ref": "acme_towpath", "account_token": "towpath-sandbox-token+/="}
INSTANCE = {"app_ref": "acme_towpath", "dev_ref": "towpath", "client_id": "towpath", "refresh_token": "towpath-sandbox-refresh+/="}
HEADERS = {"brightpearl-app-ref": "acme_towpath", "brightpearl-account-token": PRIVATE["account_token"]}
KEY = "shop/order/1001"
ROWS = [
    {"SKU": "BAG-BLA-001", "name": "Bag", "quantity": "2", "taxCode": "T20", "net": "79.80", "tax": "15.96"},
    {"name": "Shipping", "quantity": "1", "taxCode": "T20", "net": "4.90", "tax": "0.98"},
]
ORDER = {
    "customer": {"id": {"$ref": "customer", "key": "shop/customer/7"}},
    "ref": "SHOP-1001",
    "placedOn": "2026-11-20T02:30:00.000000Z",
    "timeZone": "America/Chicago",
    "warehouseId": 2,
    "statusId": 2,
    "currency": {"code": "USD"},
    "rows": ROWS,
}
RELATED = {
    "customer shop/customer/7": '{"firstName":"Zoë","lastName":"Müller-'
    + "x" * 40
    + '","postAddressIds":{"DEF":{"$ref":"address","key":"shop/customer/7"}},'
    '"communication":{"emails":{"PRI":{"email":"zoe@shop.example"}}}}',
    "address shop/customer/7": '{"addressLine1":"Hauptstr. 5","addressLine3":"Berlin","postalCode":"10115","countryIsoCode":"DE"}',
}


class Brightpearl(Played):
    """An account as its operators see it."""

    def __init__(self, folder: Path) -> None:
        super().__init__("brightpearl", folder)

    async def ask(self, method: str, path: str, body: Json = None) -> Json:
        async with self.client.request(method, BASE + path, json=body, headers=HEADERS) as answer:
            assert answer.ok, await answer.text()
            return (await answer.json()).get("response")


class To(Sink):
    """A process of the sink that writes to an account."""

    def __init__(self, played: Brightpearl, database: Path, clock: VirtualClock, credentials: Json = None) -> None:
        options = {"token_url": str(played.client.make_url("/token"))}
        content = {"system": "brightpearl", "url": str(played.client.make_url("/public-api/acme")), "credentials": credentials or PRIVATE}
        self.clock, self.played = clock, played
        self.ledger = Ledger(open_engine(URL.create("sqlite", database=str(database))), clock, "one")
        self.api = connect("to", Connection.model_validate(content | {"options": options}), clock, Metrics())
        self._effector = Effector("to", find_target("brightpearl"), self.api, self.ledger, PATIENCE, clock)


@pytest.fixture
async def erp(tmp_path: Path) -> AsyncIterator[Brightpearl]:
    products._known.clear()
    order_module._instances.clear()
    played = Brightpearl(tmp_path / "erp")
    async with played.client:
        yield played


@pytest.fixture
async def sink_as(erp: Brightpearl, tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Callable[..., To]]:
    async with AsyncExitStack() as stack:

        def start(credentials: Json = None) -> To:
            sink = To(erp, tmp_path / "towpath.db", clock, credentials)
            stack.push_async_callback(sink.close)
            return sink

        yield start


@pytest.fixture
def sink(sink_as: Callable[..., To]) -> To:
    return sink_as()


async def place(sink: To, **changes: Json) -> Any:  # noqa: ANN401 - an Effected
    return await sink.insist("create_order", KEY, ORDER | changes, related=RELATED)


async def test_an_order_stands_with_its_contact_address_and_reservation(erp: Brightpearl, sink: To) -> None:
    effected = await place(sink)
    (order,), (contact,), (address,) = [await erp.rows(entity) for entity in ("orders", "contacts", "addresses")]
    assert ("applied", str(order["id"]), "") == (effected.outcome, effected.external_id, effected.reason)
    assert ("SHOP-1001", "AAA", "101.64") == (order["reference"], order["allocationStatusCode"], order["totalValue"]["total"])
    assert ("zoe@shop.example", 32) == (contact["communication"]["emails"]["PRI"]["email"], len(contact["lastName"]))
    assert {"DEF": address["addressId"]} == contact["postAddressIds"]
    assert 2 == (await erp.ask("GET", "warehouse-service/product-availability/1001"))["1001"]["total"]["allocated"]
    assert effected.external_at is not None


async def test_a_tax_date_is_the_day_of_the_account_not_of_utc(erp: Brightpearl, sink: To) -> None:
    await place(sink)
    (order,) = await erp.rows("orders")
    assert "2026-11-19T20:30:00.000-06:00" == order["placedOn"]
    assert "2026-11-18T18:00:00.000-06:00" == order["invoices"][0]["taxDate"], "midnight UTC of the 19th, as the account shows it"


async def test_a_second_order_costs_five_calls(erp: Brightpearl, sink: To) -> None:
    await place(sink)
    erp.calls.clear()
    await sink.insist("create_order", "shop/order/1002", ORDER | {"ref": "SHOP-1002"}, related=RELATED)
    assert ["GET", "POST", "GET", "POST", "GET"] == [call.partition(" ")[0] for call in erp.calls]


CALLS = (
    "GET order-service/order-search",
    "POST contact-service/postal-address",
    "GET contact-service/contact-search",
    "POST contact-service/contact",
    "GET product-service/product-search",
    "POST order-service/sales-order",
    "GET order-service/order/",
    "POST warehouse-service/order/",
)


@pytest.mark.parametrize(
    ("call", "how", "app"),
    [*((call, how, "private") for call in CALLS for how in ("lost", "unsent")), *((call, "lost", "instance") for call in CALLS[-3:])],
)
async def test_whichever_answer_is_lost_there_is_one_of_each(erp: Brightpearl, sink_as: Callable[..., To], call: str, how: str, app: str) -> None:
    erp.cut(call, how)
    effected = await place(sink_as(INSTANCE if app == "instance" else None))
    (order,), (_contact,) = await erp.rows("orders"), await erp.rows("contacts")
    assert (str(order["id"]), "AAA") == (effected.external_id, order["allocationStatusCode"])
    assert effected.external_at is not None, "else its stock would wait for figures from after it was found, which may never come"
    assert effected.external_at <= datetime.now(UTC)
    assert (KEY.replace("shop/order/", "SHOP-") if app == "instance" else None) == order["_external"]


@pytest.mark.parametrize("app", ["private", "instance"])
async def test_an_order_that_commits_after_its_client_gave_up_stands_once(erp: Brightpearl, sink_as: Callable[..., To], app: str) -> None:
    sink = sink_as(INSTANCE if app == "instance" else None)
    erp.cut("POST order-service/sales-order", "late")
    with pytest.raises(OutcomeUnknownError):
        await sink.clock.run(sink.apply("create_order", KEY, ORDER, related=RELATED))
    await erp.late[0]()
    await place(sink)
    assert 1 == len(await erp.rows("orders"))


async def test_an_instance_app_sends_both_halves_of_the_key_and_a_duplicate_that_answers_nothing_is_looked_up(
    erp: Brightpearl, sink_as: Callable[..., To]
) -> None:
    sink = sink_as(INSTANCE)
    empty = '{"response": {"results": [], "metaData": {"resultsAvailable": 0, "columns": []}}}'
    await place(sink)
    await sink.ledger.gone(Effect("to", "create_order", KEY), str((await erp.rows("orders"))[0]["id"]))
    erp.answers["GET order-service/order-search"] = web.Response(text=empty)
    with pytest.raises(OutcomeUnknownError):  # the look-up has not seen it yet, and the POST is a duplicate
        await sink.clock.run(sink.apply("create_order", KEY, ORDER, related=RELATED))
    erp.answers.clear()
    assert "found" == (await place(sink)).outcome
    assert 1 == len(await erp.rows("orders"))


async def test_a_sentence_is_no_id(erp: Brightpearl, sink: To) -> None:
    erp.answers["POST order-service/sales-order"] = web.Response(text='{"response": "Order was not created"}')
    with pytest.raises(OutcomeUnknownError, match="no id"):
        await sink.clock.run(sink.apply("create_order", KEY, ORDER, related=RELATED))


@pytest.mark.parametrize("lost", ["nothing", "POST order-service/sales-order", "POST warehouse-service/order/"])
async def test_a_sku_that_is_unknown_becomes_free_text_and_a_reason_for_review(erp: Brightpearl, sink: To, lost: str) -> None:
    erp.cut(lost)
    effected = await place(sink, rows=[{**ROWS[0], "SKU": "NO-SUCH"}, *ROWS])
    (order,) = await erp.rows("orders")
    assert {"NO-SUCH: Bag", "Bag", "Shipping"} == {row["productName"] for row in order["orderRows"].values()}
    assert "AAA" == order["allocationStatusCode"], "the others are reserved"
    assert "NO-SUCH" in effected.reason


@pytest.mark.parametrize(("in_stock", "code", "said"), [(1, "APA", "not all is reserved"), (0, "ANA", "nothing is reserved")])
async def test_a_reservation_that_is_not_whole_is_told(erp: Brightpearl, sink: To, in_stock: int, code: str, said: str) -> None:
    await erp.control("POST", "warehouse/count", {"sku": "BAG-BLA-001", "in_stock": in_stock})
    effected = await place(sink)
    (order,) = await erp.rows("orders")
    assert (code, "applied") == (order["allocationStatusCode"], effected.outcome)
    assert said in effected.reason


async def test_a_contact_that_is_gone_is_found_or_made_again(erp: Brightpearl, sink: To) -> None:
    await place(sink)
    (contact,) = await erp.rows("contacts")
    await erp.control("DELETE", f"contacts/{contact['contactId']}")
    await sink.insist("create_order", "shop/order/1002", ORDER | {"ref": "SHOP-1002"}, related=RELATED)
    (again,) = await erp.rows("contacts")
    assert again["contactId"] != contact["contactId"]
    assert 2 == len(await erp.rows("orders"))


async def test_throttling_is_waited_out_by_the_milliseconds_it_tells_and_blames_nothing(erp: Brightpearl, sink: To, clock: VirtualClock) -> None:
    headers = {"brightpearl-requests-remaining": "0", "brightpearl-next-throttle-period": "14164"}
    text = '{"response": "You have sent too many requests. Please wait before sending another request"}'
    served = iter([web.json_response(text=text, status=503, headers=headers)])
    original = erp._pass

    async def limited(request: web.Request, handler: Any) -> web.StreamResponse:  # noqa: ANN401
        return next(served, None) or await original(request, handler)

    erp._pass = limited  # type: ignore[method-assign]
    began = clock.monotonic()
    with pytest.raises(RetryableError) as raised:
        await clock.run(sink.apply("create_order", KEY, ORDER, related=RELATED))  # on any other fault it sleeps, and tries again
    assert raised.value.throttled
    assert not sink.api.gate.is_open
    await place(sink)
    assert 14.1 < clock.monotonic() - began < 30
    assert 1 == len(await erp.rows("orders"))


async def test_a_bad_filter_is_a_data_error_though_it_is_a_500(sink: To) -> None:
    with pytest.raises(DataError, match="CMNC-018"):
        await sink.clock.run(sink.api.get("/order-service/order-search", {"orderStatusId": "BAD PARAM"}))


async def test_a_refused_token_is_in_no_error(erp: Brightpearl, sink_as: Callable[..., To]) -> None:
    with pytest.raises(RetryableError) as raised:
        await sink_as(PRIVATE | {"account_token": "s3cr3t-token-of-ours"}).api.get("/order-service/order/1")
    assert "s3cr3t" not in str(raised.value)
    assert erp.calls


async def packed(erp: Brightpearl, sink: To) -> int:
    """Place an order and return its goods-out note, which has not left."""
    effected = await place(sink)
    await erp.control("POST", "warehouse/note", {"order": int(effected.external_id)})
    return int((await erp.rows("notes"))[0]["_id"])


def shipment(note: int) -> dict[str, Any]:
    return {"NoteID": note, "TrackingNumbers": ["1Z999"], "ShippedAt": "2026-11-20T10:00:00Z", "EventOwnerID": 4}


@pytest.mark.parametrize("how", ["none", "lost", "unsent"])
@pytest.mark.parametrize("call", ["PUT warehouse-service/goods-note", "POST warehouse-service/goods-note"])
async def test_a_note_is_shipped_once_and_has_its_tracking_number_before(erp: Brightpearl, sink: To, call: str, how: str) -> None:
    note = await packed(erp, sink)
    if how != "none":
        erp.cut(call, how)
    await sink.insist("ship_note", "wms/shipment/1", shipment(note))
    (row,) = await erp.rows("notes")
    assert (True, "1Z999") == (row["status"]["shipped"], row["shipping"]["reference"])
    assert 1 == [event["eventCode"] for event in row["events"]].count("SHW")
    assert erp.sent("PUT", "POST warehouse-service/goods-note")[0].startswith("PUT")


async def test_a_note_that_was_shipped_with_another_number_is_told_and_left(erp: Brightpearl, sink: To) -> None:
    effected = await place(sink)
    await erp.control("POST", "warehouse/ship", {"order": int(effected.external_id), "tracking_number": "OTHER"})
    found = await sink.insist("ship_note", "wms/shipment/1", shipment(int((await erp.rows("notes"))[0]["_id"])))
    assert ("found", True) == (found.outcome, "OTHER" in found.reason)


async def test_a_status_is_set_once(erp: Brightpearl, sink: To) -> None:
    order = (await place(sink)).external_id
    document = {"OrderID": order, "OrderStatusID": 3}
    assert "applied" == (await sink.insist("set_order_status", KEY, document, version=(1, 0))).outcome
    assert "found" == (await sink.insist("set_order_status", KEY, document, version=(2, 0))).outcome
    assert 3 == (await erp.rows("orders"))[0]["orderStatus"]["orderStatusId"]


@pytest.mark.parametrize(
    "change", [{"ref": ""}, {"ref": 5}, {"rows": []}, {"rows": [{"SKU": "\n"}]}, {"customer": {"id": "../1"}}, {"placedOn": None}]
)
async def test_rubbish_is_a_data_error_before_anything_is_written(erp: Brightpearl, sink: To, change: Json) -> None:
    with pytest.raises(DataError):
        await sink.clock.run(sink.apply("create_order", KEY, {**ORDER, "customer": {"id": 200}, **change}))
    assert [] == erp.sent("POST")
