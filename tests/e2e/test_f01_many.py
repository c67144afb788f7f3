from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

from towpath.broker.ports import free_ports
from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.demo.stack import Stack
from towpath.lag import lag
from towpath.plugging import MAPPINGS
from towpath.testing.waiting import until

SECOND = "shop-b"


async def items(stack: Stack, name: str, entity: str) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(f"{stack.url(name)}/_sandbox/store/{entity}") as response:
        found: list[dict[str, Any]] = (await response.json())["items"]
        return found


def with_order_source(mappings: Path) -> None:
    """Copy the mappings, and have one say more than ours does."""
    shutil.copytree(MAPPINGS, mappings)
    path = mappings / "nopcommerce-bng" / "order_placed.json"
    model = json.loads(path.read_text())
    node = next(node for node in model["nodes"] if node["type"] == "expressionNode")
    node["content"]["expressions"].append({"id": "own", "key": "document.CustomFields", "value": "{['Order Source']: custom_fields['Order Source']}"})
    path.write_text(json.dumps(model))


async def test_f01_two_shops_with_the_same_numbers_are_two_orders_and_two_customers_as_the_merchants_own_mapping_has_them(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    (port,), own = free_ports(1), tmp_path / "mappings"
    with_order_source(own)

    def second_shop(content: dict[str, Any]) -> None:
        content["mappings_dir"] = str(own)
        content["connections"][SECOND] = {**content["connections"][SHOP], "url": f"http://127.0.0.1:{port}"}
        flow = content["flows"]["shop-orders-to-erp"]
        content["flows"]["shop-b-orders-to-erp"] = {**flow, "source": SECOND, "reference_prefix": "B-"}

    async with start(changes=second_shop) as stack:
        stack.ports[SECOND] = port
        settings = json.loads((stack.directory / f"sandbox-{SHOP}.json").read_text())
        settings["webhook_url"] = settings["webhook_url"].replace(f"/{SHOP}", f"/{SECOND}")
        (stack.directory / f"sandbox-{SECOND}.json").write_text(json.dumps(settings))
        stack.start_sandbox(SECOND, "nopcommerce")
        await stack.start()
        for name in (SHOP, SECOND):
            await until(lambda name=name: answers(stack, name), what=f"{name} is up")  # type: ignore[misc] # bound at once
            await post(f"{stack.url(name)}/_sandbox/shopper", {"orders": 20, "seed": 1, "customers": 1})
        await settle(stack)
        await until(lambda: caught_up(stack), what="the second shop's orders went through")
        placed = await items(stack, ERP, "sales_orders")
        orders = sorted(order["ExternalOrderID"] for order in placed)
        customers = sorted(customer["ExternalID"] for customer in await items(stack, ERP, "customers"))
        numbers = range(1001, 1021)
        assert orders == sorted([f"SHOP-{number}" for number in numbers] + [f"B-{number}" for number in numbers])
        assert [customer.partition("-")[0] for customer in customers] == ["B", "SHOP"]  # 20 first orders of one customer at once: one each
        assert all(order["CustomFields"].keys() == {"Order Source"} for order in placed)


async def post(url: str, body: object) -> None:
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        assert response.status < 300, await response.text()


async def answers(stack: Stack, name: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{stack.url(name)}/_sandbox/healthz") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def caught_up(stack: Stack) -> bool:
    kafka = stack.config().kafka
    behind = (
        lag(kafka, f"adapter.{SECOND}", [f"inbox.{SECOND}"])
        + lag(kafka, "processor", ["received.orders"])
        + lag(kafka, f"sink.{ERP}", [f"deliver.{ERP}"])
    )
    return behind == 0 and len(await items(stack, ERP, "sales_orders")) >= 40
