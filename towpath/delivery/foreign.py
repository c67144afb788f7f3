"""Dead letters that Kafka Connect and Spring wrote, read as ours: what they say stands in headers. No I/O.

Sources: Kafka Connect's DeadLetterQueueReporter (`__connect.errors.*`, every value as text, written where the sink connector has
errors.deadletterqueue.context.headers.enable) and Spring Kafka's DeadLetterPublishingRecoverer (`kafka_dlt-*`: texts, and numbers big-endian;
`retry_topic-*` where the record went through its retry topics).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from towpath.delivery.deadletters import DEAD
from towpath.events import stable_id
from towpath.records import OURS, Record

CONNECT, SPRING, OTHER = "connect", "spring", "other"
FOREIGN: Final = frozenset({CONNECT, SPRING, OTHER})
"""The hops of dead letters that are none of ours."""
CONNECTS, SPRINGS = "__connect.errors.", "kafka_dlt-"
RETRIES: Final = "retry_topic-"
"""How often, and since when, Spring's retry topics have tried a record: with these it would be dead again at the first failure after its replay."""
REPLAYED: Final = "replayed"
"""The outcome of a receipt that closes such a dead letter once it was sent again: who reads it writes no receipts; failed again, it has another."""
LARGEST: Final = (1 << 63) - 1
LARGEST_PARTITION: Final = (1 << 31) - 1
NOT_TOLD: Final = "whoever wrote it does not say where it came from, or why it failed"


def foreign_letter(record: Record) -> dict[str, Any]:
    """Return what a record of such a topic tells, with the fields of our own dead letters; `topic` is empty where it does not say its original's.

    Each is a dead letter of its own, by where it stands: when it failed is not always told, for Connect writes its original's time, so that of two
    failures none is known to be the later one. What was replayed has its count. Where a record went through several topics (Spring's retries),
    the first that it names counts.
    """
    told = _of_connect(record) or _of_spring(record) or {"hop": OTHER, "connection": record.topic, "group": "", "reason": NOT_TOLD}
    topic, partition, offset = told.pop("place", ("", 0, 0))
    replay = record.replay
    replay = replay if replay and replay.dead_letter_id and replay.group == told["group"] else None  # else another reader failed at it
    places = (topic, partition, offset, record.topic, record.partition, record.offset)
    headers = [(name, value) for name, value in record.headers if name not in OURS and not name.startswith((CONNECTS, SPRINGS, RETRIES))]
    return {
        "dead_letter_id": stable_id("foreign", told["hop"], told["group"], *places),
        "state": DEAD,
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "key": record.key,
        "value": record.value,
        "headers": [{"name": name, "value": value or b""} for name, value in headers],
        "error_class": told.pop("error_class", OTHER),
        "field": "",
        "field_value": "",
        "attempts": 1 + (replay.attempts if replay else 0),
        "first_at": replay.first_at if replay else record.written_at,
        "last_at": record.written_at,
        "flow": "",
        "business_key": _text(record.key),
        "trace_id": record.trace_id,
        "mapping_version": "",
        "code_version": "",
        "replays": replay.replays if replay else 0,
        "whole": True,
        **told,
    }


def original_of(told: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what stands for the record that a dead letter is of: the same for all that one reader wrote of it, which may have read it twice."""
    if told["hop"] in FOREIGN and told["topic"]:
        return told["group"], told["topic"], told["partition"], told["offset"]
    return (told["dead_letter_id"],)


def why_not_replayed(told: Mapping[str, Any], towpaths: Iterable[str]) -> str:
    """Return why such a dead letter cannot be sent again, empty where it can; `towpaths` are the topics that Towpath's roles read."""
    if not told["topic"]:
        return "it does not say which topic it came from; Kafka Connect does with errors.deadletterqueue.context.headers.enable"
    if told["topic"] in towpaths:
        return f"it says to come from {told['topic']}, of which Towpath itself is the only reader; what fails there is in dlq.*"
    return ""


def _of_connect(record: Record) -> dict[str, Any]:
    found = _told(record, CONNECTS)
    if not found:
        return {}
    connector = _text(found.get("connector.name"))
    thrown = _text(found.get("exception.class.name"))
    where = f"{_text(found.get('stage'))} of task {_text(found.get('task.id'))}"
    return {
        "hop": CONNECT,
        "connection": connector,
        "group": f"connect-{connector}",
        "error_class": _short(thrown),
        "reason": f"{thrown}: {_text(found.get('exception.message'))} ({where})",
        "place": _place(found, ""),
    }


def _of_spring(record: Record) -> dict[str, Any]:
    found = _told(record, SPRINGS)
    if not found:
        return {}
    group = _text(found.get("original-consumer-group"))
    thrown = _text(found.get("exception-cause-fqcn") or found.get("exception-fqcn"))
    return {
        "hop": SPRING,
        "connection": group or record.topic,  # the group is told since Spring Kafka 2.8
        "group": group,
        "error_class": _short(thrown),
        "reason": f"{thrown}: {_text(found.get('exception-message'))}",
        "place": _place(found, "original-"),
    }


def _told(record: Record, prefix: str) -> dict[str, bytes]:
    """Return the first header of each name that begins so, without that beginning."""
    return {name.removeprefix(prefix): value or b"" for name, value in reversed(record.headers) if name.startswith(prefix)}


def _place(found: Mapping[str, bytes], prefix: str) -> tuple[str, int, int]:
    partition, offset = (_number(found.get(f"{prefix}{name}", b"")) for name in ("partition", "offset"))
    return _text(found.get(f"{prefix}topic")), min(partition, LARGEST_PARTITION), offset


def _number(value: bytes) -> int:
    """Return a number that is text or big-endian: no partition or offset is so large that all its bytes are digits."""
    number = int(value) if value.isdigit() and len(value) < len(str(LARGEST)) else int.from_bytes(value[:8], "big", signed=True)
    return max(0, number)


def _short(name: str) -> str:
    return name.rpartition(".")[2].rpartition("$")[2] or OTHER


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
