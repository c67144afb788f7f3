"""How far consumer groups are behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import NamedTuple

from towpath.config import Config
from towpath.kafka import KafkaSettings
from towpath.topic_reader import Place, TopicReader
from towpath.topics import PROCESSOR, load_topics

SECONDS = 5.0


class Backlog(NamedTuple):
    """What a group has yet to read of a topic: how many records, and when the oldest of them was written (UTC; None where none waits)."""

    group: str
    topic: str
    records: int
    oldest: datetime | None


def lag(kafka: KafkaSettings, group: str, topics: Sequence[str]) -> int:
    """Return the records between what the group has committed and the ends of the topics; raises RetryableError when Kafka does not answer."""
    with closing(TopicReader(kafka, SECONDS)) as reader:
        return behind(reader, {group: topics})[group]


def behind(reader: TopicReader, groups: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return how many records each group has yet to read of its topics; raises ConfigError or RetryableError as the reader does."""
    return {group: sum(end - start for start, end in spans.values()) for group, spans in _waiting(reader, groups).items()}


def backlogs(reader: TopicReader, groups: Mapping[str, Sequence[str]]) -> list[Backlog]:
    """Return what each group has yet to read of each of its topics; raises ConfigError or RetryableError as the reader does."""
    found = []
    for group, waiting in _waiting(reader, groups).items():
        oldest = reader.first_records({place: start for place, (start, _) in waiting.items()})
        for topic in groups[group]:
            records = sum(end - start for place, (start, end) in waiting.items() if place.topic == topic)
            times = [record.written_at for place, record in oldest.items() if place.topic == topic]
            found.append(Backlog(group, topic, records, min(times, default=None)))
    return found


def _waiting(reader: TopicReader, groups: Mapping[str, Sequence[str]]) -> dict[str, dict[Place, tuple[int, int]]]:
    """Return where each group goes on and where the topic ends, of the places where something waits."""
    extents = reader.extents({topic for topics in groups.values() for topic in topics})
    waiting = {}
    for group, topics in groups.items():
        places = [place for place in extents if place.topic in topics]
        committed = reader.committed(group, places)
        spans = {place: (max(extents[place].low, committed.get(place, 0)), extents[place].high) for place in places}
        waiting[group] = {place: span for place, span in spans.items() if span[0] < span[1]}
    return waiting


def pipeline(config: Config) -> dict[str, list[str]]:
    """Return the topics that each consumer group of the roles reads."""
    targets = sorted({flow.target for flow in config.flows.values()})
    return {
        **{f"adapter.{name}": [f"inbox.{name}"] for name in config.connections},
        PROCESSOR: [spec.name for spec in load_topics().read_by(PROCESSOR, config.connections)],
        **{f"sink.{name}": [f"deliver.{name}"] for name in targets},
    }
