"""Queues records and waits for their acknowledgement in one thread: what the native engine sends through."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from processors.engines.sender import HOPELESS
from processors.engines.settings import EngineError
from processors.port import Output
from towpath.records import Headers

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.5
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0

ANY_PARTITION = -1
"""The partition of an output whose key decides."""

Sent = tuple[Output, int]
"""A record and the partition that it goes to."""

Wait = Callable[[float], bool]
"""Lets so many seconds pass; False when there is no use in trying on."""


class Outbox:
    """One confluent-kafka producer for one thread; `trouble` says why it is trying again, `ends` the last offset acknowledged by partition.

    `ends` is told only with `places`. Without, nothing is called for what is acknowledged: once all has ended, what was not refused is there.
    """

    def __init__(self, config: Mapping[str, Any], *, places: bool = False) -> None:
        self._producer = Producer({**config, "delivery.report.only.error": not places})
        self._report = self._placed if places else self._refused
        self._failed: list[tuple[str, bytes | None, KafkaError]] = []
        self.ends: dict[int, int] = {}
        self.trouble: str | None = None

    def put(self, sends: Iterable[Sent]) -> None:
        """Queue records; they are on their way while the caller goes on."""
        produce, report = self._producer.produce, self._report
        for (topic, key, value, headers), partition in sends:
            try:
                produce(topic, value, key, partition, on_delivery=report, headers=list(headers) or None)
            except (BufferError, KafkaException):
                self._put(topic, key, value, headers, partition)

    def _put(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers, partition: int) -> None:
        """Queue a record that was not taken at once, as soon as there is room for it; what is refused for good is told when all is settled."""
        while True:
            try:
                self._producer.produce(topic, value, key, partition, on_delivery=self._report, headers=list(headers) or None)
                return
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                self._failed.append((topic, key, error.args[0]))
                return

    def settle(self, sends: Callable[[], Iterable[Sent]], wait: Wait) -> bool:
        """Return True once all that was put is acknowledged, False where `wait` gave up; raises EngineError for what no waiting will heal.

        `sends` gives what was put since the last time: of a topic and key that was refused, all of it is put again, so that the last stays last.
        """
        pause = FIRST_PAUSE
        while True:
            while self._producer.flush(FLUSH_SECONDS):  # flush overrides linger, and every record ends acknowledged or timed out
                if not wait(0):
                    return False
            if not self._failed:
                self.trouble = None
                return True
            refused = self._take_refused()
            log.warning("%s; trying again in %.1f s", self.trouble, pause)
            if not wait(pause):
                return False
            pause = min(pause * 2, LONGEST_PAUSE)
            self.put(send for send in sends() if (send[0].topic, send[0].key) in refused)

    def drop(self) -> None:
        """Forget what is queued and not on its way yet."""
        self._producer.purge(in_queue=True, in_flight=False)
        self._producer.poll(0)
        self._failed.clear()
        self.trouble = None

    def close(self) -> None:
        """Give up what is not acknowledged."""
        self._producer.purge()
        self._producer.flush(FLUSH_SECONDS)

    def _take_refused(self) -> set[tuple[str, bytes | None]]:
        refused = set()
        for topic, key, error in self._failed:
            self.trouble = f"sending to {topic}: {error.str()}"
            if error.code() in HOPELESS or error.fatal():
                raise EngineError(self.trouble)
            refused.add((topic, key))
        self._failed.clear()
        return refused

    def _refused(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failed.append((message.topic() or "", _bytes(message.key()), error))

    def _placed(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.ends[message.partition() or 0] = message.offset() or 0
        else:
            self._refused(error, message)


def _bytes(key: str | bytes | None) -> bytes | None:
    return key.encode() if isinstance(key, str) else key
