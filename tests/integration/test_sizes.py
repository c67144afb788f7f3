"""A body of exactly the size that the receiver takes gets through, whole, as far as a record of its size can go."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest

from processors.engines.settings import EngineSettings
from processors.engines.testing import ENGINES
from processors.port import Output, ReadState, Record, Step
from producers.adapter import AdapterRole
from producers.receiver import ReceiverRole
from towpath.acked import AckedProducer
from towpath.codec import default_codec
from towpath.config import Config
from towpath.kafka import KafkaSettings, make_consumer, record_of
from towpath.metrics import Metrics
from towpath.runtime.health import Health
from towpath.runtime.role import RoleContext
from towpath.testing.waiting import until
from towpath.topic_setup import ensure
from towpath.topics import TopicSpec, load_topics

KEY = b"k" * 32
LARGEST = 1_048_576


def noise(size: int) -> bytes:
    """Return bytes that no compression makes smaller, and no body is made of."""
    return random.Random(1).randbytes(size)


def read_one(settings: KafkaSettings, topic: str) -> Record:
    consumer = make_consumer(settings, f"{topic}.readers")
    consumer.subscribe([topic])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    return record_of(message)


@pytest.fixture
async def shop(
    kafka: str, topic_name: Callable[[str], str], tmp_path: Path, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[str, Config]]:
    """Give the name of a connection, and the configuration with which receiver and adapter run for it."""
    monkeypatch.setenv("SHOP_SECRET", "whsec_" + b64encode(KEY).decode())
    name = topic_name("shop").replace(".", "-")
    connection = {"system": "nopcommerce", "url": "http://127.0.0.1:1", "webhook_secret": "env:SHOP_SECRET"}
    receiver = {"port": unused_tcp_port, "max_body_bytes": LARGEST}
    given = {"kafka": {"bootstrap_servers": kafka}, "data_dir": tmp_path, "receiver": receiver, "connections": {name: connection}}
    config = Config.model_validate(given)
    ensure(config.kafka, load_topics().expand(config.connections, LARGEST))
    contexts = [RoleContext(config, Metrics(), asyncio.Event(), Health()) for _ in range(2)]
    roles = [asyncio.create_task(ReceiverRole(config).run(contexts[0])), asyncio.create_task(AdapterRole(config).run(contexts[1]))]

    async def ready() -> bool:
        assert [] == [role.exception() for role in roles if role.done()]
        return all(context.health.is_ready for context in contexts)

    await until(ready, what="receiver and adapter are ready")
    yield name, config
    for context in contexts:
        context.stop.set()
    await asyncio.gather(*roles)


async def post(name: str, config: Config, body: bytes) -> int:
    sent_at = str(int(time.time()))
    signature = b64encode(hmac.new(KEY, f"msg_1.{sent_at}.".encode() + body, hashlib.sha256).digest()).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": sent_at, "webhook-signature": f"v1,{signature}"}
    url = f"http://127.0.0.1:{config.receiver.port}/hooks/{name}"
    async with aiohttp.ClientSession() as session, session.post(url, data=BytesIO(body), headers=headers) as response:
        return response.status


async def test_the_largest_body_is_stored_and_dead_lettered_whole(shop: tuple[str, Config]) -> None:
    name, config = shop
    body = noise(LARGEST)
    assert await post(name, config, body) == 204
    stored = await asyncio.to_thread(read_one, config.kafka, f"inbox.{name}")
    assert stored.value == body
    dead = await asyncio.to_thread(read_one, config.kafka, f"dlq.{name}")
    letter = default_codec().decode_as("DeadLetter", dead.value)
    assert (f"inbox.{name}", body) == (letter["topic"], letter["value"])


async def test_one_byte_more_is_refused(shop: tuple[str, Config]) -> None:
    assert await post(*shop, noise(LARGEST + 1)) == 413


class Copy:
    """Sends every record on to `<topic>-out`, and keeps its size."""

    def process(self, record: Record, _read: ReadState) -> Step:
        return Step([Output(f"{record.topic}-out", record.key, record.value)], {record.key or b"": b"%d" % len(record.value or b"")})


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_engine_carries_records_larger_than_it_fetches_at_once(
    kafka_settings: KafkaSettings, topic_name: Callable[[str], str], tmp_path: Path, engine: str
) -> None:
    topic, large = topic_name("orders"), noise(9_000_000)
    ensure(kafka_settings, [TopicSpec(name, 1, "delete", 3_600_000, max_bytes=10_000_000) for name in (topic, f"{topic}-out")])
    producer = AckedProducer(kafka_settings)
    await producer.send(topic, b"k", large)
    await producer.close()
    settings = EngineSettings(kafka_settings.bootstrap_servers, topic, (topic,), 1, tmp_path, replication_factor=1)
    stop = asyncio.Event()
    running = asyncio.create_task(ENGINES[engine](settings, Copy(), Metrics()).run(stop))
    sent = await asyncio.to_thread(read_one, kafka_settings, f"{topic}-out")
    stop.set()
    await asyncio.wait_for(running, 15)
    assert sent.value == large
