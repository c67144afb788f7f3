"""A producer for asyncio whose `send` returns when the broker has acknowledged the record."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message

from towpath.errors import DataError, RetryableError
from towpath.kafka import KafkaSettings, make_producer
from towpath.refusal import Refusal

IDLE_SECONDS = 0.1
SOON_SECONDS = 0.001
PAUSE_SECONDS = 0.01  # how long to give way to librdkafka
TOO_LARGE = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE}

Headers = Sequence[tuple[str, bytes]]
Placed = tuple[int, int]


class AckedProducer:
    """Sends records and waits for their acknowledgement.

    The loop itself polls librdkafka, every millisecond while reports are due: a thread that polls would fight the loop for the interpreter once
    a record, which cost a busy receiver more than all else it does with Kafka. Make it inside the running loop, and close it there.
    """

    def __init__(self, settings: KafkaSettings, **overrides: str | float | bool) -> None:
        self._refusal = Refusal(settings.client_config())
        self._producer = make_producer(settings, self._refusal, **overrides)
        self._loop = asyncio.get_running_loop()
        self._due = 0
        self._fatal: asyncio.Future[str] = self._loop.create_future()
        self._next_poll = self._loop.call_later(IDLE_SECONDS, self._poll)

    async def serve_until(self, stop: asyncio.Event) -> None:
        """Return once `stop` is set; raises RetryableError when librdkafka can send nothing more, which only a new process mends."""
        stopping: asyncio.Future[Any] = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([stopping, self._fatal], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        if self._fatal.done():
            raise RetryableError(f"sending to Kafka: {self._fatal.result()}", system_wide=True)

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> Placed:
        """Return (partition, offset) once every in-sync replica has the record.

        Raises:
            RetryableError: it was not acknowledged within the delivery timeout (30 s), or Kafka refused it for now; it may be there all the same.
            DataError: Kafka does not take a record of this size.
        """
        acked: asyncio.Future[Placed] = self._loop.create_future()
        report = partial(self._report, topic, acked)
        while True:
            try:
                self._producer.produce(topic, value, key, headers=list(headers), on_delivery=report)
                break
            except BufferError:
                await asyncio.sleep(PAUSE_SECONDS)
            except KafkaException as error:
                raise self._as_error(topic, error.args[0]) from error
        self._expect_report()
        return await acked

    async def flush(self, seconds: float = 30) -> None:
        """Return when everything sent so far is acknowledged or refused; raise RetryableError where `seconds` are not enough."""
        if left := await self._drained(seconds):
            message = f"sending to Kafka: {left} records are not acknowledged after {seconds:g} s"
            raise RetryableError(message, system_wide=True)

    async def close(self, seconds: float = 10) -> None:
        """Send what is buffered, for at most `seconds`; a send still waiting then raises RetryableError."""
        try:
            await self.flush(seconds)
        finally:
            self._producer.purge()
            await self._drained(1)
            self._next_poll.cancel()

    async def _drained(self, seconds: float) -> int:
        """Return how many records have no report yet when none is left, or after `seconds`.

        librdkafka's own `flush` would poll in a second thread, and confluent-kafka 2.16 raises a fatal error there as something that is no
        exception, which nothing catches.
        """
        deadline = self._loop.time() + seconds
        while (left := len(self._producer)) and self._loop.time() < deadline:  # noqa: ASYNC110 - librdkafka tells of no event
            await asyncio.sleep(PAUSE_SECONDS)
        return left

    def _expect_report(self) -> None:
        self._due += 1
        if self._due == 1:
            self._next_poll.cancel()
            self._next_poll = self._loop.call_later(SOON_SECONDS, self._poll)

    def _report(self, topic: str, acked: asyncio.Future[Placed], error: KafkaError | None, message: Message) -> None:
        self._due -= 1
        if error is None:
            self._refusal.reason = None
        if acked.done():  # its sender was cancelled
            return
        if error is not None:
            acked.set_exception(self._as_error(topic, error))
        else:
            partition, offset = message.partition(), message.offset()
            acked.set_result((-1 if partition is None else partition, -1 if offset is None else offset))

    def _as_error(self, topic: str, error: KafkaError) -> Exception:
        if error.code() in TOO_LARGE:
            return DataError(f"sending to {topic}: {error.str()}; raise max.message.bytes of the topic, or shrink the record", field="value")
        return RetryableError(f"sending to {topic}: {self._refusal.reason or error.str()}", system_wide=True)

    def _poll(self) -> None:
        try:
            self._producer.poll(0)
        except Exception as error:  # noqa: BLE001 - a fatal error of librdkafka, told once; the reports have to come all the same
            if not self._fatal.done():
                self._fatal.set_result(str(error))
        self._next_poll = self._loop.call_later(SOON_SECONDS if self._due else IDLE_SECONDS, self._poll)
