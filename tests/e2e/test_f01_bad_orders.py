from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import aiohttp

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


KINDS = {"unknown_sku": ".SKU", "bad_email": "customer_email", "bad_total": "total", "unknown_status": "status"}


async def correct(stack: Stack, kind: str, order_id: int) -> None:
    """Mend a bad order at the shop, which tells of it by order.changed."""
    address = f"{stack.url(SHOP)}/_sandbox/orders/{order_id}"
    looked_at = await call("POST", address, {"event": None})
    good = {"email": "mended@shop.example"}
    changes: dict[str, dict[str, Any]] = {
        "unknown_sku": {"items": [{"id": looked_at["items"][-1]["id"], "product_id": 1}]},
        "bad_email": {"customer": good, "billing_address": good, "shipping_address": good},
        "bad_total": {"order_total": round(looked_at["order"]["order_total"] - 5, 2)},
        "unknown_status": {"order_status_id": 20},
    }
    await call("POST", address, changes[kind])


async def test_f01_a_bad_order_is_one_dead_letter_naming_the_field_until_the_shop_corrects_it(start: Callable[..., Any]) -> None:
    async with start() as stack:
        await place(stack, orders=2, seed=11)
        for order_id, kind in enumerate(KINDS, start=BAD):
            await place(stack, orders=1, seed=order_id, first_id=order_id, bad=[kind])
        await settle(stack)
        fields = {letter["business_key"]: letter["field"] for letter in await open_letters(stack)}
        assert sorted(fields) == [f"{SHOP}/order/{order_id}" for order_id in range(BAD, BAD + len(KINDS))]
        assert all(fields[f"{SHOP}/order/{order_id}"].endswith(field) for order_id, field in enumerate(KINDS.values(), start=BAD))
        assert (await figures(stack)).orders_in_target == 2
        for order_id, kind in enumerate(KINDS, start=BAD):
            await correct(stack, kind, order_id)
        await settle(stack)
        proof = await figures(stack)
        assert (proof.orders_in_target, proof.duplicates, await open_letters(stack)) == (6, 0, [])


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
