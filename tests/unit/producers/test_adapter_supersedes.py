"""Of the webhooks that wait, only the newest of an entity is fetched; what carries its own content is never passed over."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from sqlalchemy.engine import URL

from producers.adapter import InboxHandler, find_source
from producers.base import FETCHED, KIND, WEBHOOK
from producers.unread import Unread
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.delivery.books import Books
from towpath.delivery.database import open_engine
from towpath.delivery.deadletters import Registrar
from towpath.delivery.gate import Gate
from towpath.delivery.ledger import Ledger
from towpath.delivery.parking import Parking
from towpath.http import ApiClient
from towpath.metrics import Metrics
from towpath.records import EPOCH, Record, Replay
from towpath.systems import nopcommerce
from towpath.testing.producer import FakeProducer


class Idle:
    """Credentials of a client that calls nobody."""

    async def headers(self, session: object) -> dict[str, str]:
        del session
        return {}

    def forget(self, refused: object) -> None:
        del refused


class NothingKnown:
    """Knows no reference."""

    async def key_of(self, entity: str, external_id: str) -> str | None:
        del entity, external_id
        return None

    def customer_of(self, reference: str) -> str | None:
        raise AssertionError(reference)

    def is_ours(self, order_reference: str) -> bool:
        del order_reference
        return False


def nothing_unread(folder: Path) -> Unread:
    """Return the notes of a connection of which all could be read."""
    return Unread("shop", Ledger(open_engine(URL.create("sqlite", database=str(folder / "ledger.db"))), SystemClock(), "adapter"))


def handler(system: str, folder: Path) -> InboxHandler:
    source = find_source(system)
    assert source is not None
    api = ApiClient("shop", "http://127.0.0.1:1", dialect=nopcommerce.DIALECT, authoriser=Idle(), gate=Gate(SystemClock()), timeout=1)
    parking = Parking(open_engine(URL.create("sqlite", database=str(folder / "ledger.db"))), SystemClock(), timedelta(seconds=60))
    registrar = Registrar(default_codec(), "adapter", "adapter.shop", frozenset({"shop"}))
    producer = FakeProducer()
    books = Books("shop", registrar, parking, producer, SystemClock(), METRICS)
    return InboxHandler(
        "shop",
        source=source,
        api=api,
        references=NothingKnown(),
        books=books,
        producer=producer,
        metrics=METRICS,
        unread=nothing_unread(folder),
    )


METRICS = Metrics()


def named(offset: int, entity: int = 1001, *, kind: str = WEBHOOK, replay: Replay | None = None) -> Record:
    body = json.dumps({"type": "order.changed", "id": "e", "data": {"entity": "order", "entityId": entity}}).encode()
    headers = [(KIND, kind.encode()), *(replay.headers() if replay else ())]
    return Record("inbox.shop", 0, offset, 0.0, b"order/1001", body, headers)


async def test_a_later_webhook_of_an_order_makes_an_earlier_one_needless(tmp_path: Path) -> None:
    shop = handler("nopcommerce", tmp_path)
    first, second = shop.state_of(named(1)), shop.state_of(named(2))
    assert first is not None
    assert second is not None
    assert first.name == second.name
    assert first.version < second.version
    assert first != shop.state_of(named(1, entity=1002))


async def test_what_was_fetched_what_is_replayed_and_rubbish_is_never_passed_over(tmp_path: Path) -> None:
    shop = handler("nopcommerce", tmp_path)
    rubbish = Record("inbox.shop", 0, 1, 0.0, b"order/1001", b"{", [(KIND, WEBHOOK.encode())])
    replay = named(1, replay=Replay("", 0, EPOCH, 0, "", replay_id="r"))
    assert [None, None, None] == [shop.state_of(record) for record in (named(1, kind=FETCHED), replay, rubbish)]


async def test_a_webhook_that_carries_its_content_is_never_passed_over(tmp_path: Path) -> None:
    row = {"SKU": "A", "Warehouse": "MAIN", "OnHand": 1, "Allocated": 0, "Available": 1, "Sequence": 3, "UpdatedAt": "2026-11-20T09:30:00Z"}
    body = json.dumps({"type": "inventory_updated", "id": "e", "occurredAt": "2026-11-20T09:30:00Z", "data": row}).encode()
    assert handler("bng", tmp_path).state_of(Record("inbox.erp", 0, 1, 0.0, b"inventory/A", body, [(KIND, WEBHOOK.encode())])) is None


async def test_a_webhook_that_is_passed_over_is_counted(tmp_path: Path) -> None:
    await handler("nopcommerce", tmp_path).supersede(named(1))
    counted = METRICS.registry.get_sample_value("towpath_dropped_total", {"event": "order", "reason": "superseded"})
    assert counted == 1
