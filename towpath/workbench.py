"""What an operator asks: which dead letters are open, what happened to an order; read from the topics themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from towpath.codec import Codec, default_codec
from towpath.config import Config
from towpath.delivery.deadletters import RECEIPTS
from towpath.errors import DataError
from towpath.events import AGGREGATES
from towpath.records import Record
from towpath.topic_reader import read_all

Letter = Mapping[str, Any]


def letters(config: Config, codec: Codec | None = None) -> list[Letter]:
    """Return every dead letter and parked record, its newest failure, with `open` False where a receipt closes it."""
    return folded(read_all(config.kafka, _outcome_topics(config)), codec or default_codec())


def _outcome_topics(config: Config) -> list[str]:
    """Return the topics of what failed and of what closed it."""
    names = list(config.connections)
    return [*(f"dlq.{name}" for name in [*names, "unknown"]), *(f"parked.{name}" for name in names), RECEIPTS]


def folded(records: Iterable[Record], codec: Codec) -> list[Letter]:
    """Return the dead letters among these records, oldest failure first; neither topics nor partitions keep an order among each other."""
    found: dict[str, dict[str, Any]] = {}
    closed: dict[str, datetime] = {}
    for record in records:
        try:
            kind, value = codec.decode(record.value)
        except DataError:
            continue
        if kind == "DeadLetter":
            found[value["dead_letter_id"]] = max(found.get(value["dead_letter_id"], value), value, key=lambda letter: letter["last_at"])
        elif kind == "Receipt" and value["dead_letter_id"]:
            closed[value["dead_letter_id"]] = max(closed.get(value["dead_letter_id"], value["at"]), value["at"])
    for identity, letter in found.items():
        letter["open"] = identity not in closed or closed[identity] < letter["last_at"]
    return sorted(found.values(), key=lambda letter: letter["last_at"])


class Step(NamedTuple):
    """One thing that happened to an order: when (the broker's time), at which hop, what, and the details."""

    at: datetime
    hop: str
    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for: an order number, an order id or a business key, and the traces it turned up in."""

    text: str

    def fits(self, key: str, number: str = "") -> bool:
        """Tell whether a record with this business key or number is meant."""
        return self.text in (key, number) or (bool(key) and key.rpartition("/")[2] == self.text)


def trace(config: Config, text: str, codec: Codec | None = None) -> list[Step]:
    """Return what happened to the orders with this number, id or business key, oldest first; empty where none is known."""
    codec = codec or default_codec()
    search = Search(text)
    names = list(config.connections)
    topics = [
        *(f"inbox.{name}" for name in names),
        *(f"received.{aggregate}" for aggregate in sorted(set(AGGREGATES.values()))),
        *(f"deliver.{name}" for name in names),
        *_outcome_topics(config),
    ]
    return sorted(_steps(read_all(config.kafka, topics), search, codec))


def _steps(records: Iterable[Record], search: Search, codec: Codec) -> Iterable[Step]:
    for record in records:
        at = datetime.fromtimestamp(record.timestamp, UTC)
        if record.topic.startswith("inbox."):
            if search.fits((record.key or b"").decode("utf-8", "replace")):
                yield Step(at, "inbox", record.header("towpath-kind") or "record", f"{_place(record)} {record.header('webhook-id') or ''}".rstrip())
            continue
        try:
            kind, value = codec.decode(record.value)
        except DataError:
            continue
        step = _told(kind, value)
        if step is not None and search.fits(step[0], str(value.get("order_number", ""))):
            yield Step(at, step[1], step[2], f"{step[3]} {_place(record)}".lstrip())


def _told(kind: str, value: Mapping[str, Any]) -> tuple[str, str, str, str] | None:
    """Return (business key, hop, what, detail) of a decoded record."""
    if kind in AGGREGATES:
        return value["meta"]["key"], "adapter", kind, f"event {value['meta']['event_id']}"
    if kind == "Delivery":
        return (
            value["key"],
            "processor",
            "routed",
            f"{value['operation']} for {value['target']}, mapping {value['mapping']} {value['mapping_version']}",
        )
    if kind == "Receipt":
        detail = " ".join(filter(None, (value["operation"], value["external_id"] and f"as {value['external_id']}", value["reason"])))
        return value["key"], value["hop"], value["outcome"], detail
    if kind == "DeadLetter":
        return (
            value["business_key"],
            value["hop"],
            value["state"],
            f"{value['reason']} (field {value['field']}, dead letter {value['dead_letter_id']})",
        )
    return None


def _place(record: Record) -> str:
    return f"{record.topic}[{record.partition}]@{record.offset}"
