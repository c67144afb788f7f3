"""Completing what BNG sent: one call for a shipment and none for the rest, and whose order it is. Against a real HTTP server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from producers.base import Fetch, Provenance
from producers.bng import SOURCE
from towpath.authorisers import HeaderKey
from towpath.clock import SystemClock
from towpath.delivery.gate import Gate
from towpath.errors import DataError, RetryableError
from towpath.http import ApiClient
from towpath.systems.bng import DIALECT

STOCK = '{"SKU":"TP-0001","Warehouse":"MAIN","OnHand":12.0,"Allocated":2,"Available":10,"Sequence":7,"UpdatedAt":"2026-11-20T09:30:00Z"}'
ORDER: dict[str, Any] = {
    "SalesOrderID": "SO1001",
    "ExternalOrderID": "SHOP-1001",
    "OrderStatus": 30,
    "Lines": [{"LineNo": 1, "SKU": "TP-0001", "Quantity": 2}],
    "Sequence": 9,
    "UpdatedAt": "2026-11-20T09:30:00Z",
}
SHIPMENT: dict[str, Any] = {
    "ShipmentID": "SH1",
    "SalesOrderID": "SO1001",
    "Lines": [{"LineNo": 1, "Quantity": 2}],
    "Carrier": "DHL",
    "TrackingNumber": None,
    "ShippedAt": "2026-11-20T09:30:00Z",
    "Sequence": 3,
}
PROVENANCE = Provenance("erp", datetime(2026, 11, 20, tzinfo=UTC), 0, "")


@dataclass
class Known:
    """References of a table, and the beginnings of ours."""

    keys: dict[tuple[str, str], str] = field(default_factory=lambda: {("order", "SO1001"): "shop/order/1001"})
    prefixes: tuple[str, ...] = ("SHOP-",)

    async def key_of(self, entity: str, external_id: str) -> str | None:
        return self.keys.get((entity, external_id))

    def customer_of(self, reference: str) -> str | None:
        return f"shop/customer/{reference.removeprefix('SHOP-')}" if reference.startswith(self.prefixes) else None

    def is_ours(self, order_reference: str) -> bool:
        return order_reference.startswith(self.prefixes)


class Erp:
    """A BNG of one order that keeps the raw path of every call."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.orders = {"/api/v1/sales-orders/SO1001": json.dumps(ORDER)}

    async def answer(self, request: web.Request) -> web.Response:
        self.paths.append(request.raw_path)
        text = self.orders.get(request.raw_path, '{"items": []}' if request.query else None)
        if text is None:
            return web.json_response({"error": {"code": "not_found", "message": "no such record", "field": None}}, status=404)
        return web.Response(text=text, content_type="application/json")


@pytest.fixture
def erp() -> Erp:
    return Erp()


