"""The harness's own webhooks are what the receiver takes for the ERP's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from producers.receiver import Receiver, doors, runner_of
from towpath.chaos.webhooks import Sender
from towpath.clock import SystemClock
from towpath.config import Config
from towpath.demo.pairs import ERP, ERP_WEBHOOK_SECRET
from towpath.errors import RetryableError
from towpath.metrics import Metrics
from towpath.testing.producer import FakeProducer

MINUTE = timedelta(minutes=1)


@pytest.fixture
def producer() -> FakeProducer:
    return FakeProducer()


@pytest.fixture
async def sender(monkeypatch: pytest.MonkeyPatch, producer: FakeProducer) -> AsyncIterator[Sender]:
    monkeypatch.setenv("ERP_SECRET", ERP_WEBHOOK_SECRET)
    connection = {"system": "bng", "url": "http://erp.example", "credentials": {}, "webhook_secret": "env:ERP_SECRET"}
    config = Config.model_validate({"connections": {ERP: connection}})
    runner = runner_of(Receiver(doors(config), producer, config, SystemClock(), Metrics()))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    arena: Any = SimpleNamespace(stack=SimpleNamespace(ports={"receiver": runner.addresses[0][1]}))
    async with Sender(arena) as sender:
        yield sender
    await runner.cleanup()


async def test_each_is_another_webhook_and_authentic_within_five_minutes(sender: Sender, producer: FakeProducer) -> None:
    answers = [await sender.send('{"type": "nothing"}', off) for off in (0 * MINUTE, 4 * MINUTE, 6 * MINUTE, -6 * MINUTE)]
    assert [204, 204, 401, 401] == [answer.status for answer in answers]
    assert [answer.webhook_id.encode() for answer in answers if answer.accepted] == [dict(sent.headers)["webhook-id"] for sent in producer.sent]


async def test_a_refusal_is_told_and_the_next_goes_over_the_same_line(sender: Sender, producer: FakeProducer) -> None:
    async def away(_topic: str) -> None:
        raise RetryableError("Kafka is away")

    producer.before = away
    refused = await sender.send("{}")
    producer.before = None
    assert (503, True, False, True) == (refused.status, refused.told_when, refused.accepted, (await sender.send("{}")).accepted)


async def test_where_nobody_listens_there_is_no_answer() -> None:
    arena: Any = SimpleNamespace(stack=SimpleNamespace(ports={"receiver": 1}))
    async with Sender(arena) as sender:
        assert (0, False) == ((answer := await sender.send("{}")).status, answer.accepted)
