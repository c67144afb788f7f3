from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from processors.mapping import MAPPINGS
from towpath.broker.ports import free_ports
from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import place, settle
from towpath.demo.stack import Stack
from towpath.lag import lag
from towpath.runtime import read_run_file
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


async def test_f01_at_bngs_limit_nothing_is_lost_no_call_is_wasted_and_the_figures_say_so(start: Callable[..., Any]) -> None:
    """The real ratio of 600 a minute and burst 50, with a minute of 6 seconds."""

    def limited(content: dict[str, Any]) -> None:
        content["connections"][ERP]["limits"] |= {"requests_per_minute": 6_000, "burst": 50}
        for connection in content["connections"].values():
            connection["poll_seconds"] = None  # every call is counted below

    async with start(changes=limited) as stack:
        settings = stack.directory / f"sandbox-{ERP}.json"
        settings.write_text(json.dumps({**json.loads(settings.read_text()), "requests_per_minute": 600, "burst": 50, "minute_seconds": 6}))
        stack.kill(ERP)
        await stack.start()
        await place(stack, orders=60, seed=6)
        await settle(stack)
        orders, customers = await items(stack, ERP, "sales_orders"), await items(stack, ERP, "customers")
        assert len(orders) == 60
        async with aiohttp.ClientSession() as session, session.get(f"{stack.url(ERP)}/_sandbox/stats") as response:
            stats = await response.json()
        answered = sum(count for status, count in stats["statuses"].items() if status != "429")
        needed = 2 * len(orders) + 2 * len(customers)  # one look-up and one create each
        assert needed <= answered <= needed + stats["throttled"]  # a create that was throttled is looked up again
        assert stats["throttled"] <= needed * 0.1
        adapter, processor, sink = [await figures_of(stack, role) for role in ("adapter", "processor", "sink")]
        routed, gone = without_stock(processor, "towpath_routed_total"), without_stock(processor, "towpath_dropped_total")
        assert without_stock(adapter, "towpath_decoded_total") == routed + gone, "of stock a hold makes deliveries, too"
        assert sum(processor("towpath_routed_total")) == sum(sink("towpath_delivered_total"))
        assert sum(sink("towpath_delivered_total", operation="create_order", outcome="applied")) == 60
        unanswered = sum(sink("towpath_call_seconds_count", answer="none"))
        assert sum(sink("towpath_call_seconds_count", connection=ERP)) - unanswered == sum(stats["statuses"].values())
        assert sum(sink("towpath_throttled_total")) == stats["throttled"] <= sum(sink("towpath_retries_total"))
        assert {0} == set(sink("towpath_in_flight")) == set(sink("towpath_circuit_open"))
        assert sum((await figures_of(stack, "receiver"))("towpath_received_total", connection=SHOP, via="webhook")) >= 60
        for figures in (adapter, processor, sink):
            assert set(figures("towpath_lag_records")) == {0}


def without_stock(figures: Callable[..., list[float]], name: str) -> float:
    return sum(figures(name)) - sum(figures(name, event="StockChanged"))


async def figures_of(stack: Stack, role: str) -> Callable[..., list[float]]:
    """Return a function from a metric's name, and labels where only some matter, to what the role's /metrics shows of it."""
    found = read_run_file(stack.directory / "data" / "run", role)
    assert found is not None
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{found.health_port}/metrics") as response:
        shown = [sample for family in text_string_to_metric_families(await response.text()) for sample in family.samples]

    def values(name: str, **labels: str) -> list[float]:
        return [sample.value for sample in shown if sample.name == name and labels.items() <= sample.labels.items()]

    return values


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
