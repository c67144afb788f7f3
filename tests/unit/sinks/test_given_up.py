"""What a sink that dies while it gives a delivery up leaves behind: the simulation found a dead letter that nothing closed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.engine import URL

from sinks.bng import TARGET
from sinks.effector import Effector, Patience
from sinks.handler import DeliveryHandler
from towpath.codec import default_codec
from towpath.delivery.books import Books
from towpath.delivery.database import open_engine
from towpath.delivery.deadletters import PARKED, Failure, Registrar
from towpath.delivery.ledger import Effect, Ledger
from towpath.delivery.parking import Parking
from towpath.errors import RetryableError
from towpath.metrics import Metrics
from towpath.records import Record
from towpath.testing.clock import STARTS_AT, VirtualClock
from towpath.testing.producer import FakeProducer


def a_delivery() -> Record:
    texts = dict.fromkeys(("flow", "source", "event_id", "key", "trace_id", "mapping", "mapping_version", "delivery_id"), "x")
    value: dict[str, Any] = {
        **texts,
        "target": "erp",
        "operation": "create_order",
        "effect_key": "shop/order/1001",
        "version": {"major": 1, "minor": 0},
    }
    value |= {"event_type": "OrderPlaced", "occurred_at": STARTS_AT, "received_at": STARTS_AT, "document": "{}", "related": {}, "event": b""}
    return Record("deliver.erp", 0, 3, 0.0, b"shop/order/1001", default_codec().encode("Delivery", value))


async def test_a_dead_letter_is_noted_at_its_effect_before_it_is_sent(tmp_path: Path) -> None:
    clock, producer = VirtualClock(), FakeProducer()
    url = URL.create("sqlite", database=str(tmp_path / "towpath.db"))
    ledger, parking = Ledger(open_engine(url), clock, "one"), Parking(open_engine(url), clock, timedelta(seconds=60))
    books = Books("erp", Registrar(default_codec(), "sink", "sink.erp", frozenset({"erp"})), parking, producer, clock, Metrics())
    api: Any = SimpleNamespace(at=lambda _priority: None)
    effector = Effector("erp", TARGET, api, ledger, Patience(timeout=10, settle=5), clock)
    handler = DeliveryHandler("erp", effector=effector, ledger=ledger, books=books, metrics=Metrics())

    async def die(_topic: str) -> None:
        raise RetryableError("the process died here")

    producer.before = die
    with pytest.raises(RetryableError):
        await handler.give_up(a_delivery(), Failure("503", "passing", state=PARKED))
    noted = await ledger.peek(Effect("erp", "create_order", "shop/order/1001"))
    producer.before = None
    await handler.give_up(a_delivery(), Failure("503", "passing", state=PARKED))
    [letter] = producer.decoded("parked.erp")
    assert noted is not None
    assert frozenset({letter["dead_letter_id"]}) == noted.dead_letters
    await ledger.close()
    await parking.close()
