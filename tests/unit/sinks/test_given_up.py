"""What is given up stays until it is done: whoever dies meanwhile, and whatever else of the same order succeeds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.engine import URL

from sinks.base import Document, Operation, Standing, Target, Update
from sinks.bng import TARGET
from sinks.effector import Effector, Patience
from sinks.handler import DeliveryHandler
from towpath.codec import default_codec
from towpath.delivery.books import Books
from towpath.delivery.database import open_engine
from towpath.delivery.deadletters import PARKED, Failure, Registrar, replay_of
from towpath.delivery.ledger import Effect, Ledger
from towpath.delivery.parking import Parking
from towpath.errors import RetryableError
from towpath.http import ApiClient
from towpath.metrics import Metrics
from towpath.records import Record
from towpath.testing.clock import STARTS_AT, VirtualClock
from towpath.testing.producer import FakeProducer


class Told:
    """A target that notes which changes of an order it was told."""

    def __init__(self) -> None:
        self.changes: list[int] = []
        self.creates: Mapping[str, str] = {}
        self.operations: Mapping[str, Operation | Update] = {"change_order": Update(self._change)}

    async def _change(self, _api: ApiClient, document: Document, _known: int | None) -> tuple[bool, Standing]:
        self.changes.append(document["Change"])
        return True, Standing("SO-1")


class Process:
    """A sink for one target, over a database in this folder."""

    def __init__(self, folder: Path, target: Target, starts_at: datetime = STARTS_AT) -> None:
        clock, self.producer = VirtualClock(starts_at), FakeProducer()
        url = URL.create("sqlite", database=str(folder / "towpath.db"))
        self.ledger, self.parking = Ledger(open_engine(url), clock, "one"), Parking(open_engine(url), clock, timedelta(seconds=60))
        registrar = Registrar(default_codec(), "sink", "sink.erp", frozenset({"erp"}))
        books = Books("erp", registrar, self.parking, self.producer, clock, Metrics())
        api: Any = SimpleNamespace(at=lambda _priority: api, fenced=lambda _fence: api)
        effector = Effector("erp", target, api, self.ledger, Patience(timeout=10, settle=5), clock)
        self.handler = DeliveryHandler("erp", effector=effector, ledger=self.ledger, books=books, metrics=Metrics())

    async def close(self) -> None:
        await self.ledger.close()
        await self.parking.close()


def a_delivery(operation: str = "create_order", version: int = 1) -> Record:
    texts = dict.fromkeys(("flow", "source", "event_id", "key", "trace_id", "mapping", "mapping_version", "delivery_id"), "x")
    value: dict[str, Any] = {
        **texts,
        "target": "erp",
        "operation": operation,
        "effect_key": "shop/order/1001",
        "version": {"major": version, "minor": 0},
        "document": json.dumps({"Change": version}),
    }
    value |= {"event_type": "OrderPlaced", "occurred_at": STARTS_AT, "received_at": STARTS_AT, "related": {}, "event": b""}
    return Record("deliver.erp", 0, version, 0.0, b"shop/order/1001", default_codec().encode("Delivery", value))


async def test_a_dead_letter_is_noted_at_its_effect_before_it_is_sent(tmp_path: Path) -> None:
    process = Process(tmp_path, TARGET)

    async def die(_topic: str) -> None:
        raise RetryableError("the process died here")

    process.producer.before = die
    with pytest.raises(RetryableError):
        await process.handler.give_up(a_delivery(), Failure("503", "passing", state=PARKED))
    noted = await process.ledger.peek(Effect("erp", "create_order", "shop/order/1001"))
    process.producer.before = None
    await process.handler.give_up(a_delivery(), Failure("503", "passing", state=PARKED))
    [letter] = process.producer.decoded("parked.erp")
    assert noted is not None
    assert {letter["dead_letter_id"]} == {*noted.closed_by(None)}
    await process.close()


async def test_a_change_that_is_parked_outlives_the_success_of_an_older_one(tmp_path: Path) -> None:
    process = Process(tmp_path, target := Told())
    for version in (2, 1):
        await process.handler.give_up(a_delivery("change_order", version), Failure("no such order yet", "passing", state=PARKED))
    newer, older = (letter["dead_letter_id"] for letter in process.producer.decoded("parked.erp"))
    await process.handler.handle(a_delivery("change_order", 1))
    assert [older] == [receipt["dead_letter_id"] for receipt in process.producer.decoded("receipts")]
    assert 1 == await process.parking.count("erp")
    await process.handler.handle(a_delivery("change_order", 2))
    assert newer in {receipt["dead_letter_id"] for receipt in process.producer.decoded("receipts")}
    assert (0, [1, 2]) == (await process.parking.count("erp"), target.changes)
    await process.close()


def closed(process: Process) -> list[str]:
    """Return the dead letters that receipts have closed, in their order."""
    return [receipt["dead_letter_id"] for receipt in process.producer.decoded("receipts") if receipt["dead_letter_id"]]


async def test_a_dead_letter_that_is_closed_is_told_once_and_forgotten(tmp_path: Path) -> None:
    process = Process(tmp_path, Told())
    await process.handler.give_up(a_delivery("change_order", 1), Failure("refused"))
    [letter] = process.producer.decoded("dlq.erp")
    for version in (2, 3, 3):
        await process.handler.handle(a_delivery("change_order", version))
    assert [letter["dead_letter_id"]] == closed(process)
    await process.close()


async def test_a_dead_letter_is_not_forgotten_before_its_end_was_told(tmp_path: Path) -> None:
    process = Process(tmp_path, Told())
    await process.handler.give_up(a_delivery("change_order", 1), Failure("refused"))
    [letter] = process.producer.decoded("dlq.erp")

    async def die(_topic: str) -> None:
        raise RetryableError("the process died here")

    process.producer.before = die
    with pytest.raises(RetryableError):
        await process.handler.handle(a_delivery("change_order", 2))
    process.producer.before = None
    await process.handler.handle(a_delivery("change_order", 2))
    assert [letter["dead_letter_id"]] == closed(process)
    await process.close()


async def test_what_fails_again_after_it_was_closed_is_closed_again(tmp_path: Path) -> None:
    process = Process(tmp_path, Told())
    for version in (1, 2):
        await process.handler.give_up(a_delivery("change_order", 1), Failure("refused"))
        await process.handler.handle(a_delivery("change_order", version + 1))
    [first, second] = process.producer.decoded("dlq.erp")
    assert first["dead_letter_id"] == second["dead_letter_id"]
    assert [first["dead_letter_id"]] * 2 == closed(process)
    await process.close()


@pytest.mark.parametrize("how", ["a newer version", "a replay"])
async def test_a_success_is_no_earlier_than_the_failure_that_it_ends_though_that_host_s_clock_was_ahead(tmp_path: Path, how: str) -> None:
    ahead, behind = (Process(tmp_path, Told(), STARTS_AT + timedelta(minutes=minutes)) for minutes in (15, 0))
    await ahead.handler.give_up(a_delivery("change_order", 1), Failure("refused"))
    [letter] = ahead.producer.decoded("dlq.erp")
    again = replay_of(letter)
    played = Record(again.topic, 0, 9, 0.0, again.key, again.value, tuple(again.headers))
    await behind.handler.handle(played if how == "a replay" else a_delivery("change_order", 2))
    [receipt] = behind.producer.decoded("receipts")
    assert (letter["dead_letter_id"], letter["last_at"]) == (receipt["dead_letter_id"], receipt["at"])
    await behind.handler.give_up(played, Failure("refused once more"))
    [later] = behind.producer.decoded("dlq.erp")
    assert later["last_at"] > letter["last_at"], "what fails again is open again"
    await ahead.close()
    await behind.close()


async def test_a_delivery_too_large_for_a_dead_letter_is_told_whose_it_is_and_closed_by_a_success(tmp_path: Path) -> None:
    process = Process(tmp_path, Told())
    for failure in (Failure("refused"), Failure("refused", whole=False)):
        await process.handler.give_up(a_delivery("change_order", 1), failure)
    whole, letter = process.producer.decoded("dlq.erp")
    assert (None, "x", whole["dead_letter_id"]) == tuple(letter[name] for name in ("value", "business_key", "dead_letter_id"))
    await process.handler.handle(a_delivery("change_order", 2))
    assert [letter["dead_letter_id"]] == closed(process)
    await process.close()
