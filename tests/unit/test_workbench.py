"""Which dead letters are open does not depend on the order in which the topics are read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from towpath.codec import default_codec
from towpath.delivery.deadletters import Failure, Registrar, Subject
from towpath.records import Output, Record, Replay
from towpath.workbench import folded

CODEC = default_codec()
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
REGISTRAR = Registrar(CODEC, "sink", "sink.bng", frozenset({"bng"}))


def record_of(output: Output) -> Record:
    return Record(output.topic, 0, 0, 0.0, output.key, output.value)


def failed(minute: int) -> Record:
    """Return the dead letter `one` as it failed at this minute."""
    replay = Replay("one", minute, NOON, minute, "sink.bng")
    record = Record("deliver.bng", 0, 5, 0.0, b"k", b"v", replay.headers())
    return record_of(REGISTRAR.dead_letter(record, Failure("because"), Subject("bng"), NOON + timedelta(minutes=minute))[1])


def closed(minute: int) -> Record:
    return record_of(REGISTRAR.receipt("applied", Subject("bng"), NOON + timedelta(minutes=minute), dead_letter_id="one"))


NOISE = Record("receipts", 0, 0, 0.0, None, b"poison")


@given(st.lists(st.integers(0, 20), min_size=1, unique=True), st.lists(st.integers(0, 20), unique=True), st.randoms(use_true_random=False))
def test_a_dead_letter_is_open_when_its_newest_failure_is_newer_than_its_newest_receipt(
    failures: list[int], closings: list[int], chance: Random
) -> None:
    records = [NOISE, *map(failed, failures), *map(closed, closings)]
    chance.shuffle(records)
    (letter,) = folded(records, CODEC)
    assert (max(failures) > max(closings, default=-1), max(failures)) == (letter["open"], letter["replays"])


def test_dead_letters_stand_in_the_order_of_their_newest_failure() -> None:
    other = Record("deliver.bng", 0, 6, 0.0, b"k", b"v")
    first = record_of(REGISTRAR.dead_letter(other, Failure("because"), Subject("bng"), NOON)[1])
    assert [0, 3] == [letter["replays"] for letter in folded([failed(3), first], CODEC)]
