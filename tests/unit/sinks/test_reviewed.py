"""A customer who may be there already, from the delivery to the dead letter, the answer and what it makes: at the sandbox's own BNG."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import URL

from sinks.handler import DeliveryHandler
from tests.unit.sinks.conftest import Played, Sink
from towpath.codec import default_codec
from towpath.delivery.books import Books
from towpath.delivery.database import open_engine
from towpath.delivery.deadletters import Failure, Registrar, replay_of
from towpath.delivery.parking import Parking
from towpath.delivery.reviewing import DUPLICATE, decided
from towpath.errors import DataError
from towpath.metrics import Metrics
from towpath.records import Record
from towpath.testing.clock import STARTS_AT
from towpath.testing.producer import FakeProducer

KEY = "shop/customer/7"
WANTED = {"ExternalID": "SHOP-7", "Email": "zoe@shop.example", "FirstName": "Zoë", "LastName": "Müller"}


def a_delivery(version: int = 1) -> Record:
    texts = dict.fromkeys(("flow", "source", "event_id", "trace_id", "mapping", "mapping_version", "delivery_id"), "x")
    document = {"Customer": {"$ref": "customer", "key": KEY}, "Wanted": WANTED, "Expected": None, "Fills": False}
    value: dict[str, Any] = {
        **texts,
        "key": KEY,
        "target": "to",
        "operation": "put_customer",
        "effect_key": KEY,
        "version": {"major": version, "minor": 0},
        "document": json.dumps(document),
        "related": {f"customer {KEY}": json.dumps({**WANTED, "Match": {"Confidence": 0.8}})},
        "event_type": "CustomerChanged",
        "occurred_at": STARTS_AT,
        "received_at": STARTS_AT,
        "event": b"",
    }
    return Record("deliver.to", 0, version, 0.0, KEY.encode(), default_codec().encode("Delivery", value))


@pytest.mark.parametrize(("candidate", "customers"), [("C1001", ["C1001"]), ("", ["C1001", "C1002"])])
async def test_the_answer_is_done_and_closes_the_question(
    play: Callable[[str], Awaitable[Played]], sink_to: Callable[..., Sink], tmp_path: Path, candidate: str, customers: list[str]
) -> None:
    bng = await play("bng")
    await bng.control("POST", "customers", {"Email": "zoe@shop.example", "FirstName": "Bob", "LastName": "Stone"})
    sink, producer = sink_to(bng), FakeProducer()
    parking = Parking(open_engine(URL.create("sqlite", database=str(tmp_path / "towpath.db"))), sink.clock, timedelta(seconds=60))
    registrar = Registrar(default_codec(), "sink", "sink.to", frozenset({"to"}))
    books = Books("to", registrar, parking, producer, sink.clock, Metrics())
    handler = DeliveryHandler("to", effector=sink._effector, ledger=sink.ledger, books=books, metrics=Metrics())
    for version in (1, 2):
        with pytest.raises(DataError) as caught:
            await handler.handle(a_delivery(version))
        await handler.give_up(a_delivery(version), Failure.of(caught.value))
    older, newer = producer.decoded("dlq.to")
    assert (DUPLICATE, "C1001") == (newer["field"], newer["field_value"])
    again = replay_of({**newer, "value": decided(default_codec(), newer["value"], candidate, ["C1001"])})
    await handler.handle(Record(again.topic, 0, 3, 0.0, again.key, again.value, again.headers))
    assert {older["dead_letter_id"], newer["dead_letter_id"]} == {receipt["dead_letter_id"] for receipt in producer.decoded("receipts")}
    rows = await bng.rows("customers")
    assert customers == [row["CustomerID"] for row in rows]
    assert ("SHOP-7", "Müller") == (rows[-1]["ExternalID"], rows[-1]["LastName"])
    await parking.close()
