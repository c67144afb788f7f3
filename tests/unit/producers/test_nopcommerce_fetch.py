"""Fetching from a shop: what is asked for, how often, and what a broken or hostile shop is told. Against a real HTTP server."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from producers.base import Fetch, Provenance
from producers.nopcommerce import NopCommerceSource
from producers.nopcommerce.fetch import rows
from towpath.clock import SystemClock
from towpath.delivery.gate import Gate
from towpath.errors import DataError
from towpath.http import ApiClient
from towpath.systems.nopcommerce import BASE, DIALECT

ORDER: dict[str, Any] = {
    "id": 1001,
    "customer_id": 7,
    "billing_address_id": 11,
    "shipping_address_id": 12,
    "pickup_address_id": None,
    "order_status_id": 20,
    "payment_status_id": 30,
    "customer_currency_code": "EUR",
    "order_shipping_excl_tax": 4.9,
    "order_tax": 0,
    "order_discount": 0,
    "order_total": 30,
    "created_on_utc": "2026-11-20T09:30:00",
}
ITEMS: list[dict[str, Any]] = [
    {"id": 1, "product_id": 31, "quantity": 1, "unit_price_excl_tax": 10, "price_excl_tax": 10, "price_incl_tax": 10},
    {"id": 2, "product_id": 31, "quantity": 1, "unit_price_excl_tax": 15.1, "price_excl_tax": 15.1, "price_incl_tax": 15.1},
]


class Anonymous:
    """Credentials of a shop that asks for none."""

    async def headers(self, session: aiohttp.ClientSession) -> dict[str, str]:  # noqa: ARG002 - a port
        return {}

    def forget(self, refused: Mapping[str, str]) -> None:
        """Hold nothing to forget."""


class Shop:
    """A shop of one order that counts its calls; `bodies` may be changed to make it another one."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.bodies: dict[str, Any] = {
            "Order/GetById/1001": ORDER,
            "OrderItem/GetOrderItems/1001": ITEMS,
            "Customer/GetById/7": {"id": 7, "email": "zoe@shop.example", "billing_address_id": 11, "created_on_utc": "2026-01-02T03:04:05"},
            "Address/GetById/11": {"id": 11, "country_id": 81, "state_province_id": 60, "city": "Berlin"},
            "Address/GetById/12": {"id": 12, "country_id": 81, "state_province_id": None, "city": "Bonn"},
            "Product/GetById/31": {"id": 31, "sku": "TP-0001", "name": "Mug"},
            "Country/GetById/81": {"id": 81, "two_letter_iso_code": "DE"},
            "StateProvince/GetById/60": {"id": 60, "abbreviation": "BE"},
            "GenericAttribute/GetAttributesForEntity/7": [],
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        self.calls[path] += 1
        if path not in self.bodies:
            return web.Response(status=404, text="not found")
        body = self.bodies[path]
        text = body if isinstance(body, str) else json.dumps(body)
        response = web.StreamResponse()
        await response.prepare(request)
        for start in range(0, len(text), 50_000):
            await response.write(text[start : start + 50_000].encode())
            await asyncio.sleep(0)  # let each piece arrive by itself
        return response


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
async def api(shop: Shop) -> AsyncIterator[ApiClient]:
    """Give a client of the shop."""
    app = web.Application()
    app.router.add_get(BASE + "/{path:.*}", shop.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await (site := web.TCPSite(runner, "127.0.0.1", 0)).start()
    host, port = runner.addresses[0][:2]
    gate = Gate(SystemClock())
    client = ApiClient("shop", f"http://{host}:{port}", dialect=DIALECT, authoriser=Anonymous(), gate=gate, timeout=5)
    yield client
    await client.close()
    await site.stop()
    await runner.cleanup()


@pytest.fixture
def source() -> NopCommerceSource:
    return NopCommerceSource()


ORDER_1001 = Fetch("order", 1001)


class NoReferences:
    """Nothing that Towpath wrote: a shop names the keys of its own entities."""

    async def key_of(self, entity: str, external_id: str) -> str | None:
        raise AssertionError(f"{entity} {external_id}")

    def customer_of(self, reference: str) -> str | None:
        raise AssertionError(reference)

    def is_ours(self, order_reference: str) -> bool:
        raise AssertionError(order_reference)


async def fetched(source: NopCommerceSource, api: ApiClient, wanted: Fetch) -> str:
    text = await source.fetch(api, wanted, NoReferences())
    assert text is not None
    return text


async def test_an_order_is_fetched_with_all_that_decoding_needs_each_part_once(api: ApiClient, shop: Shop, source: NopCommerceSource) -> None:
    text = await fetched(source, api, ORDER_1001)
    assert Counter(dict.fromkeys(shop.bodies, 1)) == shop.calls
    (event,) = source.decode("order", text.encode(), Provenance("shop", datetime(2026, 11, 20, tzinfo=UTC), 0, ""))
    assert ["TP-0001", "TP-0001"] == [line["sku"] for line in event.value["lines"]]
    assert ("BE", "DE", "Bonn") == (
        event.value["billing_address"]["region"],
        event.value["billing_address"]["country"],
        event.value["shipping_address"]["city"],
    )


async def test_a_customer_changed_when_the_shop_says_so(api: ApiClient, source: NopCommerceSource) -> None:
    wanted = source.wanted(
        json.dumps({"type": "customer.changed", "occurredAt": "2026-11-20T10:00:00Z", "data": {"entity": "customer", "entityId": 7}}).encode()
    )
    assert Fetch("customer", 7, as_of="2026-11-20T10:00:00Z") == wanted
    (event,) = source.decode("customer", (await fetched(source, api, wanted)).encode(), Provenance("shop", datetime.now(UTC), 0, ""))
    assert datetime(2026, 11, 20, 10, tzinfo=UTC) == event.meta["occurred_at"]


@pytest.mark.parametrize("change", [{"email": None}, {"email": ""}, {"is_system_account": True}])
async def test_a_guest_is_no_customer(api: ApiClient, shop: Shop, source: NopCommerceSource, change: dict[str, object]) -> None:
    shop.bodies["Customer/GetById/7"] = {**shop.bodies["Customer/GetById/7"], **change}
    assert None is await source.fetch(api, Fetch("customer", 7), NoReferences())


async def test_a_customer_is_fetched_with_its_addresses(api: ApiClient, shop: Shop, source: NopCommerceSource) -> None:
    text = await fetched(source, api, Fetch("customer", 7))
    expected = ["Address/GetById/11", "Country/GetById/81", "Customer/GetById/7", "GenericAttribute/GetAttributesForEntity/7"]
    assert [*expected, "StateProvince/GetById/60"] == sorted(shop.calls.elements())
    assert ["customer"] == [
        event.meta["key"].split("/")[1] for event in source.decode("customer", text.encode(), Provenance("shop", datetime.now(UTC), 0, ""))
    ]


async def test_countries_and_states_are_read_once_and_all_else_anew(api: ApiClient, shop: Shop, source: NopCommerceSource) -> None:
    for _ in range(3):
        await fetched(source, api, ORDER_1001)
    assert (1, 1, 3, 3) == tuple(
        shop.calls[path] for path in ("Country/GetById/81", "StateProvince/GetById/60", "Order/GetById/1001", "Product/GetById/31")
    )


LIST, TYPED = 1, 4
CHOSEN = "<Attributes><{0} ID='{1}'><{0}Value><Value>{2}</Value></{0}Value></{0}></Attributes>"


def with_attributes(shop: Shop) -> None:
    """Give order 1001 a source chosen from a list, and its customer a type that was chosen and one that the shop keeps by name."""
    shop.bodies["Order/GetById/1001"] = {**ORDER, "store_id": 1, "checkout_attributes_xml": CHOSEN.format("CheckoutAttribute", 4, 2)}
    shop.bodies["CheckoutAttribute/GetById/4"] = {"id": 4, "name": "Order Source", "attribute_control_type_id": LIST}
    shop.bodies["CheckoutAttributeValue/GetById/2"] = {"id": 2, "name": "Trade fair"}
    shop.bodies["CustomerAttribute/GetById/9"] = {"id": 9, "name": "Industry", "attribute_control_type_id": TYPED}
    values = {"Customer Type": "VIP", "PasswordRecoveryToken": "secret", "CustomCustomerAttributes": CHOSEN.format("CustomerAttribute", 9, 55)}
    shop.bodies["GenericAttribute/GetAttributesForEntity/7"] = [
        {"id": 1, "entity_id": 7, "key_group": "Customer", "key": key, "value": value, "store_id": 0} for key, value in values.items()
    ]


async def test_attributes_are_fetched_with_their_names_and_those_once(api: ApiClient, shop: Shop, source: NopCommerceSource) -> None:
    with_attributes(shop)
    texts = [await fetched(source, api, ORDER_1001) for _ in range(2)]
    event, *_ = source.decode("order", texts[1].encode(), Provenance("shop", datetime(2026, 11, 20, tzinfo=UTC), 0, ""))
    assert {"Customer Type": "VIP", "Industry": "55", "Order Source": "Trade fair"} == event.value["custom_fields"]
    once = ["CheckoutAttribute/GetById/4", "CheckoutAttributeValue/GetById/2", "CustomerAttribute/GetById/9"]
    assert [1, 1, 1, 2] == [shop.calls[path] for path in (*once, "GenericAttribute/GetAttributesForEntity/7")]
    assert "CustomerAttributeValue/GetById/55" not in shop.calls, "it was typed, so it is no id"
    await fetched(source, api, Fetch("customer", 7))
    assert 1 == shop.calls["CustomerAttribute/GetById/9"]


async def test_a_customer_s_attributes_are_read_by_name_and_no_token_of_theirs_is_kept(api: ApiClient, shop: Shop, source: NopCommerceSource) -> None:
    with_attributes(shop)
    for wanted in (ORDER_1001, Fetch("customer", 7)):
        text = await fetched(source, api, wanted)
        assert ["CustomCustomerAttributes", "Customer Type"] == sorted(row["key"] for row in json.loads(text)["customer_attributes"])
        assert "secret" not in text


async def test_an_attribute_that_the_shop_knows_no_more_keeps_its_id(api: ApiClient, shop: Shop, source: NopCommerceSource) -> None:
    with_attributes(shop)
    del shop.bodies["CheckoutAttribute/GetById/4"], shop.bodies["CustomerAttribute/GetById/9"]
    text = await fetched(source, api, ORDER_1001)
    event, *_ = source.decode("order", text.encode(), Provenance("shop", datetime(2026, 11, 20, tzinfo=UTC), 0, ""))
    assert {"Customer Type": "VIP", "customer attribute 9": "55", "checkout attribute 4": "2"} == event.value["custom_fields"]


@pytest.mark.parametrize("hostile", ["7/../../OrderProcessing/CancelOrder/5", "²", "9999999999", "9" * 5_000, "-1", ""])
async def test_an_attribute_s_id_that_is_no_number_never_becomes_part_of_a_path(
    api: ApiClient, shop: Shop, source: NopCommerceSource, hostile: str
) -> None:
    with_attributes(shop)
    bodies = set(shop.bodies)
    shop.bodies["Order/GetById/1001"]["checkout_attributes_xml"] = CHOSEN.format("CheckoutAttribute", hostile, 2)
    await fetched(source, api, ORDER_1001)
    shop.bodies["Order/GetById/1001"]["checkout_attributes_xml"] = CHOSEN.format("CheckoutAttribute", 4, hostile)
    await fetched(source, api, ORDER_1001)
    assert set() == set(shop.calls) - bodies


async def test_attributes_that_are_not_safe_to_read_are_refused_by_name(api: ApiClient, shop: Shop, source: NopCommerceSource) -> None:
    shop.bodies["Order/GetById/1001"] = {**ORDER, "checkout_attributes_xml": "<!DOCTYPE x [<!ENTITY a 'ha'>]><x>&a;</x>"}
    with pytest.raises(DataError) as caught:
        await fetched(source, api, ORDER_1001)
    assert "checkout_attributes_xml" == caught.value.field


async def test_two_shops_do_not_share_countries(api: ApiClient, shop: Shop, source: NopCommerceSource) -> None:
    await fetched(source, api, ORDER_1001)
    api.name = "shop-2"
    await fetched(source, api, ORDER_1001)
    assert 2 == shop.calls["Country/GetById/81"]


async def test_an_amount_keeps_the_digits_that_the_shop_sent(api: ApiClient, shop: Shop, source: NopCommerceSource) -> None:
    shop.bodies["Order/GetById/1001"] = json.dumps(ORDER).replace("30,", "30.1000000000000000055,")
    text = await fetched(source, api, ORDER_1001)
    assert Decimal("30.1000000000000000055") == json.loads(text, parse_float=Decimal)["order"]["order_total"]


async def test_items_are_taken_as_a_page_too(api: ApiClient, shop: Shop, source: NopCommerceSource) -> None:
    array = await fetched(source, api, ORDER_1001)
    shop.bodies["OrderItem/GetOrderItems/1001"] = {"total_count": 2, "page_index": 0, "items": ITEMS}
    page = await fetched(source, api, ORDER_1001)
    assert json.loads(array)["products"] == json.loads(page)["products"]


async def test_a_large_order_arrives_whole(api: ApiClient, shop: Shop, source: NopCommerceSource) -> None:
    many = [{**ITEMS[0], "id": number, "attribute_description": "Size: large, " * 40} for number in range(2_000)]
    shop.bodies["OrderItem/GetOrderItems/1001"] = many
    assert many == json.loads(await fetched(source, api, ORDER_1001))["items"]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("Order/GetById/1001", "order"),
        ("Customer/GetById/7", "customer"),
        ("Address/GetById/12", "address"),
        ("Product/GetById/31", "product"),
        ("Country/GetById/81", "country"),
        ("GenericAttribute/GetAttributesForEntity/7", "attributes of customer"),
    ],
)
async def test_what_the_shop_does_not_have_is_a_data_error_that_names_it(
    api: ApiClient, shop: Shop, source: NopCommerceSource, path: str, field: str
) -> None:
    del shop.bodies[path]
    with pytest.raises(DataError, match=r"does not exist at shop") as caught:
        await fetched(source, api, ORDER_1001)
    assert (field, path.rpartition("/")[2]) == (caught.value.field, caught.value.value)


