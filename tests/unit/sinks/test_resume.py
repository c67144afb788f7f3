"""What is due and cannot be read from Kafka, or sent to it, now is due again, not after the hour that a claim holds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy.engine import URL

from sinks.resume import Resumer
from towpath.codec import default_codec
from towpath.delivery.database import open_engine
from towpath.delivery.deadletters import PARKED, Failure, Registrar, Subject
from towpath.delivery.parking import Parked, Parking
from towpath.errors import RetryableError
from towpath.kafka import KafkaSettings
from towpath.records import Record
from towpath.testing.clock import STARTS_AT, VirtualClock
from towpath.testing.producer import FakeProducer

ONE = Parked("letter-1", "parked.erp", 2, 7)
REGISTRAR = Registrar(default_codec(), "sink", "sink.erp", frozenset({"erp"}))


def away(*_: object) -> NoReturn:
    raise RetryableError("Kafka does not answer")


async def test_what_cannot_be_read_is_due_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, producer = VirtualClock(), FakeProducer()
    parking = Parking(open_engine(URL.create("sqlite", database=str(tmp_path / "parked.db"))), clock, timedelta(seconds=60))
    kafka = KafkaSettings(bootstrap_servers="127.0.0.1:1")
    monkeypatch.setattr("sinks.resume._read", away)  # a broker that is away is waited for longer than a test should take
    try:
        await parking.park("erp", ONE)
        await clock.run(clock.sleep(61))
        with pytest.raises(RetryableError):
            await Resumer(kafka, ["erp"], parking, producer, default_codec()).resume("erp")
        assert [ONE] == await parking.due("erp")
        assert [] == producer.sent
    finally:
        await parking.close()


def letter_of(offset: int) -> tuple[Parked, Record]:
    """Return a parked record of a key of its own, and where it stands."""
    record = Record("deliver.erp", 0, offset, 0.0, b"order/%d" % offset, b"value")
    letter_id, output = REGISTRAR.dead_letter(record, Failure("503", "passing", state=PARKED), Subject("erp"), STARTS_AT)
    return Parked(letter_id, output.topic, 0, offset), Record(output.topic, 0, offset, 0.0, output.key, output.value)


async def test_what_cannot_be_sent_is_due_again_at_once_and_what_was_sent_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, producer = VirtualClock(), FakeProducer()
    parking = Parking(open_engine(URL.create("sqlite", database=str(tmp_path / "parked.db"))), clock, timedelta(seconds=60))
    letters = [letter_of(offset) for offset in range(3)]
    monkeypatch.setattr("sinks.resume._read", lambda _kafka, due: ({one.dead_letter_id: dict(letters)[one] for one in due}, []))

    async def third_is_refused(_topic: str) -> None:
        if len(producer.sent) == 2:
            raise RetryableError("Kafka does not answer")

    producer.before = third_is_refused
    resumer = Resumer(KafkaSettings(bootstrap_servers="127.0.0.1:1"), ["erp"], parking, producer, default_codec())
    try:
        for one, _ in letters:
            await parking.park("erp", one)
        await clock.run(clock.sleep(61))
        with pytest.raises(RetryableError):
            await resumer.resume("erp")
        sent = {output.key for output in producer.sent}
        [left] = [one for one, record in letters if record.key not in sent]
        assert [left] == await parking.due("erp")
    finally:
        await parking.close()
