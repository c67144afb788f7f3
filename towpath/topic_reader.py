"""Reading topics from their beginning to where they end now, as an operator's command does; no consumer group is touched."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

from confluent_kafka import Consumer, KafkaException, TopicPartition

from towpath.errors import ConfigError, RetryableError
from towpath.kafka import KafkaSettings, make_consumer, reach, record_of
from towpath.records import Record

SECONDS = 10.0
AT_ONCE = 1_000


def read_all(kafka: KafkaSettings, topics: Sequence[str]) -> Iterator[Record]:
    """Yield every record that is there now, in order per partition; raises ConfigError when Kafka does not answer."""
    consumer = make_consumer(kafka, f"towpath-operator-{uuid.uuid4()}", enable_partition_eof=False)
    try:
        left = _ends(consumer, kafka, topics)
        consumer.assign([TopicPartition(topic, partition, low) for (topic, partition), (low, _) in left.items()])
        remaining = {place: high for place, (_, high) in left.items()}
        while remaining:
            for message in consumer.consume(AT_ONCE, 1.0):
                if message.error() is not None:
                    raise ConfigError(f"reading {message.topic()}: {message.error()}")
                record = record_of(message)
                yield record
                if record.offset + 1 >= remaining.get((record.topic, record.partition), 0):
                    remaining.pop((record.topic, record.partition), None)
            positions = consumer.position([TopicPartition(topic, partition) for topic, partition in remaining])
            remaining = {
                (at.topic, at.partition): remaining[at.topic, at.partition] for at in positions if at.offset < remaining[at.topic, at.partition]
            }
    finally:
        consumer.close()


def _ends(consumer: Consumer, kafka: KafkaSettings, topics: Sequence[str]) -> dict[tuple[str, int], tuple[int, int]]:
    found: dict[tuple[str, int], tuple[int, int]] = {}
    try:
        present = reach(kafka, SECONDS).topics
        for topic in topics:
            for partition in present[topic].partitions if topic in present else ():
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), SECONDS)
                if high > low:
                    found[topic, partition] = (low, high)
    except RetryableError as error:
        raise ConfigError(str(error)) from error
    except KafkaException as error:
        raise ConfigError(f"reading the ends of {', '.join(topics)}: {error.args[0].str()}") from error
    return found
