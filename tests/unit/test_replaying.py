"""What is sent again counts as sent once Kafka has it, and what it refuses is told, whatever librdkafka says first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from towpath import replaying
from towpath.cli import _dlq_mending
from towpath.cli._dlq_closing import mended_by_hand
from towpath.codec import default_codec
from towpath.errors import ConfigError
from towpath.index.queries import Letter
from towpath.kafka import KafkaSettings
from towpath.records import DEAD_LETTER, Output
from towpath.replaying import send_all
from towpath.topic_reader import Place

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
KAFKA = KafkaSettings(bootstrap_servers="127.0.0.1:1")


class Librdkafka:
    """A producer with room for two records: reports come when it is polled, and some topics are refused, with a report or at once."""

    def __init__(self, refused: Sequence[str] = (), unknown: Sequence[str] = ()) -> None:
        self.refused, self.unknown = refused, unknown
        self.buffered: deque[tuple[str, bytes | None, Callable[..., None]]] = deque()
        self.taken: list[tuple[str, bytes | None]] = []

    def produce(self, topic: str, value: bytes | None, _key: bytes | None, *, on_delivery: Callable[..., None], **_options: object) -> None:
        if topic in self.unknown:
            raise KafkaException(KafkaError(KafkaError._UNKNOWN_TOPIC))
        if len(self.buffered) == 2:
            raise BufferError("Local: Queue full")
        self.buffered.append((topic, value, on_delivery))

    def poll(self, seconds: float) -> None:
        if seconds:
            self._report()

    def flush(self, _seconds: float) -> int:
        while self.buffered:
            self._report()
        return 0

    def _report(self) -> None:
        topic, value, on_delivery = self.buffered.popleft()
        is_refused = topic in self.refused
        if not is_refused:
            self.taken.append((topic, value))
        on_delivery(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED) if is_refused else None, None)


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Librdkafka]:
    """Give what has every producer be one that refuses these topics."""

    def made(**options: Sequence[str]) -> Librdkafka:
        producer = Librdkafka(**options)
        monkeypatch.setattr(replaying, "make_producer", lambda _settings: producer)
        return producer

    return made


def outputs(*topics: str) -> list[Output]:
    return [Output(topic, b"k", b"%d" % number, [(DEAD_LETTER, b"letter-%d" % number)]) for number, topic in enumerate(topics)]


def test_more_than_librdkafka_has_room_for_is_sent(kafka: Callable[..., Librdkafka]) -> None:
    producer = kafka()
    assert 5 == send_all(KAFKA, outputs(*["orders"] * 5))
    assert [b"0", b"1", b"2", b"3", b"4"] == [value for _, value in producer.taken]


@pytest.mark.parametrize("how", ["refused", "unknown"])
def test_what_kafka_refuses_is_an_error_that_names_it_and_who_asks_is_told_of_the_rest_alone(kafka: Callable[..., Librdkafka], how: str) -> None:
    kafka(**{how: ["theirs"]})
    taken: list[str] = []
    with pytest.raises(ConfigError, match="Kafka did not take 1 of"):
        send_all(KAFKA, outputs("orders", "theirs"), taken=lambda output: taken.append(output.topic))
    assert ["orders"] == taken


def a_foreign_letter(number: int) -> Letter:
    texts = dict.fromkeys(("connection", "business_key", "flow", "mapping_version", "group"), "warehouse")
    told: dict[str, Any] = {**texts, "hop": "connect", "dead_letter_id": f"letter-{number}", "last_at": NOON}
    told |= {"topic": "theirs", "partition": 0, "offset": number}
    return Letter(Place("theirs.dlq", 0), number, told)


def closed(producer: Librdkafka) -> list[str]:
    receipts: Iterable[bytes | None] = (value for topic, value in producer.taken if topic == "receipts")
    return [default_codec().decode_as("Receipt", value)["dead_letter_id"] for value in receipts]


def test_who_mended_a_record_is_told_and_closes_nothing() -> None:
    output = mended_by_hand(a_foreign_letter(7).told)
    receipt = default_codec().decode_as("Receipt", output.value)
    assert ("mended", "warehouse", "", True) == (receipt["outcome"], receipt["key"], receipt["dead_letter_id"], "letter-7" in receipt["reason"])


def test_a_dead_letter_that_is_none_of_ours_is_closed_only_where_its_topic_has_it_again(kafka: Callable[..., Librdkafka]) -> None:
    producer, sent = kafka(refused=["theirs"]), set[str]()
    with pytest.raises(ConfigError):
        _dlq_mending._send(KAFKA, outputs("orders", "theirs"), [a_foreign_letter(0), a_foreign_letter(1)], sent)
    assert ({"letter-0"}, ["letter-0"]) == (sent, closed(producer))
