"""A version of Towpath that has one more field writes while this one runs: nothing is lost, and nothing dies while its schema cannot be asked for."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Mapping
from typing import Any

import fastavro
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer

from towpath.codec import HEADER, default_codec, id_of
from towpath.demo.pairs import SHOP
from towpath.events import Event, business_key, digest
from towpath.kafka import make_producer
from towpath.startup import in_daemon
from towpath.testing.played import Played
from towpath.testing.reading import read_all
from towpath.testing.waiting import until

Newer = dict[str, Any]


def newer(field: str) -> Newer:
    """Return the schema of OrderPlaced as a version has it that adds a text of this name."""
    content: Newer = json.loads(default_codec().by_name["OrderPlaced"].text)
    return content | {"fields": [*content["fields"], {"name": field, "type": ["null", "string"], "default": None}]}


def registered(pair: Played, content: Newer) -> None:
    """Register a newer schema as that version's adapter does at its start."""
    with SchemaRegistryClient({"url": f"http://127.0.0.1:{pair.stack.ports['registry']}"}) as client:
        for topic in ("received.orders", "orders"):
            assert id_of(content) == client.register_schema(f"{topic}-towpath.OrderPlaced", Schema(json.dumps(content), "AVRO"))


async def order_in(pair: Played, topic: str, number: int, schema_id: int) -> bytes:
    """Return the record of an order's placement in a topic, written with this schema, once it is there."""
    key, found = business_key(SHOP, "order", str(number)).encode(), list[bytes]()

    async def is_there() -> bool:
        records = await in_daemon(lambda: read_all(pair.stack.config().kafka, [topic]))
        values = [one.value for one in records if one.key == key and one.value is not None]
        found[:] = [value for value in values if HEADER.unpack_from(value)[1] == schema_id]
        return bool(found)

    await until(is_there, what=f"order {number} in {topic}, with the schema {schema_id}")
    return found[0]


async def placed_by_a_newer_version(pair: Played, number: int, content: Newer, **more: str) -> None:
    """Write the order of that number as a newer adapter would, made of one that the shop has."""
    like = (await pair.buy(number - 1)).order["id"]
    await pair.sales_order(int(like))
    own = await order_in(pair, "received.orders", int(like), default_codec().by_name["OrderPlaced"].id)
    event = Event("OrderPlaced", renumbered(default_codec().decode_as("OrderPlaced", own), number))
    data = io.BytesIO()
    data.write(HEADER.pack(0, id_of(content)))
    fastavro.schemaless_writer(data, fastavro.parse_schema(json.loads(json.dumps(content))), {**event.value, **more})
    producer = make_producer(pair.stack.config().kafka)
    headers: list[tuple[str, str | bytes | None]] = [("ce_source", SHOP.encode()), ("ce_id", event.meta["event_id"].encode())]
    producer.produce("received.orders", data.getvalue(), event.record_key, headers=headers)
    assert 0 == producer.flush(10)


def renumbered(order: Mapping[str, Any], number: int) -> dict[str, Any]:
    key = business_key(SHOP, "order", str(number))
    own = {**order, "order_number": str(number), "order_id": str(number), "meta": {**order["meta"], "key": key, "event_id": f"newer-{number}"}}
    return {**own, "meta": {**own["meta"], "digest": digest(own)}}


async def test_a_field_that_is_added_while_everything_runs_loses_nothing(pair: Played) -> None:
    content = newer("gift_note")
    await in_daemon(lambda: registered(pair, content))
    await placed_by_a_newer_version(pair, 9102, content, gift_note="For Zoë")
    await pair.sales_order(9102)
    await pair.bought(9103)
    public = await order_in(pair, "orders", 9102, id_of(content))
    with SchemaRegistryClient({"url": f"http://127.0.0.1:{pair.stack.ports['registry']}"}) as client:
        assert "For Zoë" == AvroDeserializer(client)(public, None)["gift_note"]
    assert [] == await pair.letters(business_key(SHOP, "order", "9102"))
    assert not {"applied", "found"}.isdisjoint(await pair.outcomes(9102, "sink"))


async def test_while_the_registry_is_away_what_needs_it_waits_and_nothing_dies(pair: Played) -> None:
    content = newer("gift_wrap")
    await in_daemon(lambda: registered(pair, content))
    registry = pair.stack.pid_of("registry")
    assert registry is not None
    os.kill(registry, signal.SIGSTOP)
    try:
        await placed_by_a_newer_version(pair, 9202, content, gift_wrap="red")

        async def waits() -> bool:
            return "does not answer" in pair.stack.log_tail("up", 200)

        await until(waits, what="a record that waits for the registry")
        assert [] == await pair.sales_orders(9202)
    finally:
        os.kill(registry, signal.SIGCONT)
    await pair.sales_order(9202, seconds=60)
    assert [] == await pair.letters(business_key(SHOP, "order", "9202"))
