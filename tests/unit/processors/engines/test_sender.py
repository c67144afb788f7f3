from __future__ import annotations

import asyncio

import pytest
from confluent_kafka import KafkaError

from processors.engines.sender import Send, Sender
from processors.engines.settings import EngineError
from processors.port import Output

NOWHERE = {"bootstrap.servers": "127.0.0.1:1", "message.timeout.ms": 300, "log_level": 0, "message.max.bytes": 2000}


async def test_trouble_is_told_and_tried_again_until_closed() -> None:
    sender = Sender(NOWHERE)
    task = asyncio.create_task(sender.send([Send(Output("out", b"k", b"v"))]))
    async with asyncio.timeout(10):
        while sender.trouble is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    sender.close()
    assert sender.trouble == "sending to out: Local: Message timed out"


async def test_a_record_that_no_broker_takes_is_the_end() -> None:
    sender = Sender(NOWHERE)
    with pytest.raises(EngineError, match=r"sending to out: .*Message size too large"):
        await sender.send([Send(Output("out", b"k", b"v" * 5000))])
    sender.close()


async def test_a_refused_record_is_sent_again_with_the_later_ones_of_its_key() -> None:
    sender = Sender(NOWHERE)
    sends = [Send(Output("out", key, b"v")) for key in (b"a", b"b", b"a", b"b")]
    assert sender._again(sends, range(4), {1: KafkaError(KafkaError._MSG_TIMED_OUT)}) == [1, 3]
    sender.close()
