"""Dead letters and receipts as records: what they say, and the outputs that carry them. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import towpath
from towpath.codec import Codec
from towpath.errors import DataError
from towpath.events import AGGREGATES, Event, micros, stable_id
from towpath.records import EPOCH, LATEST, ORIGIN, OURS, Output, Record, Replay
from towpath.topics import PROCESSOR

RECEIPTS = "receipts"
DEAD, PARKED = "dead", "parked"
DISCARDED = "discarded"
"""The outcome of a receipt by which an operator closes a dead letter whose effect is not wanted any more."""
TICK = timedelta(microseconds=1)
DATE, DIGITS = "~", 18


@dataclass(frozen=True, slots=True)
class Subject:
    """What a dead letter or a receipt is about, as far as it could be read."""

    connection: str = ""
    key: str = ""
    flow: str = ""
    event_id: str = ""
    trace_id: str = ""
    operation: str = ""
    effect_key: str = ""
    mapping_version: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a record failed: `error_class` is data, passing or bug; `state` says whether it is dead or parked.

    `awaits` names what it is tried again for: an effect ("operation key") or something that arrives ("entity key"). One that is not `whole` is
    stored without the record's value, which is too large for that.
    """

    reason: str
    error_class: str = "data"
    field: str = ""
    value: str = ""
    state: str = DEAD
    attempts: int = 1
    awaits: str = ""
    whole: bool = True

    @classmethod
    def of(cls, error: DataError) -> Failure:
        """Return the failure that a DataError tells."""
        hope = f" (tried again by itself once {error.awaits} is there)" if error.awaits else ""
        return cls(f"{error}{hope}", field=error.field, value=error.value or "", awaits=error.awaits)


@dataclass(frozen=True, slots=True)
class Registrar:
    """Writes dead letters and receipts for one consumer group of one role.

    What concerns none of the `connections` (a forged or unreadable source) goes to `dlq.unknown`.
    """

    codec: Codec
    hop: str
    group: str
    connections: frozenset[str] = frozenset()

    def dead_letter(self, record: Record, failure: Failure, subject: Subject, now: datetime) -> tuple[str, Output]:
        """Return the dead letter's id, kept by replays of it and of its record, and what to send to `dlq.` or `parked.` of the connection."""
        replay = record.replay
        replay = replay if replay and replay.dead_letter_id else None
        dead_letter_id = replay.dead_letter_id if replay else stable_id(self.group, record.topic, record.partition, record.origin, subject.flow)
        value: dict[str, Any] = {
            "dead_letter_id": dead_letter_id,
            "state": failure.state,
            "hop": self.hop,
            "connection": subject.connection,
            "group": self.group,
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "key": record.key,
            "value": record.value if failure.whole else None,
            "headers": [{"name": name, "value": value} for name, value in record.headers if name not in OURS],
            "error_class": failure.error_class,
            "reason": failure.reason,
            "field": failure.field,
            "field_value": failure.value,
            "attempts": failure.attempts + (replay.attempts if replay else 0),
            "first_at": replay.first_at if replay else now,
            "last_at": fails_at(record, now),
            "flow": subject.flow,
            "business_key": subject.key,
            "trace_id": subject.trace_id,
            "mapping_version": subject.mapping_version,
            "code_version": towpath.__version__,
            "replays": replay.replays if replay else 0,
            "whole": failure.whole,
        }
        prefix = "dlq" if failure.state == DEAD else "parked"
        topic = f"{prefix}.{subject.connection if subject.connection in self.connections else 'unknown'}"
        return dead_letter_id, Output(topic, record.key, self.codec.encode("DeadLetter", value))

    def receipt(
        self,
        outcome: str,
        subject: Subject,
        now: datetime,
        *,
        external_id: str = "",
        external_at: datetime | None = None,
        reason: str = "",
        dead_letter_id: str = "",
    ) -> Output:
        """Return the record that tells what became of the subject; with a `dead_letter_id` it closes that dead letter.

        `external_at` is when the effect stood at the target, by the target's clock.
        """
        value = {
            "receipt_id": stable_id(self.hop, subject.connection, subject.flow, subject.event_id, subject.effect_key, outcome, dead_letter_id),
            "hop": self.hop,
            "connection": subject.connection,
            "flow": subject.flow,
            "key": subject.key,
            "event_id": subject.event_id,
            "trace_id": subject.trace_id,
            "operation": subject.operation,
            "effect_key": subject.effect_key,
            "outcome": outcome,
            "external_id": external_id,
            "reason": reason,
            "dead_letter_id": dead_letter_id,
            "mapping_version": subject.mapping_version,
            "at": now,
            "external_at": external_at,
        }
        return Output(RECEIPTS, subject.key.encode() or None, self.codec.encode("Receipt", value))


