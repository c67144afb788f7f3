"""What one record adds to the index. No I/O.

Only places, keys, ids and outcomes: no body of the inbox and no field that a schema marks as personal data. Why a dead letter failed stands
once, with the letter; its original is read from its topic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from towpath.codec import Codec
from towpath.delivery.foreign import foreign_letter
from towpath.errors import DataError
from towpath.events import PARTS, micros
from towpath.index.groups import fingerprint
from towpath.index.tables import closings, letters, replays, steps, xref
from towpath.records import Record, Replay

LARGEST = (1 << 63) - 1
TABLES = (steps, letters, closings, replays, xref)
LONGEST = {table.name: {name: getattr(column.type, "length", None) for name, column in table.c.items()} for table in TABLES}
TOLD = {**PARTS, "OrderStatusChanged": "status"}
"""The field of an event that its step names."""

Row = dict[str, Any]


@dataclass(slots=True)
class Rows:
    """Rows of several records, each list for one table."""

    steps: list[Row] = field(default_factory=list)
    letters: list[Row] = field(default_factory=list)
    closings: list[Row] = field(default_factory=list)
    replays: list[Row] = field(default_factory=list)
    xref: list[Row] = field(default_factory=list)
    foreign: frozenset[str] = frozenset()
    """The topics of dead letters that are none of ours."""

    def add(self, record: Record, codec: Codec) -> None:
        """Add what the record says, which is always one step; one that cannot be decoded becomes a step that says so."""
        if record.replay is not None and record.replay.dead_letter_id and record.topic not in self.foreign:
            self._replay(record, record.replay)
        if record.topic.startswith("inbox."):
            self._step(
                record, _inbox_key(record), "inbox", record.header("towpath-kind") or "record", record.header("webhook-id") or "", record.trace_id
            )
            return
        if record.topic in self.foreign:
            self._letter(record, foreign_letter(record))
            return
        try:
            kind, value = codec.decode(record.value)
        except DataError:
            kind, value = "", {}
        if "meta" in value:
            self._event(record, kind, value)
        else:
            {"Delivery": self._delivery, "Receipt": self._receipt, "DeadLetter": self._letter}.get(kind, self._unreadable)(record, value)

    def _unreadable(self, record: Record, _value: Mapping[str, Any]) -> None:
        self._step(record, _text(record.key), record.topic.partition(".")[0], "unreadable")

    def _event(self, record: Record, kind: str, value: Mapping[str, Any]) -> None:
        meta, part = value["meta"], TOLD.get(kind)
        told = [f"{part} {value[part]}" if part else "", f"from {meta['connection']}", f"event {meta['event_id']}"]
        detail = ", ".join(filter(None, told))
        self._step(record, meta["key"], "adapter", kind, detail, meta["trace_id"], order_number=value.get("order_number", ""))

    def _delivery(self, record: Record, value: Mapping[str, Any]) -> None:
        detail = f"{value['operation']} for {value['target']}, mapping {value['mapping']} {value['mapping_version']}"
        self._step(record, value["key"], "processor", "routed", detail, value["trace_id"])

    def _receipt(self, record: Record, value: Mapping[str, Any]) -> None:
        detail = " ".join(filter(None, (value["operation"], value["external_id"] and f"as {value['external_id']}", value["reason"])))
        self._step(record, value["key"], value["hop"], value["outcome"], detail, value["trace_id"])
        at = micros(value["at"])
        if value["dead_letter_id"]:
            closing = {name: value[name] for name in ("dead_letter_id", "receipt_id", "outcome", "reason")}
            self.closings.append(_fitting(closings, {**closing, "at": at}))
        if value["external_id"]:
            names = {name: value[name] for name in ("connection", "operation", "external_id")}
            row = {**names, "effect_key": value["effect_key"] or value["key"], "business_key": value["key"], "at": at}
            self.xref.append(_fitting(xref, row))

    def _letter(self, record: Record, value: Mapping[str, Any]) -> None:
        detail = ", ".join(filter(None, (value["field"] and f"field {value['field']}", f"dead letter {value['dead_letter_id']}")))
        self._step(record, value["business_key"], value["hop"], value["state"], detail, value["trace_id"])
        origin = {f"origin_{name}": value[name] for name in ("topic", "partition", "offset")}
        times = {name: micros(value[name]) for name in ("first_at", "last_at")}
        same = {name: value[name] for name in letters.c.keys() if name in value}  # noqa: SIM118 - a collection of columns
        self.letters.append(_fitting(letters, {**same, **origin, **times, **_place(record), "fingerprint": fingerprint(value)}))

    def _replay(self, record: Record, replay: Replay) -> None:
        told = {"dead_letter_id": replay.dead_letter_id, "at": micros(record.written_at), "attempts": replay.attempts, "replays": replay.replays}
        self.replays.append(_fitting(replays, {**told, **_place(record)}))

    def _step(self, record: Record, key: str, hop: str, what: str, detail: str = "", trace_id: str = "", *, order_number: str = "") -> None:
        at = micros(record.written_at)
        detail = ", ".join(filter(None, ("sent again" if record.replay else "", detail)))
        told = {"business_key": key, "order_number": order_number, "trace_id": trace_id, "hop": hop, "what": what, "detail": detail}
        self.steps.append(_fitting(steps, {**_place(record), "at": at, **told}))


def _place(record: Record) -> Row:
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}


def _inbox_key(record: Record) -> str:
    """Return the business key that the adapter gives the record, empty where its key names no entity."""
    key = _text(record.key)
    return f"{record.topic.removeprefix('inbox.')}/{key}" if key.partition("/")[2] else ""


def _text(key: bytes | None) -> str:
    return (key or b"").decode("utf-8", "replace")


def _fitting(table: sa.Table, row: Row) -> Row:
    """Return the row as every database takes it: texts cut to their columns, without NUL, and integers of 64 bits."""
    longest = LONGEST[table.name]
    return {
        name: value.replace("\0", "\ufffd")[: longest[name]] if isinstance(value, str) else max(-LARGEST, min(LARGEST, value))
        for name, value in row.items()
    }
