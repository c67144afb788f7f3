"""What could not be read is closed by a later reading of the same entity, and by nothing else that comes; on both kinds of database."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.engine import URL

from producers.adapter import InboxHandler
from producers.base import ASKED, BACKFILLED, KIND, PART, POLLED, READING, WEBHOOK, Fetch, Poll, Provenance, References
from producers.bng import SOURCE
from producers.unread import Unread
from tests.unit.producers.test_adapter_supersedes import Idle, NothingKnown
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.delivery.books import Books, Draft
from towpath.delivery.database import open_engine
from towpath.delivery.deadletters import DEAD, PARKED, Failure, Registrar, replay_of
from towpath.delivery.gate import Gate
from towpath.delivery.ledger import Ledger
from towpath.delivery.parking import Parking
from towpath.errors import DataError, RetryableError
from towpath.events import Event
from towpath.http import ApiClient
from towpath.metrics import Metrics
from towpath.records import EPOCH, Output, Record
from towpath.systems import nopcommerce
from towpath.testing.producer import FakeProducer

GOOD, BAD = '{"total": 1}', '{"total": "x"}'


class Shop:
    """A system whose orders say what stands in `orders`; its webhooks may carry more than a name."""

    blanked: Sequence[str] = ()
    polls: Sequence[Poll] = ()

    def __init__(self) -> None:
        self.orders: dict[str, str] = {}

    def wanted(self, body: bytes) -> Fetch:
        return Fetch("order", **json.loads(body))

    async def fetch(self, _api: ApiClient, wanted: Fetch, _references: References) -> str:
        if (found := wanted.payload or self.orders.get(str(wanted.id))) is None:
            raise DataError("there is no such order", field="id")
        return found

    def decode(self, _entity: str, payload: bytes, _provenance: Provenance) -> list[Event]:
        if payload == BAD.encode():
            raise DataError("nobody can read it", field="total")
        return []


class Adapter:
    """A process that adapts the shop, and what it has sent; several may share the database and the inbox."""

    def __init__(self, database: URL, shop: Shop, inbox: list[Output]) -> None:
        clock, metrics = SystemClock(), Metrics()
        self.producer, self.inbox, self.taken = FakeProducer(), inbox, 0
        self.ledger = Ledger(open_engine(database), clock, "adapter")
        self.parking = Parking(open_engine(database), clock, timedelta(seconds=60))
        self.unread = Unread("shop", self.ledger)
        api = ApiClient("shop", "http://127.0.0.1:1", dialect=nopcommerce.DIALECT, authoriser=Idle(), gate=Gate(clock), timeout=1)
        registrar = Registrar(default_codec(), "adapter", "adapter.shop", frozenset({"shop"}))
        self.handler = InboxHandler(
            "shop",
            source=shop,
            api=api,
            references=NothingKnown(),
            books=Books("shop", registrar, self.parking, self.producer, clock, metrics),
            producer=self.producer,
            metrics=metrics,
            unread=self.unread,
        )

    async def take(self, *outputs: Output, state: str = DEAD) -> None:
        """Append these to the inbox, and handle it to its end; what cannot be read is given up."""
        self.inbox += outputs
        while self.taken < len(self.inbox):
            await self.handle(self.taken, state)

    async def handle(self, offset: int, state: str = DEAD) -> None:
        """Handle one record, and append what it leads to to the inbox."""
        one, before = self.inbox[offset], len(self.producer.sent)
        record = Record(one.topic, 0, offset, 0.0, one.key, one.value, one.headers)
        try:
            await self.handler.handle(record)
        except DataError as error:
            await self.handler.give_up(record, Failure(str(error), state=state))
        self.inbox += [output for output in self.producer.sent[before:] if output.topic == "inbox.shop"]
        self.taken = max(self.taken, offset + 1)

    def letters(self) -> list[str]:
        """Return the ids of what was given up, in its order."""
        return [letter["dead_letter_id"] for topic in ("dlq.shop", "parked.shop") for letter in self.producer.decoded(topic)]

    def closed(self) -> list[tuple[str, str]]:
        """Return how dead letters were closed, in their order."""
        return [(receipt["outcome"], receipt["dead_letter_id"]) for receipt in self.producer.decoded("receipts")]

    async def close(self) -> None:
        await self.ledger.close()
        await self.parking.close()


Start = Callable[[], Adapter]


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
async def start(database: URL, shop: Shop) -> AsyncIterator[Start]:
    started: list[Adapter] = []
    inbox: list[Output] = []

    def adapter() -> Adapter:
        started.append(Adapter(database, shop, inbox))
        started[-1].taken = len(inbox)
        return started[-1]

    yield adapter
    for one in started:
        await one.close()


def webhook(number: str = "1001", **more: str) -> Output:
    return Output("inbox.shop", f"order/{number}".encode(), json.dumps({"id": number, **more}).encode(), [(KIND, WEBHOOK.encode())])


def listed(value: str, kind: str = POLLED, *, part: str = "", number: str = "1001") -> Output:
    return Output("inbox.shop", f"order/{number}".encode(), value.encode(), [(KIND, kind.encode()), *([(PART, part.encode())] if part else [])])


@pytest.mark.parametrize("state", [DEAD, PARKED])
@pytest.mark.parametrize("again", [webhook(), listed(GOOD), listed("", ASKED)], ids=["a webhook", "a list", "an operator"])
async def test_what_could_not_be_read_is_closed_once_its_entity_is_read_again(start: Start, shop: Shop, again: Output, state: str) -> None:
    adapter, shop.orders["1001"] = start(), BAD
    await adapter.take(webhook(), state=state)
    assert ([], state == PARKED) == (adapter.closed(), await adapter.parking.count("shop") == 1)
    shop.orders["1001"] = GOOD
    await adapter.take(again)
    assert [("resolved", adapter.letters()[0])] == adapter.closed()
    assert 0 == await adapter.parking.count("shop")
    await adapter.take(again)
    assert 1 == len(adapter.closed()), "it is told once"


async def test_what_could_not_be_fetched_is_closed_too_and_all_of_it_at_once(start: Start, shop: Shop) -> None:
    adapter = start()
    await adapter.take(webhook())
    shop.orders["1001"] = BAD
    await adapter.take(webhook(), listed(""))
    shop.orders["1001"] = GOOD
    await adapter.take(webhook())
    assert sorted(("resolved", letter) for letter in adapter.letters()) == adapter.closed()
    assert 3 == len(adapter.closed())


async def test_what_is_noted_outlives_the_process_and_follows_a_partition_that_moves(start: Start, shop: Shop) -> None:
    moves_here = start()
    shop.orders["7"] = GOOD
    await moves_here.take(webhook("7"))
    adapter, shop.orders["1001"], shop.orders["1002"] = start(), BAD, BAD
    await adapter.take(webhook(), webhook("1002"))
    first, second = adapter.letters()
    shop.orders |= {"1001": GOOD, "1002": GOOD}
    restarted = start()
    await restarted.take(webhook())
    assert [("resolved", first)] == restarted.closed()
    moves_here.taken = len(moves_here.inbox)
    moves_here.unread.moved()
    await moves_here.take(webhook("1002"))
    assert [("resolved", second)] == moves_here.closed()


async def test_another_entity_closes_nothing(start: Start, shop: Shop) -> None:
    adapter, shop.orders["1001"], shop.orders["1"] = start(), BAD, GOOD
    await adapter.take(webhook(), webhook("1"))
    assert [] == adapter.closed()


async def test_what_a_webhook_carries_itself_closes_nothing_and_what_is_read_closes_it(start: Start) -> None:
    adapter = start()
    await adapter.take(webhook(payload=BAD), webhook(payload=GOOD), listed(GOOD, BACKFILLED))
    assert [] == adapter.closed()
    await adapter.take(listed(GOOD))
    assert [("resolved", adapter.letters()[0])] == adapter.closed()


async def test_one_part_of_an_entity_closes_no_other(start: Start) -> None:
    adapter = start()
    await adapter.take(webhook(payload=BAD, part="MAIN"), listed(BAD, part="EAST"), listed(GOOD, part="WEST"), listed(GOOD))
    assert [] == adapter.closed()
    main, east = adapter.letters()
    await adapter.take(listed(GOOD, part="MAIN"))
    assert [("resolved", main)] == adapter.closed()
    await adapter.take(listed(GOOD, part="EAST"))
    assert ("resolved", east) == adapter.closed()[-1]


async def test_what_was_read_before_something_failed_does_not_close_it(start: Start, shop: Shop) -> None:
    adapter, shop.orders["1001"] = start(), GOOD
    adapter.inbox += [webhook(), webhook()]
    await adapter.handle(0)  # it was read, and comes behind the second one
    del shop.orders["1001"]
    await adapter.handle(1)
    await adapter.take()
    assert ([], 1) == (adapter.closed(), len(adapter.letters()))


async def test_what_was_read_for_the_first_record_of_all_is_noted_as_that(start: Start, shop: Shop) -> None:
    adapter, shop.orders["1001"] = start(), BAD
    adapter.inbox += [webhook(), webhook()]
    await adapter.handle(0)
    shop.orders["1001"] = GOOD
    await adapter.take()
    assert [("resolved", adapter.letters()[0])] == adapter.closed()


async def test_a_replay_closes_what_it_is_of_and_that_is_not_told_again(start: Start, shop: Shop) -> None:
    adapter, shop.orders["1001"] = start(), BAD
    await adapter.take(webhook())
    [letter] = adapter.producer.decoded("dlq.shop")
    await adapter.take(replay_of({**letter, "value": GOOD.encode()}))
    shop.orders["1001"] = GOOD
    await adapter.take(webhook())
    assert [("resolved", letter["dead_letter_id"])] == adapter.closed()


async def test_a_dead_letter_is_noted_before_it_is_sent_and_forgotten_after_its_end_was_told(start: Start, shop: Shop) -> None:
    adapter, shop.orders["1001"] = start(), BAD

    async def die(topic: str) -> None:
        if topic in {"dlq.shop", "receipts"}:
            raise ConnectionError("the process died here")

    adapter.producer.before = die
    with pytest.raises(ConnectionError):
        await adapter.take(webhook())
    adapter.producer.before = None
    await adapter.take()
    shop.orders["1001"], adapter.producer.before = GOOD, die
    with pytest.raises(ConnectionError):
        await adapter.take(webhook())
    adapter.producer.before = None
    await adapter.take()
    assert [("resolved", adapter.letters()[0])] == adapter.closed()


async def test_the_database_is_asked_for_nothing_of_what_was_always_read(start: Start, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter, shop.orders["1"], shop.orders["2"] = start(), GOOD, BAD
    await adapter.take(webhook("1"), webhook("2"))

    async def none(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(adapter.ledger, "peek", none)
    monkeypatch.setattr(adapter.ledger, "blamed", none)
    await adapter.take(webhook("1"))


async def test_nothing_is_fetched_while_the_database_does_not_tell_what_was_noted(start: Start, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter, shop.orders["1"] = start(), GOOD

    async def away(*_: object) -> None:
        raise RetryableError("database: away", system_wide=True)

    monkeypatch.setattr(adapter.ledger, "blamed", away)
    with pytest.raises(RetryableError):
        await adapter.take(webhook("1"))
    assert [] == adapter.producer.sent


@pytest.mark.parametrize("key", [None, b"", b"order", b"order/", b"or\0der/1", b"order/\xff", b"order/" + b"1" * 294], ids=repr)
async def test_what_no_database_could_hold_or_others_may_be_called_too_is_not_noted(start: Start, key: bytes | None) -> None:
    adapter = start()
    record = Record("inbox.shop", 0, 1, 0.0, key, b"bad")
    await adapter.unread.blame(record, Draft("letter", EPOCH, Output("dlq.shop", key, b"")))
    assert set() == await adapter.ledger.blamed("shop", "read")
    assert {} == await adapter.unread.ended(record._replace(offset=2, headers=[(READING, b"2")]))


def test_the_stock_that_a_webhook_of_bng_carries_is_that_of_one_warehouse() -> None:
    def parts(kind: str, data: dict[str, Any]) -> str:
        return SOURCE.wanted(json.dumps({"type": kind, "data": data}).encode()).part  # type: ignore[union-attr]  # it names one

    assert ["MAIN", "", ""] == [
        parts("inventory_updated", {"SKU": "A-7", "Warehouse": "MAIN"}),
        parts("inventory_updated", {"SKU": "A-7", "Warehouse": 7}),
        parts("product_updated", {"ProductID": "P7", "Warehouse": "MAIN"}),
    ]
