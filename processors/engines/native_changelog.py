"""The native engine's changelog: the same compacted topic that the Faust engine has, key and value as the processor wrote them.

So a deployment that changes its engine reads its state back from there, in both directions.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from processors.engines.native_state import State
from processors.engines.settings import EngineSettings

log = logging.getLogger(__name__)

AT_ONCE = 5_000
ASK_SECONDS = 5.0
PREFETCHED_KILOBYTES = 16 * 1024


class Restorer:
    """Brings the state of partitions up to where the changelog ends now, step by step; `trouble` says why it does not come further."""

    def __init__(self, settings: EngineSettings, common: Mapping[str, Any], state: State, partitions: Iterable[int]) -> None:
        self._topic, self._state = settings.changelog, state
        self._waiting = set(partitions)
        self._ends: dict[int, int] = {}
        self._consumer = Consumer(
            {
                **common,
                "group.id": f"{settings.group}-restore",  # it joins none: librdkafka wants a name
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "queued.max.messages.kbytes": PREFETCHED_KILOBYTES,
            }
        )
        self._records, self._began = 0, time.monotonic()
        self.trouble: str | None = None

    def step(self, seconds: float) -> bool:
        """Read for about so long; True once every partition is restored."""
        try:
            if self._waiting - self._ends.keys():
                self._find_ends()
            if self._waiting:
                self._take(self._consumer.consume(AT_ONCE, seconds))
        except KafkaException as error:
            self.trouble = f"reading {self._topic}: {error.args[0].str()}"
            return False
        if self._waiting:
            return False
        if self._records:
            log.info("%s: read %d records in %.1f s", self._topic, self._records, time.monotonic() - self._began)
        return True

    def close(self) -> None:
        """Leave Kafka."""
        self._consumer.close()

    def _find_ends(self) -> None:
        starts = []
        for partition in sorted(self._waiting - self._ends.keys()):
            low, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), ASK_SECONDS)
            start = self._state.place(partition) + 1
            if start > high or 0 < start < low:
                log.warning(
                    "%s[%d] holds offsets %d to %d, and not what follows %d: its state is read back whole", self._topic, partition, low, high, start
                )
                self._state.renew(partition)
                start = 0
            self._ends[partition] = high
            if max(start, low) >= high:
                self._waiting.discard(partition)
            else:
                starts.append(TopicPartition(self._topic, partition, max(start, low)))
        self._consumer.assign(starts)

    def _take(self, messages: list[Message]) -> None:
        rows: dict[int, dict[bytes, bytes | None]] = defaultdict(dict)
        places: dict[int, int] = {}
        for message in messages:
            partition, offset = cast("int", message.partition()), cast("int", message.offset())
            error = message.error()
            if error is None:
                rows[partition][cast("bytes", message.key()) or b""] = message.value()
                places[partition] = offset
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (librdkafka's own codes begin with an underscore)
                places.setdefault(partition, offset - 1)
            else:
                self.trouble = f"reading {self._topic}: {error.str()}"
        for partition, place in places.items():
            self.trouble = None
            self._records += len(rows[partition])
            if partition in self._waiting:
                self._state.write(partition, rows[partition], place)
            if place + 1 >= self._ends[partition]:
                self._waiting.discard(partition)
