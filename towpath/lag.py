"""How far a consumer group is behind."""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import KafkaException, TopicPartition

from towpath.errors import RetryableError
from towpath.kafka import KafkaSettings, make_consumer

SECONDS = 5.0


def lag(kafka: KafkaSettings, group: str, topics: Sequence[str]) -> int:
    """Return the records between what the group has committed and the ends of the topics; raises RetryableError when Kafka does not answer."""
    consumer = make_consumer(kafka, group)
    try:
        present = consumer.list_topics(timeout=SECONDS).topics
        places = [TopicPartition(topic, partition) for topic in topics if topic in present for partition in present[topic].partitions]
        behind = 0
        for place in consumer.committed(places, SECONDS):
            low, high = consumer.get_watermark_offsets(TopicPartition(place.topic, place.partition), SECONDS)
            behind += high - max(low, place.offset)
        return behind
    except KafkaException as error:
        raise RetryableError(f"reading the lag of {group}: {error.args[0].str()}", system_wide=True) from error
    finally:
        consumer.close()


def pipeline(sources: Sequence[str], targets: Sequence[str], aggregates: Sequence[str]) -> dict[str, list[str]]:
    """Return the topics that each consumer group of the roles reads."""
    return {
        **{f"adapter.{name}": [f"inbox.{name}"] for name in sources},
        "processor": [f"received.{aggregate}" for aggregate in aggregates],
        **{f"sink.{name}": [f"deliver.{name}"] for name in targets},
    }