@pytest.mark.parametrize("body", ["<html>", "", "[]", "3", "null", '{"a":1},"order":{"id":1}', "[" * 100_000], ids=lambda body: body[:12])
@pytest.mark.parametrize(
    ("path", "field"),
    [("Order/GetById/1001", "order"), ("Customer/GetById/7", "customer"), ("Product/GetById/31", "product"), ("Address/GetById/11", "address")],
)
async def test_an_answer_that_is_no_object_is_refused_before_it_stands_in_the_inbox(
    api: ApiClient, shop: Shop, source: NopCommerceSource, path: str, field: str, body: str
) -> None:
    shop.bodies[path] = body
    with pytest.raises(DataError) as caught:
        await fetched(source, api, ORDER_1001)
    assert field == caught.value.field


@pytest.mark.parametrize("text", ["<html>", "3", "null", "[1]", '{"items": {}}', "{}"])
def test_a_list_answer_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(DataError) as caught:
        rows(text)
    assert "items" == caught.value.field


HOSTILE = ["7/../../OrderProcessing/CancelOrder/5", "7?x=", True, -7, 7.5, [7], {"id": 7}]


@pytest.mark.parametrize("hostile", HOSTILE, ids=str)
@pytest.mark.parametrize("field", ["customer_id", "billing_address_id"])
async def test_an_id_that_is_no_number_never_becomes_part_of_a_path(
    api: ApiClient, shop: Shop, source: NopCommerceSource, field: str, hostile: object
) -> None:
    shop.bodies["Order/GetById/1001"] = {**ORDER, field: hostile}
    with pytest.raises(DataError):
        await fetched(source, api, ORDER_1001)
    assert set() == set(shop.calls) - set(Shop().bodies)


@pytest.mark.parametrize("entity", ["order", "customer"])
@pytest.mark.parametrize("hostile", ["7/../../OrderProcessing/CancelOrder/5", "", "-7", "x", "٣x"])
async def test_an_id_of_a_list_that_is_no_number_is_refused(api: ApiClient, shop: Shop, source: NopCommerceSource, entity: str, hostile: str) -> None:
    with pytest.raises(DataError) as caught:
        await fetched(source, api, Fetch(entity, hostile, "{}"))
    assert ("id", 0) == (caught.value.field, sum(shop.calls.values()))


async def test_an_order_of_a_list_is_fetched_as_one_that_a_webhook_named(api: ApiClient, source: NopCommerceSource) -> None:
    assert await fetched(source, api, ORDER_1001) == await fetched(source, api, Fetch("order", "1001", json.dumps(ORDER)))


async def test_an_order_without_a_customer_is_refused_by_name(api: ApiClient, shop: Shop, source: NopCommerceSource) -> None:
    shop.bodies["Order/GetById/1001"] = {**ORDER, "customer_id": None}
    with pytest.raises(DataError) as caught:
        await fetched(source, api, ORDER_1001)
    assert "customer_id" == caught.value.field
