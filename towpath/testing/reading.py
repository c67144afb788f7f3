"""All that topics hold, as a test looks at it."""

from __future__ import annotations

from collections.abc import Sequence

from towpath.kafka import KafkaSettings
from towpath.records import Record
from towpath.topic_reader import TopicReader


def read_all(kafka: KafkaSettings, topics: Sequence[str]) -> list[Record]:
    """Return every record that is there now, in order per partition."""
    reader = TopicReader(kafka)
    try:
        spans = {place: (extent.low, extent.high) for place, extent in reader.extents(topics).items()}
        return [record for batch in reader.read(spans) for record in batch.records]
    finally:
        reader.close()
