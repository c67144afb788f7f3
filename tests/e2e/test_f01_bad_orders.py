from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import figures, place, settle
from towpath.demo.stack import Stack
from towpath.kafka import make_producer
from towpath.testing.waiting import until

BAD = 2001


async def towpath(stack: Stack, *arguments: str) -> str:
    """Return what an operator's command prints."""
    command = [sys.executable, "-m", "towpath", *arguments, "--config", str(stack.config_path)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    assert process.returncode == 0
    return printed.decode()


async def open_letters(stack: Stack) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (await towpath(stack, "dlq", "list", "--json")).splitlines()]


async def call(method: str, url: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    async with aiohttp.ClientSession() as session, session.request(method, url, json=body) as response:
        assert response.status < 300, await response.text()
        return await response.json()


async def place_bad(stack: Stack, kind: str) -> None:
    """Place two good orders and a bad one, number 2001."""
    await place(stack, orders=2, seed=11, first_id=1001)
    await place(stack, orders=1, seed=12, first_id=BAD, bad=[kind])
    await settle(stack)


async def correction(stack: Stack, kind: str) -> dict[str, Any]:
    """Return what mends the bad order at the shop."""
    orders = (await call("GET", f"{stack.url(SHOP)}/_sandbox/store/orders"))["items"]
    items = (await call("POST", f"{stack.url(SHOP)}/_sandbox/orders/{BAD}", {"event": None}))["items"]
    total = next(order["order_total"] for order in orders if order["id"] == BAD)
    return {
        "unknown_sku": {"items": [{**items[-1], "product_id": 1}]},
        "bad_email": {"customer": {"email": "mended@shop.example"}},
        "bad_total": {"order_total": round(total - 5, 2)},
        "unknown_status": {"order_status_id": 20},
    }[kind]


@pytest.mark.parametrize(
    ("kind", "field"), [("unknown_sku", ".SKU"), ("bad_email", "customer_email"), ("bad_total", "total"), ("unknown_status", "status")]
)
async def test_f01_a_bad_order_is_one_dead_letter_naming_the_field_until_the_shop_corrects_it(
    kind: str, field: str, start: Callable[..., Any]
) -> None:
    async with start() as stack:
        await place_bad(stack, kind)
        letters = await open_letters(stack)
        assert [letter["business_key"] for letter in letters] == [f"{SHOP}/order/{BAD}"]
        assert letters[0]["field"].endswith(field)
        assert (await figures(stack)).orders_in_target == 2
        await call("POST", f"{stack.url(SHOP)}/_sandbox/orders/{BAD}", await correction(stack, kind))
        await settle(stack)
        proof = await figures(stack)
        assert (proof.orders_in_target, proof.duplicates, await open_letters(stack)) == (3, 0, [])


async def test_f01_unknown_sku_comes_through_once_by_replay_after_the_product_arrives(start: Callable[..., Any]) -> None:
    async with start() as stack:
        await place_bad(stack, "unknown_sku")
        await call("PUT", f"{stack.url(ERP)}/_sandbox/products/GHOST-{BAD}", {})
        (letter,) = await open_letters(stack)
        await towpath(stack, "dlq", "replay", letter["dead_letter_id"])
        await settle(stack)
        proof = await figures(stack)
        assert (proof.orders_in_target, proof.duplicates, await open_letters(stack)) == (3, 0, [])
        history = await towpath(stack, "trace", str(BAD), "--json")
        steps = [(step["hop"], step["what"]) for step in map(json.loads, history.splitlines())]
        assert [what for hop, what in steps if hop == "sink"] == ["dead", "applied"]


async def test_f01_rubbish_becomes_one_dead_letter_each_and_the_others_go_on(start: Callable[..., Any]) -> None:
    async with start() as stack:
        await call("POST", f"{stack.url(SHOP)}/_sandbox/emit", {"body": "this is { not JSON"})
        producer = make_producer(stack.config().kafka)
        producer.produce("received.orders", b"\x00rubbish that is not Avro", b"shop/order/9")
        assert producer.flush(10) == 0
        await place(stack, orders=3, seed=4)
        await settle(stack)
        letters = await open_letters(stack)
        assert sorted((letter["hop"], letter["field"]) for letter in letters) == [("adapter", "body"), ("processor", "value")]
        assert (await figures(stack)).orders_in_target == 3
        await towpath(stack, "dlq", "replay", "--all")
        await until(lambda: tried_twice(stack), what="both letters tried a second time")
        assert len(await open_letters(stack)) == 2  # still rubbish, still one letter each


async def tried_twice(stack: Stack) -> bool:
    return [letter["attempts"] for letter in await open_letters(stack)] == [2, 2]
