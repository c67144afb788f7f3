"""A process that stood still between its fence and its call may put an old number over a newer one: what stood is put again by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import URL
from structlog.testing import capture_logs

from sinks.handler import DeliveryHandler
from sinks.later import Later
from sinks.resume import Resumer
from tests.unit.sinks.conftest import PATIENCE, Played, Sink
from towpath.codec import default_codec
from towpath.delivery.books import Books
from towpath.delivery.database import open_engine
from towpath.delivery.deadletters import Registrar
from towpath.delivery.ledger import Effect
from towpath.delivery.parking import Parked, Parking
from towpath.errors import FencedError, OutcomeUnknownError, RetryableError
from towpath.kafka import KafkaSettings
from towpath.metrics import TWINS, Metrics
from towpath.records import Output, Record
from towpath.testing.clock import STARTS_AT, VirtualClock
from towpath.testing.producer import FakeProducer
from towpath.topic_reader import Batch, Extent, Place

SKU, OTHER = "BOT-PLU-020", "JAC-OLI-039"
UPDATE = "PUT Product/Update"
TAKEOVER = 26
KAFKA = KafkaSettings(bootstrap_servers="127.0.0.1:1")


def number(version: int, quantity: int, raised_at: int = 0, sku: str = SKU) -> Record:
    """Return the delivery of a number; its offset is its version."""
    key = f"erp/stock/{sku}"
    texts = dict.fromkeys(("flow", "source", "event_id", "trace_id", "mapping", "mapping_version", "delivery_id"), "x")
    document = {"SKU": sku, "StockQuantity": quantity, "RaisedAt": raised_at or version}
    value: dict[str, Any] = {
        **texts,
        "key": key,
        "target": "to",
        "operation": "set_stock",
        "effect_key": key,
        "version": {"major": version, "minor": 0},
    }
    value |= {"document": json.dumps(document), "related": {}, "event_type": "StockChanged", "occurred_at": STARTS_AT, "received_at": STARTS_AT}
    return Record("deliver.to", 0, version, 0.0, key.encode(), default_codec().encode("Delivery", {**value, "event": b""}))


@dataclass
class Topic:
    """`TopicReader` of one topic of one partition, without Kafka."""

    records: list[Record]

    def __call__(self, _kafka: KafkaSettings) -> Topic:
        return self

    def extents(self, topics: Iterable[str]) -> dict[Place, Extent]:
        return {Place(topic, 0): Extent(topic, 0, 1 + max(record.offset for record in self.records)) for topic in topics}

    def read(self, spans: Mapping[Place, tuple[int, int]]) -> Iterator[Batch]:
        ((place, (start, end)),) = spans.items()
        for record in self.records:
            if start <= record.offset < end:
                yield Batch([record], {place: record.offset + 1})

    def close(self) -> None:
        pass


class Desk:
    """Two processes of a sink at one shop, and the topic that both read."""

    def __init__(self, shop: Played, sinks: list[Sink], parking: Parking, topic: Topic, clock: VirtualClock) -> None:
        self.shop, self.sinks, self.parking, self.topic, self.clock = shop, sinks, parking, topic, clock
        self.producer, self.metrics = FakeProducer(), Metrics()
        registrar = Registrar(default_codec(), "sink", "sink.to", frozenset({"to"}))
        books = Books("to", registrar, parking, self.producer, clock, Metrics())
        self.zombie, self.other = (
            DeliveryHandler("to", effector=sink._effector, ledger=sink.ledger, books=books, metrics=Metrics()) for sink in sinks
        )
        later = Later(KAFKA, sinks[1].ledger, self.producer, default_codec(), self.metrics)
        self.resumer = Resumer(KAFKA, ["to"], parking, self.producer, default_codec(), later)

    def standing_still(self, meanwhile: Callable[[], Awaitable[object]], how: str = "") -> None:
        """Let the next update arrive late, its answer maybe `lost`: its process stood still, and others did something."""

        async def heard(arriving: str) -> None:
            if arriving.startswith(UPDATE):
                self.shop.heard = None
                await self.clock.advance(TAKEOVER)
                await meanwhile()
                if how:
                    self.shop.cut(UPDATE, how)

        self.shop.heard = heard

    async def stock(self) -> int:
        return next(int(row["stock_quantity"]) for row in await self.shop.rows("products") if row["sku"] == SKU)

    async def heal(self) -> list[tuple[int, bool]]:
        """Send what is due, have it played by the other process, and return the versions that were sent again, and whether with force."""
        sent: list[Output] = []
        for _ in range(100):
            await asyncio.sleep(0.001)  # the database's thread notes what is to be looked at
            await self.clock.advance(PATIENCE.timeout + PATIENCE.settle)
            await self.resumer.resume("to")
            if sent := [output for output in self.producer.sent if output.topic == "deliver.to"]:
                break
        again = [Record("deliver.to", 0, 900 + index, 0.0, *output[1:]) for index, output in enumerate(sent)]
        for record in again:
            await self.other.handle(record)
        delivered = [default_codec().decode_as("Delivery", record.value)["version"]["major"] for record in again]
        return list(zip(delivered, [record.replay is not None and record.replay.force for record in again], strict=True))

    @property
    def counted(self) -> float | None:
        labels = {"connection": "to", "operation": "set_stock", "outcome": "overwritten"}
        found: float | None = self.metrics.registry.get_sample_value(f"{TWINS.name}_total", labels)
        return found


@pytest.fixture
async def desk(
    shop: Played, sink_to: Callable[..., Sink], tmp_path: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Desk]:
    topic = Topic([])
    monkeypatch.setattr("sinks.later.TopicReader", topic)
    parking = Parking(open_engine(URL.create("sqlite", database=str(tmp_path / "towpath.db"))), clock, timedelta(seconds=60))
    yield Desk(shop, [sink_to(shop, "zombie"), sink_to(shop, "other")], parking, topic, clock)
    await parking.close()


async def test_the_later_number_is_put_again_where_an_old_one_was_written_over_it(desk: Desk) -> None:
    old, new = number(100, 9), number(200, 5)
    desk.topic.records = [old, number(150, 7, sku=OTHER), new]
    desk.standing_still(lambda: desk.other.handle(new))
    with pytest.raises(FencedError):
        await desk.zombie.handle(old)
    assert 9 == await desk.stock(), "the regression"
    assert [(200, True)] == await desk.heal()
    assert (5, 1) == (await desk.stock(), desk.counted)
    assert [] == await desk.parking.due("to")
    calls = len(desk.shop.calls)
    await desk.zombie.handle(old)
    assert calls == len(desk.shop.calls), "the ledger has the newest"


async def test_the_shop_passes_through_no_state_in_between(desk: Desk) -> None:
    old, *newer = [number(version, quantity) for version, quantity in ((100, 9), (110, 50), (150, 2), (200, 0), (210, 60))]
    desk.topic.records = [old, *newer]  # the last is on its way

    async def meanwhile() -> None:
        for record in newer[:-1]:
            await desk.other.handle(record)

    desk.standing_still(meanwhile)
    with pytest.raises(FencedError):
        await desk.zombie.handle(old)
    assert 9 == await desk.stock(), "the regression"
    assert [(200, True)] == await desk.heal()
    assert 0 == await desk.stock()


async def test_a_process_that_died_when_it_had_noted_which_may_stand_leaves_it_to_the_next(desk: Desk) -> None:
    old, between, new = number(100, 9), number(150, 7), number(200, 5)
    desk.topic.records = [old, between, new]
    desk.standing_still(lambda: desk.other.handle(new))
    with pytest.raises(FencedError):
        await desk.zombie.handle(old)
    assert (200, 0) == await desk.sinks[1].ledger.overwritten(Effect("to", "set_stock", f"erp/stock/{SKU}"), (100, 0))
    assert [(150, True), (200, True)] == await desk.heal()
    assert 5 == await desk.stock()


async def test_a_number_that_rose_is_put_again_too_though_a_shop_has_fewer_when_it_sold_some(desk: Desk) -> None:
    old, new = number(100, 3), number(200, 5)
    desk.topic.records = [old, new]
    desk.standing_still(lambda: desk.other.handle(new))
    with pytest.raises(FencedError):
        await desk.zombie.handle(old)
    await desk.heal()
    assert 5 == await desk.stock()


async def test_whoever_lost_its_partitions_before_its_answer_has_the_later_put_again(desk: Desk) -> None:
    old, new = number(100, 9), number(200, 5)
    desk.topic.records = [old, new]
    waking = asyncio.ensure_future(desk.zombie.handle(old))

    async def meanwhile() -> None:
        await desk.other.handle(new)
        waking.cancel()

    desk.standing_still(meanwhile)
    with pytest.raises(asyncio.CancelledError):
        await waking
    assert [(200, True)] == await desk.heal()
    assert 5 == await desk.stock()


async def test_whoever_lost_its_answer_has_the_later_put_again(desk: Desk) -> None:
    old, new = number(100, 9), number(200, 5)
    desk.topic.records = [old, new]
    desk.standing_still(lambda: desk.other.handle(new), "lost")
    with pytest.raises(OutcomeUnknownError):
        await desk.zombie.handle(old)
    assert [(200, True)] == await desk.heal()
    assert 5 == await desk.stock()


async def test_the_last_one_that_stood_is_put_again_where_the_later_failed(desk: Desk) -> None:
    old, stood, newest = number(100, 9), number(150, 7), number(200, -1)
    desk.topic.records = [old, stood, newest]
    desk.standing_still(lambda: desk.other.handle(stood))
    with pytest.raises(FencedError):
        await desk.zombie.handle(old)
    assert [(150, True)] == await desk.heal(), "the newest is a dead letter, or on its way"
    assert 7 == await desk.stock()


async def test_where_nothing_newer_came_nothing_is_sent_and_nobody_told(desk: Desk) -> None:
    old = number(100, 9)
    desk.topic.records = [old, number(150, 7, sku=OTHER)]
    desk.standing_still(lambda: desk.other.handle(old))
    with pytest.raises(FencedError):
        await desk.zombie.handle(old)
    assert [] == await desk.heal()
    assert (9, None) == (await desk.stock(), desk.counted)


async def test_what_is_done_once_is_delivered_again_with_force_so_that_it_is_looked_for(desk: Desk) -> None:
    value = default_codec().decode_as("Delivery", number(100, 9).value)
    order = number(100, 9)._replace(value=default_codec().encode("Delivery", {**value, "operation": "create_order"}))
    desk.topic.records, ledger = [order, number(200, 5)], desk.sinks[0].ledger
    effect = Effect("to", "create_order", value["effect_key"])
    await ledger.begin(effect, digest="", lease=timedelta(seconds=20), settle=timedelta(seconds=5))
    await ledger.complete(effect, "SO1001")
    assert 1 == await desk.resumer._later.look(Parked("late-1", "deliver.to", 0, 100))
    (sent,) = desk.producer.sent
    replay = Record("deliver.to", 0, 900, 0.0, *sent[1:]).replay
    assert replay is not None
    assert (order.key, order.value, True, "sink.to") == (sent.key, sent.value, replay.force, replay.group)
    assert desk.counted is None


async def test_each_doubt_is_seen_to_in_its_own_time(desk: Desk) -> None:
    for _ in range(2):
        await desk.zombie._books.look_again(number(100, 9), 5)
        await desk.clock.advance(2)
    await desk.clock.advance(2)
    assert 1 == len(await desk.parking.due("to"))
    await desk.clock.advance(2)
    assert 1 == len(await desk.parking.due("to"))


async def test_rubbish_at_the_place_that_was_noted_is_told_and_ends_nothing(desk: Desk) -> None:
    desk.topic.records = [number(100, 9)._replace(value=b"the topic was made anew")]
    await desk.zombie._books.look_again(number(100, 9), 0)
    with capture_logs() as logged:
        await desk.resumer.resume("to")
    assert [("deliver.to", 100)] == [(line["topic"], line["offset"]) for line in logged if "its delivery is another's" in line["event"]]
    assert ([], [], 0) == (desk.producer.sent, await desk.parking.due("to"), await desk.parking.count("to"))


async def test_a_process_that_sent_nothing_has_nothing_looked_at(desk: Desk) -> None:
    async def heard(arriving: str) -> None:
        if arriving.startswith("GET Product/GetProductBySku"):  # it stands still before its fence
            desk.shop.heard = None
            await desk.clock.advance(TAKEOVER)
            await desk.other.handle(number(200, 5))

    desk.shop.heard = heard
    desk.topic.records = [number(100, 9), number(200, 5)]
    with pytest.raises(FencedError):
        await desk.zombie.handle(number(100, 9))
    assert [] == await desk.heal()


async def test_where_the_database_is_away_the_log_says_what_heals_it(desk: Desk) -> None:
    async def away(*_: object) -> None:
        raise RetryableError("database: away", system_wide=True)

    desk.parking.look_again = away  # type: ignore[method-assign, assignment]
    desk.standing_still(lambda: desk.other.handle(number(200, 5)))
    with capture_logs() as logged:
        with pytest.raises(FencedError):
            await desk.zombie.handle(number(100, 9))
        await asyncio.sleep(0)
    assert [f"towpath replay deliver.to --key erp/stock/{SKU} --force"] == [line["remedy"] for line in logged if "remedy" in line]
