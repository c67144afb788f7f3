"""What is due and cannot be read from Kafka now is due again, not after the hour that a claim holds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy.engine import URL

from sinks.resume import Resumer
from towpath.codec import default_codec
from towpath.delivery.database import open_engine
from towpath.delivery.parking import Parked, Parking
from towpath.errors import RetryableError
from towpath.kafka import KafkaSettings
from towpath.testing.clock import VirtualClock
from towpath.testing.producer import FakeProducer

ONE = Parked("letter-1", "parked.erp", 2, 7)


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
