"""Sends records and waits until the brokers have acknowledged every one, trying again for as long as it takes."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from processors.engines.settings import EngineError, EngineSettings
from processors.port import Output
from towpath.kafka import LARGEST_RECORD

log = logging.getLogger(__name__)

ALWAYS = {"acks": "all", "enable.idempotence": True, "partitioner": "murmur2_random"}
DEFAULTS = {
    "linger.ms": 5,
    "compression.type": "lz4",
    "message.timeout.ms": 30_000,
    "queue.buffering.max.messages": 200_000,
    "message.max.bytes": LARGEST_RECORD,
}
HOPELESS = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.INVALID_MSG_SIZE,
    KafkaError.RECORD_LIST_TOO_LARGE,
    KafkaError.INVALID_RECORD,
    KafkaError._INVALID_ARG,  # noqa: SLF001 (librdkafka's own codes begin with an underscore)
}


class Send(NamedTuple):
    """An output, and the partition it must go to (-1: its key decides)."""

    output: Output
    partition: int = -1


def producer_config(settings: EngineSettings) -> dict[str, Any]:
    """Return the librdkafka configuration of the outputs: the deployment's settings, but never weaker than acks=all and idempotent."""
    return DEFAULTS | dict(settings.producer) | dict(settings.security) | ALWAYS | {"bootstrap.servers": settings.bootstrap_servers}


class Sender:
    """One confluent-kafka producer in one thread, so that the event loop never waits for it; `trouble` says why it is trying again."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._producer = Producer(dict(config))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sender")
        self._closed = False
        self.trouble: str | None = None

    async def send(self, sends: Sequence[Send]) -> list[int]:
        """Return the offsets of `sends` once all are acknowledged; raise EngineError for what no waiting will heal.

        A refused record is sent again together with the later ones of its topic and key, so that the last one of a key stays last.
        """
        offsets = [-1] * len(sends)
        todo: Sequence[int] = range(len(sends))
        pause = 0.1
        while todo:
            errors = await asyncio.get_running_loop().run_in_executor(self._thread, self._attempt, sends, todo, offsets)
            todo = self._again(sends, todo, errors)
            if todo:
                log.warning("%s; trying again in %.1f s", self.trouble, pause)
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 (jitter)
                pause = min(pause * 2, 5.0)
        self.trouble = None
        return offsets

    def _again(self, sends: Sequence[Send], todo: Sequence[int], errors: Mapping[int, KafkaError]) -> list[int]:
        again, broken = [], set()
        for i in todo:
            output = sends[i].output
            if error := errors.get(i):
                self.trouble = f"sending to {output.topic}: {error.str()}"
                if error.code() in HOPELESS or error.fatal():
                    raise EngineError(self.trouble)
                broken.add((output.topic, output.key))
            if (output.topic, output.key) in broken:
                again.append(i)
        return again

    def _attempt(self, sends: Sequence[Send], todo: Sequence[int], offsets: list[int]) -> dict[int, KafkaError]:
        errors: dict[int, KafkaError] = {}
        for i in todo:
            self._produce(i, sends[i], offsets, errors)
        while self._producer.flush(0.5):  # flush overrides linger, and every record ends acknowledged or timed out
            if self._closed:
                self._producer.purge()
        return errors

    def _produce(self, i: int, send: Send, offsets: list[int], errors: dict[int, KafkaError]) -> None:
        def report(error: KafkaError | None, message: Message) -> None:
            if error is None:
                offsets[i] = cast("int", message.offset())
            else:
                errors[i] = error

        output = send.output
        while True:
            try:
                self._producer.produce(
                    output.topic, output.value, output.key, send.partition, on_delivery=report, headers=list(output.headers) or None
                )
                return
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as exc:
                errors[i] = exc.args[0]
                return

    def close(self) -> None:
        """Give up what is not acknowledged and end the thread."""
        self._closed = True
        self._thread.shutdown(wait=False)
