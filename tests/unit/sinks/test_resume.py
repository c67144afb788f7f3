"""What is due and cannot be read from Kafka, or sent to it, now is due again, not after the hour that a claim holds."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from sqlalchemy.engine import URL
from structlog.testing import capture_logs

from sinks.resume import Resumer
from towpath.codec import default_codec
from towpath.delivery.database import open_engine
from towpath.delivery.deadletters import PARKED, Failure, Registrar, Subject
from towpath.delivery.parking import Parked, Parking
from towpath.errors import ConfigError, DataError, RetryableError
from towpath.kafka import KafkaSettings
from towpath.metrics import Metrics
from towpath.records import Record
from towpath.testing.clock import STARTS_AT, VirtualClock
from towpath.testing.producer import FakeProducer

ONE = Parked("letter-1", "parked.erp", 2, 7)
REGISTRAR = Registrar(default_codec(), "sink", "sink.erp", frozenset({"erp"}))


def resumer(parking: Parking, producer: FakeProducer) -> Resumer:
    newest: Any = None  # of what is parked none is late
    return Resumer(KafkaSettings(bootstrap_servers="127.0.0.1:1"), ["erp"], parking, producer, default_codec(), newest)


def away(*_: object) -> NoReturn:
    raise RetryableError("Kafka does not answer")


async def test_what_cannot_be_read_is_due_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, producer = VirtualClock(), FakeProducer()
    parking = Parking(open_engine(URL.create("sqlite", database=str(tmp_path / "parked.db"))), clock, timedelta(seconds=60))
    monkeypatch.setattr("sinks.resume._read", away)  # a broker that is away is waited for longer than a test should take
    try:
        await parking.park("erp", ONE)
        await clock.run(clock.sleep(61))
        with pytest.raises(RetryableError):
            await resumer(parking, producer).resume("erp")
        assert [ONE] == await parking.due("erp")
        assert [] == producer.sent
    finally:
        await parking.close()


@pytest.mark.parametrize("trouble", [RetryableError("Kafka does not answer"), ConfigError("kafka.sasl_password: refused")], ids=repr)
async def test_who_resumes_goes_on_after_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Exception) -> None:
    clock, stop, tries = VirtualClock(), asyncio.Event(), list[str]()
    parking = Parking(open_engine(URL.create("sqlite", database=str(tmp_path / "parked.db"))), clock, timedelta(seconds=60))
    monkeypatch.setattr("sinks.resume.TICK_SECONDS", 0.01)

    async def fails(connection: str) -> None:
        tries.append(connection)
        if len(tries) == 3:
            stop.set()
        raise trouble

    one = resumer(parking, FakeProducer())
    monkeypatch.setattr(one, "resume", fails)
    try:
        await asyncio.wait_for(one.run(stop, Metrics()), 20)
        assert ["erp"] * 3 == tries
    finally:
        await parking.close()


def letter_of(offset: int, *, value: bytes | None = b"value", whole: bool = True) -> tuple[Parked, Record]:
    """Return a parked record of a key of its own, and where it stands."""
    record = Record("deliver.erp", 0, offset, 0.0, b"order/%d" % offset, value)
    letter_id, output = REGISTRAR.dead_letter(record, Failure("503", "passing", state=PARKED, whole=whole), Subject("erp"), STARTS_AT)
    return Parked(letter_id, output.topic, 0, offset), Record(output.topic, 0, offset, 0.0, output.key, output.value)


async def test_what_is_parked_without_its_value_is_not_sent_as_another_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, producer = VirtualClock(), FakeProducer()
    parking = Parking(open_engine(URL.create("sqlite", database=str(tmp_path / "parked.db"))), clock, timedelta(seconds=60))
    letters = dict([letter_of(0), letter_of(1, whole=False), letter_of(2, value=None)])
    monkeypatch.setattr("sinks.resume._read", lambda _kafka, due: ([(one, letters[one]) for one in due], []))
    try:
        for one in letters:
            await parking.park("erp", one)
        await clock.run(clock.sleep(61))
        with capture_logs() as logged:
            await resumer(parking, producer).resume("erp")
        assert ({(b"order/0", b"value"), (b"order/2", None)}, []) == ({(one.key, one.value) for one in producer.sent}, await parking.due("erp"))
        assert ["too large" in line["reason"] for line in logged] == [True]
    finally:
        await parking.close()


async def test_what_cannot_be_sent_is_due_again_at_once_and_what_was_sent_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, producer = VirtualClock(), FakeProducer()
    parking = Parking(open_engine(URL.create("sqlite", database=str(tmp_path / "parked.db"))), clock, timedelta(seconds=60))
    letters = [letter_of(offset) for offset in range(3)]
    monkeypatch.setattr("sinks.resume._read", lambda _kafka, due: ([(one, dict(letters)[one]) for one in due], []))

    async def third_is_refused(_topic: str) -> None:
        if len(producer.sent) == 2:
            raise RetryableError("Kafka does not answer")

    producer.before = third_is_refused
    try:
        for one, _ in letters:
            await parking.park("erp", one)
        await clock.run(clock.sleep(61))
        with pytest.raises(RetryableError):
            await resumer(parking, producer).resume("erp")
        sent = {output.key for output in producer.sent}
        [left] = [one for one, record in letters if record.key not in sent]
        assert [left] == await parking.due("erp")
    finally:
        await parking.close()


async def test_what_is_too_large_to_be_sent_again_is_told_and_keeps_nobody_else_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, producer = VirtualClock(), FakeProducer()
    parking = Parking(open_engine(URL.create("sqlite", database=str(tmp_path / "parked.db"))), clock, timedelta(seconds=60))
    letters, asked = [letter_of(offset) for offset in range(2)], list[str]()
    monkeypatch.setattr("sinks.resume._read", lambda _kafka, due: ([(one, dict(letters)[one]) for one in due], []))

    async def first_is_refused(topic: str) -> None:
        asked.append(topic)
        if len(asked) == 1:
            raise DataError("sending to deliver.erp: Broker: Message size too large", field="value")

    producer.before = first_is_refused
    try:
        for one, _ in letters:
            await parking.park("erp", one)
        await clock.run(clock.sleep(61))
        await resumer(parking, producer).resume("erp")
        assert (2, 1) == (len(asked), len(producer.sent))
        assert [] == await parking.due("erp")
    finally:
        await parking.close()
