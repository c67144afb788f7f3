"""When librdkafka can go on no more, the role ends, to be started again. The fatal errors are real: told by librdkafka's own mock of a broker."""

from __future__ import annotations

import asyncio
import ctypes
import importlib
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, cimpl

from towpath.acked import AckedProducer
from towpath.clock import SystemClock
from towpath.delivery import alone
from towpath.delivery.lanes import LaneLimits
from towpath.delivery.runner import LaneRunner
from towpath.demo.pairs import find_pair
from towpath.demo.stack import Stack
from towpath.errors import RetryableError
from towpath.kafka import KafkaSettings
from towpath.metrics import Metrics
from towpath.runtime.health import Health
from towpath.runtime.role import RoleContext
from towpath.testing.records import ScriptedHandler
from towpath.testing.waiting import until

PRODUCE_REQUEST = 0
librdkafka = ctypes.CDLL(cimpl.__file__)


def handle_of(client: object) -> ctypes.c_void_p:
    """Return librdkafka's handle: the first member of confluent-kafka's clients (confluent_kafka.h, `Handle`)."""
    return ctypes.c_void_p.from_address(id(client) + object.__basicsize__)


async def doom(producer: AckedProducer) -> None:
    """Have the mock broker answer the next request with what is fatal to an idempotent producer, and send one."""
    await producer.send("any", b"k", b"v")
    librdkafka.rd_kafka_handle_mock_cluster.restype = ctypes.c_void_p
    cluster = ctypes.c_void_p(librdkafka.rd_kafka_handle_mock_cluster(handle_of(producer._producer)))
    answers = (ctypes.c_int * 1)(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER)
    librdkafka.rd_kafka_mock_push_request_errors_array(cluster, ctypes.c_int16(PRODUCE_REQUEST), ctypes.c_size_t(1), answers)
    with pytest.raises(RetryableError):
        await producer.send("any", b"k", b"v")


@pytest.fixture
def nowhere(unused_tcp_port: int) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=f"127.0.0.1:{unused_tcp_port}")


async def test_a_producer_with_a_fatal_error_says_so_and_every_later_send_ends(nowhere: KafkaSettings) -> None:
    producer = AckedProducer(nowhere, test_mock_num_brokers=1)
    serving = asyncio.create_task(producer.serve_until(asyncio.Event()))
    await doom(producer)
    with pytest.raises(RetryableError, match="OUT_OF_ORDER_SEQUENCE_NUMBER"):
        await asyncio.wait_for(serving, 10)
    with pytest.raises(RetryableError, match="Fatal error"):
        await asyncio.wait_for(producer.send("any", b"k", b"v"), 10)
    await producer.close()


async def test_a_healthy_producer_serves_until_the_stop(nowhere: KafkaSettings) -> None:
    producer, stop = AckedProducer(nowhere, test_mock_num_brokers=1), asyncio.Event()
    serving = asyncio.create_task(producer.serve_until(stop))
    await producer.send("any", b"k", b"v")
    assert not serving.done()
    stop.set()
    await asyncio.wait_for(serving, 10)
    await producer.close()


@pytest.mark.parametrize("module", ["producers.receiver", "producers.adapter", "producers.poller", "sinks.role"])
async def test_a_role_ends_when_its_producer_has_a_fatal_error(module: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[AckedProducer] = []

    class Doomed(AckedProducer):
        def __init__(self, settings: KafkaSettings, **overrides: Any) -> None:  # noqa: ANN401 - passed on
            super().__init__(settings, **overrides, test_mock_num_brokers=1)
            made.append(self)

    monkeypatch.setattr(f"{module}.AckedProducer", Doomed)
    monkeypatch.setattr(alone, "SECONDS", 0.1)  # nobody is there to be asked who else delivers
    stack = Stack(tmp_path / "stack", find_pair("bng-nopcommerce"))  # its configuration only: nothing of it is started
    stack.write()
    config = stack.config()
    role = importlib.import_module(module).build(config)
    running = asyncio.create_task(role.run(RoleContext(config, Metrics(), asyncio.Event(), Health())))

    async def begun() -> bool:
        return running.done() or bool(made)

    await until(begun, what="the role has a producer")
    await doom(made[0])
    done, _ = await asyncio.wait({running}, timeout=20)
    assert done
    assert "OUT_OF_ORDER_SEQUENCE_NUMBER" in str(_innermost(running.exception()))


async def test_a_runner_ends_when_its_consumer_has_a_fatal_error(nowhere: KafkaSettings) -> None:
    handler, clock = ScriptedHandler(), SystemClock()
    runner = LaneRunner(nowhere, group="g", topic="t", handler=handler, clock=clock, limits=LaneLimits(), connection="c", metrics=Metrics())
    running = asyncio.create_task(runner.run(asyncio.Event()))

    async def begun() -> bool:
        return runner._consumer is not None

    await until(begun, what="the runner has a consumer")
    librdkafka.rd_kafka_test_fatal_error(handle_of(runner._consumer), KafkaError.FENCED_INSTANCE_ID, b"forced")
    with pytest.raises(RetryableError, match="reading t: "):
        await asyncio.wait_for(running, 20)


def _innermost(error: BaseException | None) -> BaseException | None:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
