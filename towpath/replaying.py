"""Records read again from their topics, and sent again to the same place through the normal path, marked as replays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from towpath.codec import Codec, default_codec
from towpath.errors import ConfigError, DataError
from towpath.kafka import KafkaSettings, make_producer
from towpath.records import ORIGIN, OURS, Output, Record, Replay
from towpath.topic_reader import Place, TopicReader

KINDS: Final = ("inbox.", "received.", "deliver.")
FLUSH_SECONDS: Final = 30.0
ROOM_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records of which topics: every condition that is given must hold (`until` and `end` are not part of the span)."""

    topics: tuple[str, ...]
    partition: int | None = None
    start: int = 0
    end: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    key: str = ""
    connection: str = ""
    flow: str = ""
    codec: Codec = field(default_factory=default_codec)

    def check(self, known: Iterable[str]) -> None:
        """Raise ConfigError for what cannot be replayed, naming the option and what there is."""
        there = sorted(topic for topic in known if topic.startswith(KINDS))
        if unknown := [topic for topic in self.topics if topic not in there]:
            raise ConfigError(f"replay: {unknown[0]} is no topic that can be replayed; there are: {', '.join(there)}")
        if not self.topics:
            raise ConfigError(f"replay: name topics, or give --all; there are: {', '.join(there)}")
        if (self.start or self.end is not None) and (self.partition is None or len(self.topics) > 1):
            raise ConfigError("replay: --from and --to are offsets of one partition; name one topic and give --partition")

    def fits(self, record: Record) -> bool:
        """Tell whether a record is meant; one that is a replay itself never is, or each replay would double the next."""
        if record.replay is not None:
            return False
        if self.since is not None and record.timestamp < self.since.timestamp():
            return False
        if self.until is not None and record.timestamp >= self.until.timestamp():
            return False
        key = (record.key or b"").decode("utf-8", "replace")
        if self.key and self.key not in (key, key.rpartition("/")[2]) and not (key and self.key.endswith(f"/{key}")):
            return False  # the third: a business key, such as shop/order/1001 of order/1001 in the shop's inbox
        if self.connection and self.connection not in (record.topic.partition(".")[2], record.header("ce_source")):
            return False
        return not self.flow or self._is_of_flow(record)

    def _is_of_flow(self, record: Record) -> bool:
        """Tell whether a record may belong to the flow: of deliveries only its own do, of what comes before them the processor takes what does."""
        if not record.topic.startswith("deliver."):
            return True
        try:
            return bool(self.codec.decode_as("Delivery", record.value)["flow"] == self.flow)
        except DataError:  # of no flow: the sink has it as a dead letter
            return False

    def spans(self, reader: TopicReader) -> dict[Place, tuple[int, int]]:
        """Return from where to where each partition is read: to its end as it is now, so that a replay never reads itself."""
        found = {}
        for place, extent in reader.extents(self.topics).items():
            if self.partition in (None, place.partition):
                found[place] = (max(extent.low, self.start), extent.high if self.end is None else min(extent.high, self.end))
        return found

    def records(self, reader: TopicReader) -> Iterator[Record]:
        """Yield the records, in order per partition."""
        spans = self.spans(reader)
        for batch in reader.read(spans):
            for record in batch.records:
                start, end = spans[Place(record.topic, record.partition)]
                if start <= record.offset < end and self.fits(record):
                    yield record


def again(record: Record, replay: Replay) -> Output:
    """Return the record as it is sent again: its topic, key, value and headers, and where it stood at first."""
    headers = [(name, value) for name, value in record.headers if name not in OURS]
    origin = [] if record.header(ORIGIN) is not None else [(ORIGIN, str(record.offset).encode())]
    return Output(record.topic, record.key, record.value, [*headers, *origin, *replay.headers()])


def send_all(kafka: KafkaSettings, outputs: Iterable[Output], rate: float | None = None, *, taken: Callable[[Output], None] | None = None) -> int:
    """Send the records, at most `rate` a second, and return how many once Kafka has them all; `taken` is told of each that it has.

    Where Ctrl-C ends it, Kafka is given the time to take what was sent so far.

    Raises:
        ConfigError: Kafka does not take them.
    """
    producer, sent, begun = make_producer(kafka), 0, time.monotonic()
    failed: list[str] = []

    def note(output: Output, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failed.append(f"{output.topic}: {error.str()}")
        elif taken is not None:
            taken(output)

    try:
        for output in outputs:
            _produce(producer, output, partial(note, output))
            sent += 1
            producer.poll(0 if rate is None else max(0.0, begun + sent / rate - time.monotonic()))
            if failed:
                break
    except KafkaException as error:
        failed.append(str(error.args[0].str()))
    finally:
        waiting = producer.flush(FLUSH_SECONDS)
    if waiting or failed:
        some = f": {failed[0]}" if failed else ""
        raise ConfigError(f"Kafka did not take {len(failed) + waiting} of {max(sent, 1)} records{some}; run it again, nothing is done twice")
    return sent


def _produce(producer: Producer, output: Output, report: Callable[[KafkaError | None, Message], None]) -> None:
    """Hand a record to librdkafka, once it has room for one more."""
    while True:
        try:
            producer.produce(output.topic, output.value, output.key, headers=list(output.headers), on_delivery=report)
        except BufferError:
            producer.poll(ROOM_SECONDS)
        else:
            return