def fails_at(record: Record, now: datetime) -> datetime:
    """Return when a record failed that fails now: later than the last time, which another's clock may have told that is ahead."""
    return now if record.replay is None else max(now, record.replay.last_at + TICK)


def replay_of(letter: Mapping[str, Any], *, by_itself: bool = False) -> Output:
    """Return the record that plays a dead letter again: original topic, key, value and headers, and the replay headers.

    What is tried again `by_itself` is not counted among the replays, which an operator's cap is for.
    """
    replays = letter["replays"] + (not by_itself)
    told = (letter["dead_letter_id"], letter["attempts"], letter["first_at"], replays, letter["group"], letter["flow"])
    replay = Replay(*told, last_at=letter["last_at"])
    headers = [(header["name"], header["value"]) for header in letter["headers"]]
    origin = [] if any(name == ORIGIN for name, _ in headers) else [(ORIGIN, str(letter["offset"]).encode())]
    return Output(letter["topic"], letter["key"], letter["value"], [*headers, *origin, *replay.headers()])


def in_order(letters: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return dead letters as their records came at first: those of one key and topic by the offset they had before they were ever replayed.

    Where each failed last does not tell: one of them may have been tried more often than the others.
    """
    backlog: dict[tuple[str, bytes | None], list[Mapping[str, Any]]] = {}
    for letter in letters:
        backlog.setdefault((letter["topic"], letter["key"]), []).append(letter)
    return [letter for one in backlog.values() for letter in sorted(one, key=_came_at)]


def _came_at(letter: Mapping[str, Any]) -> tuple[int, int]:
    headers = [(header["name"], header["value"]) for header in letter["headers"]]
    return letter["partition"], Record(letter["topic"], 0, letter["offset"], 0.0, None, None, headers).first_offset


def why_not_sent(letter: Mapping[str, Any]) -> str:
    """Return why a dead letter cannot be sent again, empty where it can: without its value it would be another record.

    One that was written before letters told whether they are whole is left alone where it has no value.
    """
    if letter["whole"] or letter["value"] is not None:
        return ""
    why = "its record's value does not stand in it: it is too large, or null where an older version wrote this"
    return f"{why}; while the topic has the record, `{played_by(letter)}` plays it"


def played_by(letter: Mapping[str, Any]) -> str:
    """Return the command that plays the record of a dead letter and no other, as it came before it was ever replayed."""
    partition, offset = _came_at(letter)
    return f"towpath replay {letter['topic']} --partition {partition} --from {offset} --to {offset + 1}"


def remapped_of(letter: Mapping[str, Any], codec: Codec) -> Output:
    """Return the record that has a delivery's event routed again, for its flow alone; of any other dead letter what `replay_of` returns."""
    try:
        delivery = codec.decode_as("Delivery", letter["value"])
        event = Event(*codec.decode(delivery["event"]))
    except DataError:
        return replay_of(letter)
    told = (letter["dead_letter_id"], letter["attempts"], letter["first_at"], letter["replays"] + 1)
    again = Replay(*told, PROCESSOR, delivery["flow"], failed_at=letter["group"], last_at=letter["last_at"])
    headers = [(header["name"], header["value"]) for header in letter["headers"] if header["name"] not in (*OURS, ORIGIN)]
    return Output(f"received.{AGGREGATES[event.type]}", event.record_key, delivery["event"], [*headers, *again.headers()])


def dated(dead_letter_id: str, at: datetime) -> str:
    """Return how a dead letter is noted by whom a later success is told of: its id, and when it failed last."""
    return f"{dead_letter_id}{DATE}{micros(at)}"


def failed_last(note: str) -> tuple[str, datetime]:
    """Return the id of a dead letter that was noted, and when it failed last; EPOCH where that was not noted yet, or is forged."""
    letter, _, at = note.rpartition(DATE)
    if not letter or not at.isascii() or not at.isdigit() or len(at) > DIGITS or int(at) > LATEST * 1_000_000:
        return note, EPOCH
    return letter, EPOCH + timedelta(microseconds=int(at))
