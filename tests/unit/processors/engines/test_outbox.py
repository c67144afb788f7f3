from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from processors.engines.outbox import Outbox
from processors.engines.sender import Send
from processors.engines.settings import EngineError
from processors.port import Output

NOWHERE = {"bootstrap.servers": "127.0.0.1:1", "message.timeout.ms": 300, "log_level": 0, "message.max.bytes": 2000}


def test_trouble_is_told_and_tried_again_until_the_caller_gives_up() -> None:
    outbox, waits, sends = Outbox(NOWHERE), [], [Send(Output("out", b"k", b"v"))]

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return len([pause for pause in waits if pause]) < 2

    outbox.put(sends)
    assert not outbox.settle(lambda: sends, wait)
    assert outbox.trouble == "sending to out: Local: Message timed out"
    assert [pause for pause in waits if pause] == [0.1, 0.2]
    outbox.close()


def test_a_record_that_no_broker_takes_is_the_end() -> None:
    outbox, sends = Outbox(NOWHERE), [Send(Output("out", b"k", b"v" * 5000))]
    outbox.put(sends)
    with pytest.raises(EngineError, match=r"sending to out: .*Message size too large"):
        outbox.settle(lambda: sends, lambda _: True)
    outbox.close()


def test_what_is_refused_is_sent_again_with_the_others_of_its_key_in_their_order() -> None:
    outbox, put = Outbox(NOWHERE), list[Send]()
    sends = [Send(Output("out", key, value)) for key, value in ((b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"b", b"4"))]
    outbox._failed.append(("out", b"b", KafkaError(KafkaError._MSG_TIMED_OUT)))
    outbox.put = put.extend  # type: ignore[assignment, method-assign]
    assert outbox.settle(lambda: sends, lambda _: True)
    assert [send.output.value for send in put] == [b"2", b"4"]
    outbox.close()


def test_what_is_dropped_is_neither_sent_nor_missed() -> None:
    outbox = Outbox(NOWHERE | {"message.timeout.ms": 60_000})
    outbox.put([Send(Output("out", b"k", b"v"))])
    outbox.drop()
    assert outbox.settle(list, lambda _: False)
    outbox.close()
