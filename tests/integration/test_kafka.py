"""The producer and consumer factories against a real Kafka."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from aiokafka.partitioner import murmur2

from towpath.acked import AckedProducer
from towpath.errors import DataError, RetryableError
from towpath.kafka import KafkaSettings, make_consumer, make_producer
from towpath.topic_setup import ensure
from towpath.topics import TopicSpec

PARTITIONS = 7


@pytest.fixture
def topic(kafka_settings: KafkaSettings, topic_name: Callable[[str], str]) -> str:
    name = topic_name("records")
    ensure(kafka_settings, [TopicSpec(name, PARTITIONS, "delete", 3_600_000)])
    return name


@pytest_asyncio.fixture
async def producer(kafka_settings: KafkaSettings) -> AsyncIterator[AckedProducer]:
    producer = AckedProducer(kafka_settings)
    yield producer
    await producer.close()


async def test_ten_thousand_keys_land_where_aiokafka_puts_them(producer: AckedProducer, topic: str) -> None:
    keys = [f"shop/order/{number}-é".encode() for number in range(10_000)]
    placed = await asyncio.gather(*(producer.send(topic, key, b"") for key in keys))
    assert [(murmur2(key) & 0x7FFFFFFF) % PARTITIONS for key in keys] == [partition for partition, _ in placed]


async def test_what_was_acknowledged_can_be_read_with_key_and_headers(producer: AckedProducer, kafka_settings: KafkaSettings, topic: str) -> None:
    partition, offset = await producer.send(topic, b"k", b"v", [("ce_id", b"1"), ("ce_id", b"2")])
    consumer = make_consumer(kafka_settings, f"{topic}.readers")
    consumer.subscribe([topic])
    message = await asyncio.to_thread(consumer.poll, 20)
    consumer.close()
    assert message is not None
    assert (partition, offset, b"k", b"v") == (message.partition(), message.offset(), message.key(), message.value())
    assert [("ce_id", b"1"), ("ce_id", b"2")] == message.headers()


async def test_sends_of_one_key_keep_their_order(producer: AckedProducer, topic: str) -> None:
    placed = await asyncio.gather(*(producer.send(topic, b"one", str(number).encode()) for number in range(500)))
    assert list(range(500)) == [offset for _, offset in placed]


async def test_a_record_beyond_the_size_limit_is_a_data_error(producer: AckedProducer, topic: str) -> None:
    with pytest.raises(DataError, match=topic):
        await producer.send(topic, b"k", random.Random(1).randbytes(2_000_000))  # Kafka measures what is compressed


async def test_a_cancelled_send_does_not_disturb_the_others(producer: AckedProducer, topic: str) -> None:
    first = asyncio.create_task(producer.send(topic, b"a", b"1"))
    await asyncio.sleep(0)
    first.cancel()
    assert await producer.send(topic, b"b", b"2")


async def test_without_a_broker_a_send_ends_as_retryable_and_the_log_stays_quiet(unused_tcp_port: int, caplog: pytest.LogCaptureFixture) -> None:
    settings = KafkaSettings(bootstrap_servers=f"127.0.0.1:{unused_tcp_port}")
    producer = AckedProducer(settings, delivery_timeout_ms=1500, linger_ms=0)
    with caplog.at_level(logging.DEBUG, "towpath.kafka.client"), pytest.raises(RetryableError, match=r"sending to nowhere"):
        await producer.send("nowhere", b"k", b"v")
    await producer.close()
    assert len(caplog.records) <= 3


async def test_closing_ends_a_send_that_still_waits(unused_tcp_port: int) -> None:
    producer = AckedProducer(KafkaSettings(bootstrap_servers=f"127.0.0.1:{unused_tcp_port}"))
    waiting = asyncio.create_task(producer.send("nowhere", b"k", b"v"))
    await asyncio.sleep(0)
    with pytest.raises(RetryableError):
        await producer.close(0.1)
    with pytest.raises(RetryableError):
        await asyncio.wait_for(waiting, 5)


def test_an_override_names_its_option_with_underscores(kafka_settings: KafkaSettings) -> None:
    assert make_producer(kafka_settings, linger_ms=0) is not None
