"""F19: an operator redrives what parked or died while live traffic of the same keys goes on, and processes join and leave."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from pydantic import SecretStr
from structlog.testing import capture_logs

from sinks.base import Document, Operation, Standing, Update
from sinks.effector import Effector, Patience
from sinks.handler import DeliveryHandler
from sinks.later import Later
from sinks.resume import Resumer
from towpath.acked import AckedProducer
from towpath.authorisers import HeaderKey
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.delivery.books import Books
from towpath.delivery.database import open_engine
from towpath.delivery.deadletters import PARKED, Failure, Registrar, Subject
from towpath.delivery.gate import Gate
from towpath.delivery.lanes import LaneLimits
from towpath.delivery.ledger import Ledger
from towpath.delivery.parking import Parked, Parking
from towpath.delivery.runner import LaneRunner
from towpath.dialect import USUAL, Dialect, refusal_of
from towpath.http import ApiClient
from towpath.index.indexer import Indexer
from towpath.index.restoring import restore_parked
from towpath.kafka import KafkaSettings, make_admin
from towpath.metrics import Metrics
from towpath.records import Output, Record
from towpath.testing.desk import NOON, Desk
from towpath.testing.events import an_order
from towpath.testing.reading import read_all
from towpath.testing.waiting import until

ORDERS = 150
VERSIONS = 4
"""Of each order there is a parked order and its first change, and as many more changes, which are live."""


class Ledgerless:
    """A target that does whatever it is told, twice if it is told twice, and notes the order of it by key."""

    def __init__(self) -> None:
        self.orders: list[str] = []
        self.versions: dict[str, list[int]] = defaultdict(list)
        self.calls: Counter[str] = Counter()
        self.creates: Mapping[str, str] = {"order": "create_order"}
        self.operations: Mapping[str, Operation | Update] = {
            "create_order": Operation(self._find, self._create),
            "change_order": Update(self._change),
        }

    async def _find(self, _api: ApiClient, document: Document) -> Standing | None:
        return Standing(f"SO-{document['Key']}") if document["Key"] in self.orders else None

    async def _create(self, _api: ApiClient, document: Document) -> Standing:
        await self._alone(document["Key"])
        self.orders.append(document["Key"])
        return Standing(f"SO-{document['Key']}")

    async def _change(self, _api: ApiClient, document: Document, _known: int | None) -> tuple[bool, Standing]:
        key = str(document["SalesOrderID"]).removeprefix("SO-")
        await self._alone(key)
        self.versions[key].append(document["Version"])
        return True, Standing(document["SalesOrderID"])

    async def _alone(self, key: str) -> None:
        self.calls[key] += 1
        try:
            assert 1 == self.calls[key], f"two calls of {key} at once"
            await asyncio.sleep(0.001)
        finally:  # also where the partition went, and the call with it
            self.calls[key] -= 1


class Sinks:
    """Processes of the sink role over one database, for the ERP of a desk."""

    def __init__(self, desk: Desk, target: Ledgerless) -> None:
        self.desk, self.target, self.clock = desk, target, SystemClock()

    @asynccontextmanager
    async def process(self) -> AsyncIterator[None]:
        desk, clock, stop = self.desk, self.clock, asyncio.Event()
        producer, url = AckedProducer(desk.config.kafka), desk.config.database_url()
        parking = Parking(open_engine(url), clock, timedelta(seconds=2))
        ledger = Ledger(open_engine(url), clock, str(uuid.uuid4()))
        api = ApiClient(
            "erp",
            "http://127.0.0.1:1",
            dialect=Dialect(USUAL, refusal_of),
            authoriser=HeaderKey("X-API-Key", lambda: SecretStr("k")),
            gate=Gate(clock),
            timeout=5,
        )
        effector = Effector(desk.erp, self.target, api, ledger, Patience(timeout=1, settle=0.5), clock)
        registrar = Registrar(default_codec(), "sink", f"sink.{desk.erp}", frozenset(desk.config.connections))
        handler = DeliveryHandler(
            desk.erp,
            effector=effector,
            ledger=ledger,
            books=Books(desk.erp, registrar, parking, producer, clock, Metrics()),
            metrics=Metrics(),
        )
        place = {"group": f"sink.{desk.erp}", "topic": f"deliver.{desk.erp}", "connection": desk.erp}
        limits = LaneLimits(32, dependency_seconds=0.2)
        runner = LaneRunner(desk.config.kafka, **place, handler=handler, clock=clock, limits=limits, metrics=Metrics())
        later = Later(desk.config.kafka, ledger, producer, default_codec(), Metrics())
        resumer = Resumer(desk.config.kafka, [desk.erp], parking, producer, default_codec(), later)
        work = [asyncio.create_task(runner.run(stop)), asyncio.create_task(resumer.run(stop, Metrics()))]
        try:
            await asyncio.wait_for(runner.assigned.wait(), 30)
            yield
        finally:
            stop.set()
            await asyncio.gather(*work)
            await asyncio.gather(ledger.close(), parking.close(), producer.close(), api.close())


@pytest.fixture
def desk(tmp_path: Path, kafka_settings: KafkaSettings, topic_name: Callable[[str], str]) -> Desk:
    return Desk(tmp_path, kafka_settings, topic_name("").strip("."))


def a_delivery(desk: Desk, number: int, version: int) -> Output:
    """Return the order itself as version 0, else its change to that version."""
    key, texts = desk.key(number), ("event_id", "trace_id", "mapping", "mapping_version")
    operation, document = "change_order", {"SalesOrderID": {"$ref": "order", "key": key}, "Version": version}
    if not version:
        operation, document = "create_order", {"Key": key}
    value = {
        **dict.fromkeys(texts, "x"),
        "delivery_id": f"{number}-{version}",
        "flow": "orders",
        "source": desk.shop,
        "target": desk.erp,
        "operation": operation,
        "effect_key": key,
        "version": {"major": version, "minor": 0},
        "event_type": "OrderChanged" if version else "OrderPlaced",
        "key": key,
        "occurred_at": NOON,
        "received_at": NOON,
        "document": json.dumps(document),
        "related": {},
        "event": default_codec().encode("OrderPlaced", an_order(number, connection=desk.shop)),
    }
    return Output(f"deliver.{desk.erp}", key.encode(), default_codec().encode("Delivery", value))


def failed(desk: Desk, number: int, version: int, offset: int, *, state: str) -> Output:
    """Return the dead letter of a delivery that once stood at this offset; the later one failed last long before the earlier one."""
    topic, key, value, _ = a_delivery(desk, number, version)
    record = Record(topic, 0, offset, 0.0, key, value)
    failure = Failure("the ERP was away", "passing", state=state)
    return desk.registrar.dead_letter(record, failure, desk.subject(number), NOON + timedelta(minutes=60 - version))[1]


def backlog(desk: Desk) -> list[Output]:
    """Return what parked or died of every order: itself and its first change, in different topics for half of them, the change first."""
    states = [PARKED, "dead"]
    return [
        failed(desk, number, version, 1_000 + 10 * number + version, state=states[(number + version) % 2] if number % 2 else PARKED)
        for number in range(ORDERS)
        for version in (1, 0)
    ]


def open_ones(desk: Desk) -> list[dict[str, Any]]:
    return desk.lines("dlq", "list", "--where", f"connection={desk.erp}")


@pytest.mark.timeout(500)
async def test_parked_keys_are_redriven_under_live_traffic_in_order_and_nothing_is_done_twice(desk: Desk) -> None:
    target = Ledgerless()
    sinks = Sinks(desk, target)
    desk.send(*backlog(desk))

    async def live() -> None:
        for version in range(2, VERSIONS + 1):
            await asyncio.to_thread(desk.send, *(a_delivery(desk, number, version) for number in range(ORDERS)))
            await asyncio.sleep(0.5)  # so that they come before, between and behind what is redriven

    async def redrive(*arguments: str) -> str:
        return (await asyncio.to_thread(desk.run, "dlq", "replay", "--where", f"connection={desk.erp}", *arguments)).stdout

    async with sinks.process():
        told, _ = await asyncio.gather(redrive("--limit", "180"), live())
        assert "replayed 180\n" == told
        async with sinks.process():  # the partitions move while the rest is redriven, and some of it once more
            await redrive()

            def behind() -> dict[str, list[int]]:
                """Return what was applied of every order that does not stand in its newest version."""
                applied = {key: target.versions.get(key, []) for key in map(desk.key, range(ORDERS))}
                return {key: told for key, told in applied.items() if key not in target.orders or told[-1:] != [VERSIONS]}

            async def done() -> bool:
                return not behind()

            try:
                await until(done, seconds=180, what="every order in its newest version")
            except AssertionError as error:
                raise AssertionError(f"{error}: {behind()}; open: {await asyncio.to_thread(open_ones, desk)}"[:5000]) from error

    assert {desk.key(number) for number in range(ORDERS)} == set(target.orders)
    assert ORDERS == len(target.orders), "0 duplicates"
    assert [] == [(key, applied) for key, applied in target.versions.items() if sorted(set(applied)) != applied]
    async with sinks.process():  # what was under way when the processes ended is told now

        async def all_closed() -> bool:
            return [] == await asyncio.to_thread(open_ones, desk)

        await until(all_closed, seconds=100, what="every dead letter closed")
    assert ORDERS == len(target.orders)


def test_a_keys_dead_letters_are_replayed_in_the_order_in_which_they_first_came(desk: Desk) -> None:
    desk.send(*(failed(desk, 1, version, 10 + version, state=state) for version, state in ((2, PARKED), (0, PARKED), (1, "dead"))))
    assert "replayed 3\n" == desk.run("dlq", "replay", "--where", f"connection={desk.erp}").stdout
    sent = read_all(desk.config.kafka, [f"deliver.{desk.erp}"])
    assert [0, 1, 2] == [default_codec().decode_as("Delivery", one.value)["version"]["major"] for one in sent]
    assert [10, 11, 12] == [one.origin for one in sent]


@asynccontextmanager
async def resuming(desk: Desk) -> AsyncIterator[tuple[Resumer, Parking]]:
    """Run nothing but what tries again what is due at once."""
    parking = Parking(open_engine(desk.config.database_url()), SystemClock(), timedelta(0))
    producer = AckedProducer(desk.config.kafka)
    ledger = Ledger(open_engine(desk.config.database_url()), SystemClock(), "one")
    later = Later(desk.config.kafka, ledger, producer, default_codec(), Metrics())
    yield Resumer(desk.config.kafka, [desk.erp], parking, producer, default_codec(), later), parking
    await asyncio.gather(parking.close(), producer.close(), ledger.close())


async def test_what_waits_for_a_record_that_retention_took_is_told_once_and_forgotten(desk: Desk) -> None:
    letter_id, letter = desk.failure(1, state=PARKED)
    desk.send(letter)
    (record,) = read_all(desk.config.kafka, [letter.topic])
    deletion = TopicPartition(letter.topic, record.partition, record.offset + 1)
    admin = make_admin(desk.config.kafka)
    async with resuming(desk) as (resumer, parking):
        await parking.park(desk.erp, Parked(letter_id, letter.topic, record.partition, record.offset))
        await asyncio.to_thread(lambda: [one.result(10) for one in admin.delete_records([deletion]).values()])
        with capture_logs() as logs:
            await resumer.resume(desk.erp)
            await resumer.resume(desk.erp)
        assert (1, 0) == (len(logs), await parking.count(desk.erp))
    assert [] == read_all(desk.config.kafka, [f"deliver.{desk.erp}"])


async def test_what_waited_in_a_topic_that_was_made_anew_is_told_once_and_forgotten_and_nothing_else_is_sent_for_it(desk: Desk) -> None:
    _, anothers = desk.failure(1, state=PARKED)
    desk.send(anothers)
    (record,) = read_all(desk.config.kafka, [anothers.topic])
    async with resuming(desk) as (resumer, parking):
        await parking.park(desk.erp, Parked("where another's stands", anothers.topic, record.partition, record.offset))
        await parking.park(desk.erp, Parked("beyond its end", anothers.topic, record.partition, record.offset + 1))
        with capture_logs() as logs:
            await resumer.resume(desk.erp)
            await resumer.resume(desk.erp)
        assert ({"beyond its end", "where another's stands"}, 2) == ({line["dead_letter"] for line in logs}, len(logs))
        assert 0 == await parking.count(desk.erp)
    assert [] == read_all(desk.config.kafka, [f"deliver.{desk.erp}"])


async def test_what_is_parked_is_tried_again_after_the_database_was_lost(desk: Desk) -> None:
    letter_id, letter = desk.failure(1, state=PARKED)
    closed_id, closed = desk.failure(2, state=PARKED)
    later = NOON + timedelta(days=1)
    forged = Registrar(default_codec(), "sink", "g", frozenset({desk.erp})).dead_letter(
        Record(letter.topic, 0, 9, 0.0, b"k", b"v"), Failure("x", state=PARKED), Subject("nobody"), NOON
    )[1]
    desk.send(letter, closed, desk.failure(3)[1], forged, desk.registrar.receipt("applied", desk.subject(2), later, dead_letter_id=closed_id))
    parking = Parking(open_engine(desk.config.database_url()), SystemClock(), timedelta(0))
    with Indexer(desk.config) as indexer:
        await asyncio.to_thread(indexer.catch_up)
        assert 0 == await restore_parked(desk.config, indexer, settled=datetime.now(UTC) - NOON + timedelta(days=1)), "it may only just have parked"
        assert [1, 0] == [await restore_parked(desk.config, indexer, settled=NOON - datetime.now(UTC)) for _ in range(2)]
    assert 1 == await parking.count(desk.erp)
    await parking.wake(desk.erp, "")
    assert [letter_id] == [one.dead_letter_id for one in await parking.due(desk.erp)]
    await parking.close()
