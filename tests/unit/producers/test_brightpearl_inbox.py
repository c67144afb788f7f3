"""How Brightpearl's webhooks come in: a secret in the address, and sets of ids that become one record each."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import RawTestServer, TestClient
from sqlalchemy import URL

from producers.adapter import InboxHandler, find_source
from producers.base import KIND, RECEIVED_AT, WEBHOOK, WEBHOOK_ID
from producers.receiver import Receiver, doors
from producers.references import LedgerReferences
from producers.unread import Unread
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.config import Config, parse_config
from towpath.delivery.books import Books
from towpath.delivery.database import open_engine
from towpath.delivery.deadletters import Registrar
from towpath.delivery.ledger import Ledger
from towpath.delivery.parking import Parking
from towpath.errors import ConfigError
from towpath.metrics import Metrics
from towpath.records import TRACEPARENT, Record
from towpath.signatures import AddressVerifier
from towpath.systems.base import connect
from towpath.testing.clock import VirtualClock
from towpath.testing.producer import FakeProducer

SECRET = "a-secret-of-the-address-1234"
ERP = {"system": "brightpearl", "url": "http://127.0.0.1:1/public-api/acme", "credentials": {"app_ref": "a", "account_token": "env:PATH"}}
BODY = {"resourceType": "product", "fullEvent": "product.modified.on-hand-modified", "raisedOn": "2026-11-20T10:20:41.691Z", "id": "7"}
TRACE = ("traceparent", b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01")


class Door:
    """A receiver on a socket, in front of a producer in memory."""

    def __init__(self, client: TestClient[Any, Any], producer: FakeProducer) -> None:
        self._client, self.producer = client, producer

    async def post(self, query: str, body: object = BODY) -> int:
        async with self._client.post(f"/hooks/erp{query}", json=body) as answer:
            return answer.status


@pytest.fixture
async def door(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    monkeypatch.setenv("ERP_SECRET", SECRET)
    settings = {"requests_per_second": getattr(request, "param", None)}
    config = Config.model_validate({"connections": {"erp": ERP | {"webhook_secret": "env:ERP_SECRET"}}, "receiver": settings})
    producer = FakeProducer()
    receiver = Receiver(doors(config), producer, config, VirtualClock(), Metrics())
    client: TestClient[Any, Any] = TestClient(RawTestServer(receiver.answer))
    async with client:
        yield Door(client, producer)


async def test_a_webhook_with_the_secret_in_its_address_is_stored_and_the_secret_is_not(door: Door) -> None:
    assert [204, 204] == [await door.post(f"?secret={SECRET}"), await door.post(f"?secret={SECRET}")]
    first, again = door.producer.sent
    assert b"stock/7" == first.key
    assert dict(first.headers)[WEBHOOK_ID] == dict(again.headers)[WEBHOOK_ID], "the same body has the same id"
    assert SECRET.encode() not in repr(first).encode()


@pytest.mark.parametrize("query", ["", "?secret=", "?secret=wrong", f"?SECRET={SECRET}", f"?secret={SECRET}x", "?secret=%ff%00", f"/{SECRET}"])
async def test_a_webhook_without_it_is_refused(door: Door, query: str) -> None:
    assert await door.post(query) in {401, 404}
    assert [] == door.producer.sent


@pytest.mark.parametrize("door", [1.0], indirect=True)
async def test_what_comes_too_fast_is_asked_for_again_as_a_4xx_would_drop_it_for_good(door: Door) -> None:
    assert [204, 503] == [await door.post(f"?secret={SECRET}"), await door.post(f"?secret={SECRET}")]


@pytest.mark.parametrize("secret", ["", "short", "x" * 23, "with spaces in it, 123456789", "ümläut-ümläut-ümläut-ümläut", "a&b=c" * 6])
def test_a_secret_that_an_address_cannot_hold_or_a_stranger_can_guess_is_refused(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    with pytest.raises(ValueError, match="at least 24"):
        AddressVerifier(secret)
    monkeypatch.setenv("ERP_SECRET", secret or "x")
    config = Config.model_validate({"connections": {"erp": ERP | {"webhook_secret": "env:ERP_SECRET"}}})
    with pytest.raises(ConfigError, match=r"connections\.erp\.webhook_secret"):
        doors(config)


@pytest.fixture
async def adapter(tmp_path: Path) -> AsyncIterator[tuple[InboxHandler, FakeProducer]]:
    config, clock, producer = parse_config({"connections": {"erp": ERP}, "flows": {}}, resolve=False), SystemClock(), FakeProducer()
    database = URL.create("sqlite", database=str(tmp_path / "towpath.db"))
    ledger, parking = Ledger(open_engine(database), clock, "a"), Parking(open_engine(database), clock, timedelta(seconds=60))
    api, source = connect("erp", config.connections["erp"], clock, Metrics()), find_source("brightpearl")
    assert source is not None
    books = Books("erp", Registrar(default_codec(), "adapter", "adapter.erp", frozenset({"erp"})), parking, producer, clock, Metrics())
    references = LedgerReferences(config, "erp", ledger)
    unread = Unread("erp", ledger)
    yield (
        InboxHandler("erp", source=source, api=api, references=references, books=books, producer=producer, metrics=Metrics(), unread=unread),
        producer,
    )
    await api.close()
    await ledger.close()
    await parking.close()


def record(ids: str) -> Record:
    headers = [(KIND, WEBHOOK.encode()), (WEBHOOK_ID, b"w1"), (RECEIVED_AT, b"2026-11-20T10:20:42+00:00"), TRACE]
    return Record("inbox.erp", 0, 7, 0.0, b"w1", json.dumps(BODY | {"id": ids}).encode(), headers)


async def test_a_set_of_ids_becomes_a_webhook_of_each_in_the_inbox(adapter: tuple[InboxHandler, FakeProducer]) -> None:
    handler, producer = adapter
    await handler.handle(record("7-8,20"))
    assert [("inbox.erp", key) for key in (b"stock/7", b"stock/8", b"stock/20")] == [(one.topic, one.key) for one in producer.sent]
    assert ["7", "8", "20"] == [json.loads(one.value or b"")["id"] for one in producer.sent]
    for one in producer.sent:
        assert {KIND, WEBHOOK_ID, RECEIVED_AT, TRACEPARENT} == {name for name, _ in one.headers}
        assert WEBHOOK == dict(one.headers)[KIND].decode()


async def test_of_several_that_wait_for_one_id_only_the_newest_is_fetched(adapter: tuple[InboxHandler, FakeProducer]) -> None:
    handler, _ = adapter
    state = handler.state_of(record("7"))
    assert state is not None
    assert handler.state_of(record("7-8")) is None
