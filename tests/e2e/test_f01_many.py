from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

from processors.mapping import MAPPINGS
from towpath.broker.ports import free_ports
from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import place, settle
from towpath.demo.stack import Stack
from towpath.lag import lag
from towpath.testing.waiting import until

SECOND = "shop-b"


async def items(stack: Stack, name: str, entity: str) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(f"{stack.url(name)}/_sandbox/store/{entity}") as response:
        found: list[dict[str, Any]] = (await response.json())["items"]
        return found


async def test_f01_two_shops_with_the_same_numbers_are_two_orders_and_two_customers(start: Callable[..., Any]) -> None:
    (port,) = free_ports(1)

    def second_shop(content: dict[str, Any]) -> None:
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
        orders = sorted(order["ExternalOrderID"] for order in await items(stack, ERP, "sales_orders"))
        customers = sorted(customer["ExternalID"] for customer in await items(stack, ERP, "customers"))
        numbers = range(1001, 1021)
        assert orders == sorted([f"SHOP-{number}" for number in numbers] + [f"B-{number}" for number in numbers])
        assert [customer.partition("-")[0] for customer in customers] == ["B", "SHOP"]  # 20 first orders of one customer at once: one each


async def test_f01_the_mapping_file_alone_changes_what_bng_gets(start: Callable[..., Any], tmp_path: Path) -> None:
    own = tmp_path / "mappings"
    shutil.copytree(MAPPINGS, own)
    path = own / "nopcommerce-bng" / "order_placed.json"
    model = json.loads(path.read_text())
    node = next(node for node in model["nodes"] if node["type"] == "expressionNode")
    node["content"]["expressions"].append({"id": "own", "key": "document.CustomFields", "value": "{['Order Source']: custom_fields['Order Source']}"})
    path.write_text(json.dumps(model))

    def use_own(content: dict[str, Any]) -> None:
        content["mappings_dir"] = str(own)

    async with start(changes=use_own) as stack:
        await place(stack, orders=5, seed=2)
        await settle(stack)
        shown = [order["CustomFields"] for order in await items(stack, ERP, "sales_orders")]
        assert len(shown) == 5
        assert all(fields["Order Source"] for fields in shown)


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