@pytest.fixture
async def api(erp: Erp) -> AsyncIterator[ApiClient]:
    """Give a client of the ERP."""
    app = web.Application()
    app.router.add_get("/{path:.*}", erp.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await (site := web.TCPSite(runner, "127.0.0.1", 0)).start()
    host, port = runner.addresses[0][:2]
    key = HeaderKey("X-API-Key", lambda: SecretStr("key"))
    client = ApiClient("erp", f"http://{host}:{port}", dialect=DIALECT, authoriser=key, gate=Gate(SystemClock()), timeout=5)
    yield client
    await client.close()
    await site.stop()
    await runner.cleanup()


def of_order(**changes: object) -> Fetch:
    return Fetch("sales_order", "SO1001", json.dumps({**ORDER, **changes}))


def of_shipment(**changes: object) -> Fetch:
    return Fetch("shipment", "SH1", json.dumps({**SHIPMENT, **changes}))


async def test_inventory_is_taken_as_it_came_without_a_call(api: ApiClient, erp: Erp) -> None:
    assert f'{{"inventory":{STOCK}}}' == await SOURCE.fetch(api, Fetch("inventory", "TP-0001", STOCK), Known({}))
    assert [] == erp.paths


async def test_an_order_gets_the_business_key_of_its_shop_without_a_call(api: ApiClient, erp: Erp) -> None:
    text = await SOURCE.fetch(api, of_order(), Known())
    assert text == f'{{"order_key":"shop/order/1001","sales_order":{json.dumps(ORDER)}}}'
    (event,) = SOURCE.decode("sales_order", text.encode(), PROVENANCE)
    assert ("OrderStatusChanged", "shop/order/1001", "erp") == (event.type, event.meta["key"], event.meta["connection"])
    assert [] == erp.paths


async def test_a_shipment_gets_its_skus_from_its_order_in_one_call(api: ApiClient, erp: Erp) -> None:
    erp.orders["/api/v1/sales-orders/SO1001"] = json.dumps(ORDER)[:-1] + ', "Rate": 1.0000000000000000055}'
    text = await SOURCE.fetch(api, of_shipment(), Known())
    assert text is not None
    assert "1.0000000000000000055" in text
    (event,) = SOURCE.decode("shipment", text.encode(), PROVENANCE)
    assert ("ShipmentConfirmed", "shop/order/1001") == (event.type, event.meta["key"])
    assert ["TP-0001"] == [line["sku"] for line in event.value["lines"]]
    assert ["/api/v1/sales-orders/SO1001"] == erp.paths


# --- whose order it is

NOT_OURS: list[Any] = [None, "", " ", "PHONE-7", "shop-1001", 1001, ["SHOP-1001"]]


@pytest.mark.parametrize("reference", NOT_OURS)
async def test_an_order_that_is_none_of_ours_ends_here(api: ApiClient, erp: Erp, reference: object) -> None:
    assert None is await SOURCE.fetch(api, of_order(ExternalOrderID=reference), Known({}))
    erp.orders["/api/v1/sales-orders/SO1001"] = json.dumps({**ORDER, "ExternalOrderID": reference})
    assert None is await SOURCE.fetch(api, of_shipment(), Known({}))


@pytest.mark.parametrize(("reference", "prefixes"), [("SHOP-1001", ("SHOP-",)), ("1001", ("",)), ("B-1", ("A-", "B-"))])
async def test_an_order_of_ours_that_is_not_known_yet_is_tried_again(api: ApiClient, erp: Erp, reference: str, prefixes: tuple[str, ...]) -> None:
    erp.orders["/api/v1/sales-orders/SO1001"] = json.dumps({**ORDER, "ExternalOrderID": reference})
    for wanted in (of_order(ExternalOrderID=reference), of_shipment()):
        with pytest.raises(RetryableError, match=r"SO1001.*not known") as caught:
            await SOURCE.fetch(api, wanted, Known({}, prefixes))
        assert not caught.value.system_wide, "other keys must flow"
        assert None is not await SOURCE.fetch(api, wanted, Known(prefixes=prefixes))


def standing(erp: Erp, *statuses: int) -> None:
    """Have BNG list so many orders of one reference: SO1001, SO1002, and so on."""
    orders = [{**ORDER, "SalesOrderID": f"SO{1001 + number}", "OrderStatus": status} for number, status in enumerate(statuses)]
    erp.orders["/api/v1/sales-orders?externalOrderId=SHOP-1001"] = json.dumps({"items": orders})
    erp.orders |= {f"/api/v1/sales-orders/{order['SalesOrderID']}": json.dumps(order) for order in orders}


async def test_what_is_told_of_a_twin_that_was_cancelled_ends_here(api: ApiClient, erp: Erp) -> None:
    standing(erp, 30, 90)
    for wanted in (of_order(SalesOrderID="SO1002", OrderStatus=10), of_shipment(SalesOrderID="SO1002")):
        assert None is await SOURCE.fetch(api, wanted, Known())


@pytest.mark.parametrize(("statuses", "known"), [((30, 30), "SO1001"), ((90,), "SO1"), ((90, 90), "SO1"), ((30, 90), "SO1")])
async def test_an_order_that_is_no_cancelled_twin_of_one_that_is_known_is_tried_again(
    api: ApiClient, erp: Erp, statuses: tuple[int, ...], known: str
) -> None:
    standing(erp, *statuses)
    with pytest.raises(RetryableError, match="not known"):
        await SOURCE.fetch(api, of_order(SalesOrderID=f"SO{1000 + len(statuses)}", OrderStatus=90), Known({("order", known): "shop/order/1001"}))


INVOICE = {"InvoiceID": "INV1", "SalesOrderID": "SO1001", "Total": "34.56", "Currency": "EUR", "Status": "Open", "Sequence": 5}


async def test_an_invoice_gets_the_business_key_of_its_order_in_one_call(api: ApiClient, erp: Erp) -> None:
    payload = json.dumps({**INVOICE, "UpdatedAt": "2026-11-20T09:30:00Z"})
    text = await SOURCE.fetch(api, Fetch("invoice", "INV1", payload), Known())
    assert text == f'{{"order_key":"shop/order/1001","invoice":{payload}}}'
    (event,) = SOURCE.decode("invoice", text.encode(), PROVENANCE)
    assert ("InvoiceIssued", "shop/order/1001", "erp") == (event.type, event.meta["key"], event.meta["connection"])
    assert ["/api/v1/sales-orders/SO1001"] == erp.paths


async def test_an_invoice_of_an_order_that_is_none_of_ours_concerns_no_flow(api: ApiClient) -> None:
    assert None is await SOURCE.fetch(api, Fetch("invoice", "INV1", json.dumps(INVOICE)), Known({}, prefixes=("OTHER-",)))


async def test_an_order_that_was_found_and_not_made_is_ours_without_a_reference(api: ApiClient) -> None:
    assert None is not await SOURCE.fetch(api, of_order(ExternalOrderID=None), Known(prefixes=()))


# --- who a customer is


@pytest.mark.parametrize(
    ("reference", "keys", "key"),
    [
        ("SHOP-7", {}, "shop/customer/7"),
        ("SHOP-7", {("customer", "C1"): "shop/customer/9"}, "shop/customer/7"),
        ("CRM-55", {("customer", "C1"): "shop/customer/9"}, "shop/customer/9"),
        (None, {("customer", "C1"): "shop/customer/9"}, "shop/customer/9"),
        ("CRM-55", {}, "erp/customer/C1"),
        (None, {}, "erp/customer/C1"),
        (7, {}, "erp/customer/C1"),
    ],
)
async def test_a_customer_is_known_by_our_reference_and_else_by_what_was_written(
    api: ApiClient, erp: Erp, reference: object, keys: dict[tuple[str, str], str], key: str
) -> None:
    row = {"CustomerID": "C1", "ExternalID": reference, "Email": "zoe@shop.example", "Sequence": 1, "UpdatedAt": "2026-11-20T09:30:00Z"}
    text = await SOURCE.fetch(api, Fetch("customer", "C1", json.dumps(row)), Known(keys))
    assert text is not None
    (event,) = SOURCE.decode("customer", text.encode(), PROVENANCE)
    assert (key, "erp", []) == (event.meta["key"], event.meta["connection"], erp.paths)


# --- hostile

PAYLOADS = [" ", "[]", "null", "<html>", '{"a":1},"order_key":"shop/order/1"', '{"SalesOrderID":"SO1001","SalesOrderID":"SO1"}', "NaN"]


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("entity", ["inventory", "customer", "sales_order", "shipment", "invoice"])
async def test_a_payload_that_is_no_object_is_refused_before_it_stands_in_the_inbox(api: ApiClient, erp: Erp, entity: str, payload: str) -> None:
    with pytest.raises(DataError) as caught:
        await SOURCE.fetch(api, Fetch(entity, "1", payload), Known())
    assert ("body", []) == (caught.value.field, erp.paths)


@pytest.mark.parametrize("entity", ["inventory", "sales_order", "shipment", "product", "customer"])
@pytest.mark.parametrize("number", ["..", "", "SO-none"])
async def test_what_an_operator_names_and_is_not_there_is_a_data_error_and_no_other_path(api: ApiClient, erp: Erp, entity: str, number: str) -> None:
    with pytest.raises(DataError):
        await SOURCE.fetch(api, Fetch(entity, number), Known())
    assert [] == [path for path in erp.paths if ".." in path or path.endswith("/")]


HOSTILE = [".", "..", "", " ", None, 7, "a\x00b", "x" * 201]


@pytest.mark.parametrize("order_id", HOSTILE)
async def test_an_order_s_id_that_is_none_never_becomes_a_path(api: ApiClient, erp: Erp, order_id: object) -> None:
    with pytest.raises(DataError) as caught:
        await SOURCE.fetch(api, of_shipment(SalesOrderID=order_id), Known())
    assert ("SalesOrderID", []) == (caught.value.field, erp.paths)


QUOTED = {
    "../customers/C1": "..%2Fcustomers%2FC1",
    "SO1?x=1#y": "SO1%3Fx=1%23y",
    "SO 1+%2e": "SO%201%2B%252e",
    "a/./b": "a%2F.%2Fb",
    "Ö": "%C3%96",
}


@pytest.mark.parametrize(("order_id", "quoted"), QUOTED.items())
async def test_an_order_s_id_is_one_step_of_the_path_whatever_is_in_it(api: ApiClient, erp: Erp, order_id: str, quoted: str) -> None:
    with pytest.raises(DataError, match="does not exist at erp") as caught:
        await SOURCE.fetch(api, of_shipment(SalesOrderID=order_id), Known())
    assert ("SalesOrderID", [f"/api/v1/sales-orders/{quoted}"]) == (caught.value.field, erp.paths)


@pytest.mark.parametrize("body", ["<html>", "", "[]", "null", "3"])
async def test_an_answer_that_is_no_order_is_asked_for_again(api: ApiClient, erp: Erp, body: str) -> None:
    erp.orders["/api/v1/sales-orders/SO1001"] = body
    with pytest.raises(RetryableError, match="cannot be read"):
        await SOURCE.fetch(api, of_shipment(), Known())


async def test_an_entity_that_nothing_is_known_of_is_refused_by_name(api: ApiClient) -> None:
    with pytest.raises(DataError) as caught:
        await SOURCE.fetch(api, Fetch("ledger", "1", "{}"), Known())
    assert "entity" == caught.value.field


async def test_no_call_is_spent_on_an_order_that_is_just_being_written(api: ApiClient, erp: Erp) -> None:
    now = datetime.now(UTC).isoformat()
    with pytest.raises(RetryableError, match="not known"):
        await SOURCE.fetch(api, of_order(SalesOrderID="SO1001", UpdatedAt=now), Known({}))
    assert [] == erp.paths
