from __future__ import annotations

from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.delivery.deadletters import Failure, Registrar, Subject, replay_of
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
