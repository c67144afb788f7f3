"""Under which subjects our schemas are registered.

TopicRecordName for what analysts read, so that a topic's subjects tell what stands in it; RecordName for records of our own, so that a new
connection, which brings topics, brings no subject.
"""

from __future__ import annotations

from collections.abc import Mapping

from towpath.codec import NAMESPACE, Codec
from towpath.topics import Topics


def subjects(codec: Codec, topics: Topics) -> Mapping[str, str]:
    """Return the name of its schema for each subject; an event that has no schema yet has no subject."""
    of_events = {*topics.aggregates, *(f"received.{aggregate}" for aggregate in topics.aggregates)}
    found = {}
    for spec in topics.declared:
        for name in spec.schemas:
            if name in codec.by_name:
                record = f"{NAMESPACE}.{name}"
                found[f"{spec.name}-{record}" if spec.name in of_events else record] = name
    return found
