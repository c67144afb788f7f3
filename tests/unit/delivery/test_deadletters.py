from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import fastavro
import pytest

from towpath.clock import SystemClock
from towpath.codec import HEADER, MAGIC, SCHEMAS, Codec, default_codec, id_of
from towpath.delivery.deadletters import Failure, Registrar, Subject, replay_of, why_not_sent
from towpath.records import EPOCH, Output, Record, Replay
from towpath.replaying import again
from towpath.testing.records import a_record

REGISTRAR = Registrar(default_codec(), "adapter", "adapter.shop", frozenset({"shop"}))


def read_at(offset: int, output: Output) -> Record:
    return a_record(offset)._replace(topic=output.topic, key=output.key, value=output.value, headers=list(output.headers))


def test_a_record_that_fails_again_when_it_is_replayed_stays_one_dead_letter() -> None:
    record, subject, now = a_record(3), Subject("shop"), SystemClock().now()
    dead_letter_id, output = REGISTRAR.dead_letter(record, Failure("no such SKU"), subject, now)
    of_record = read_at(90, again(record, Replay("", 0, EPOCH, 0, "", replay_id="one")))
    of_letter = read_at(91, replay_of(default_codec().decode_as("DeadLetter", output.value)))
    assert [dead_letter_id] * 2 == [REGISTRAR.dead_letter(one, Failure("no such SKU"), subject, now)[0] for one in (of_record, of_letter)]
    assert dead_letter_id != REGISTRAR.dead_letter(a_record(90), Failure("no such SKU"), subject, now)[0]


def test_a_record_without_a_value_is_sent_again_as_it_was_and_one_whose_value_was_left_out_is_not() -> None:
    null, large = a_record(3, value=None), a_record(4, value=b"large")
    written = [
        REGISTRAR.dead_letter(record, Failure("no event", whole=record is null), Subject("shop"), SystemClock().now())[1] for record in (null, large)
    ]
    of_null, of_large = (default_codec().decode_as("DeadLetter", output.value) for output in written)
    assert ("", None) == (why_not_sent(of_null), replay_of(of_null).value)
    assert why_not_sent(of_large).endswith("`towpath replay inbox.shop --partition 0 --from 4 --to 5` plays it")


class Before:
    """A registry that has the first shape of a dead letter, which did not tell whether it is whole."""

    def __init__(self) -> None:
        self.shape = (SCHEMAS / "history" / "DeadLetter.jsonl").read_text(encoding="utf-8").splitlines()[0]

    def text(self, _schema_id: int) -> str:
        return self.shape

    def written(self, letter: Mapping[str, Any]) -> bytes:
        data, shape = io.BytesIO(), json.loads(self.shape)
        data.write(HEADER.pack(MAGIC, id_of(shape)))
        fastavro.schemaless_writer(data, fastavro.parse_schema(shape), letter)
        return data.getvalue()


@pytest.mark.parametrize(("value", "is_sent"), [(b"v", True), (None, False)])
def test_of_a_letter_of_before_that_has_no_value_none_is_made_up(value: bytes | None, *, is_sent: bool) -> None:
    before = Before()
    _, output = REGISTRAR.dead_letter(a_record(3, value=value), Failure("no event"), Subject("shop"), SystemClock().now())
    letter = default_codec().decode_as("DeadLetter", output.value)
    read = Codec(registry=before).decode_as("DeadLetter", before.written(letter))
    assert {**letter, "whole": False} == read
    assert is_sent == (not why_not_sent(read))


@pytest.mark.parametrize("forged", ["x" * 41, "letter\0"])
def test_a_replay_of_a_dead_letter_with_an_id_that_is_none_of_ours_is_no_replay(forged: str) -> None:
    replay = Replay("", 1, EPOCH, 1, "adapter.shop")._replace(dead_letter_id=forged)
    assert read_at(90, Output("inbox.shop", b"k", b"v", replay.headers())).replay is None
