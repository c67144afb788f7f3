"""Dead letters of Kafka Connect and Spring on the same desk: listed, shown, replayed to their original topic, discarded."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from towpath.config import load_config
from towpath.errors import ConfigError
from towpath.kafka import KafkaSettings, make_consumer, record_of
from towpath.records import Headers, Output, Record
from towpath.testing.desk import Desk
from towpath.testing.reading import read_all
from towpath.topic_setup import ensure
from towpath.topics import TopicSpec

TRACE = "java.lang.IllegalStateException: no rate\n\tat com.example.Billing.listen(Billing.java:42)\n"
OWN = [
    ("ce_id", b"e1"),
    ("__TypeId__", b"com.example.Order"),
    ("tag", b"\x00\xff"),
    ("tag", b""),
    ("traceparent", b"00-" + b"4" * 32 + b"-" + b"2" * 16 + b"-01"),
]
"""Headers of whoever wrote the record: bytes that are no text, a name that comes twice, an empty value."""
KEY, VALUE = b"\x00order/1\xff", b"\x00\x00\x00\x00\x07\xfe"


def of_spring(topic: str, offset: int) -> Headers:
    """Return what Spring Kafka's DeadLetterPublishingRecoverer (3.x, after two retry topics) adds to a failed record."""
    return [
        ("retry_topic-attempts", struct.pack(">i", 3)),
        ("retry_topic-original-timestamp", struct.pack(">q", 1_763_640_000_000)),
        ("retry_topic-backoff-timestamp", struct.pack(">q", 1_763_640_002_000)),
        ("kafka_dlt-original-topic", topic.encode()),
        ("kafka_dlt-original-partition", struct.pack(">i", 0)),
        ("kafka_dlt-original-offset", struct.pack(">q", offset)),
        ("kafka_dlt-original-timestamp", struct.pack(">q", 1_763_640_000_000)),
        ("kafka_dlt-original-timestamp-type", b"CreateTime"),
        ("kafka_dlt-original-consumer-group", b"billing"),
        ("kafka_dlt-exception-fqcn", b"org.springframework.kafka.listener.ListenerExecutionFailedException"),
        ("kafka_dlt-exception-cause-fqcn", b"java.lang.IllegalStateException"),
        ("kafka_dlt-exception-message", b"Listener failed; no rate"),
        ("kafka_dlt-exception-stacktrace", TRACE.encode()),
        ("kafka_dlt-original-topic", topic.encode() + b"-retry-1"),
        ("kafka_dlt-original-partition", struct.pack(">i", 1)),
        ("kafka_dlt-original-offset", struct.pack(">q", 0)),
    ]


def of_connect(topic: str, offset: int) -> Headers:
    """Return what Kafka Connect's DeadLetterQueueReporter adds to a record that a sink connector could not take."""
    told = {"topic": topic, "partition": "0", "offset": str(offset), "connector.name": "billing", "stage": "VALUE_CONVERTER", "task.id": "0"}
    told |= {"class.name": "org.apache.kafka.connect.json.JsonConverter", "exception.class.name": "org.apache.kafka.connect.errors.DataException"}
    told |= {"exception.message": "Converting byte[] to Kafka Connect data failed", "exception.stacktrace": TRACE}
    return [(f"__connect.errors.{name}", text.encode()) for name, text in told.items()]


class Others:
    """A desk at which the dead letters of a connector over `orders` are read, from a topic of their own."""

    def __init__(self, desk: Desk, word: str) -> None:
        self.desk, self.orders, self.dead = desk, f"{word}.orders", f"{word}.dlq"
        ensure(desk.config.kafka, [TopicSpec(name, 2, "delete", 86_400_000) for name in (self.orders, self.dead)])
        with desk.file.open("a", encoding="utf-8") as file:
            file.write(f"\nindex: {{dead_letter_topics: [{self.dead}]}}\n")
        desk.config = load_config(desk.file, resolve=False)

    def failed(self, number: int, *, topic: str = "", value: bytes = b'{"total": 1}', headers: list[tuple[str, bytes]] | None = None) -> Output:
        """Return what the connector writes of the order that it could not process."""
        told = {"topic": topic or self.orders, "partition": "0", "offset": str(number), "connector.name": "warehouse", "task.id": "0"}
        told |= {"stage": "TASK_PUT", "exception.class.name": "java.sql.SQLException", "exception.message": "no column total"}
        written = [(f"__connect.errors.{name}", text.encode()) for name, text in told.items()]
        return Output(self.dead, b"order/%d" % number, value, [*(headers or [("ce_id", b"e1")]), *written])

    def again(self) -> list[Record]:
        return read_all(self.desk.config.kafka, [self.orders])

    def read_on(self, group: str, count: int) -> list[Record]:
        """Return the next records that this consumer of the topic gets, and note that it has read them."""
        consumer = make_consumer(self.desk.config.kafka, group)
        consumer.subscribe([self.orders])
        try:
            messages = consumer.consume(count, 15.0)
            consumer.commit(message=messages[-1], asynchronous=False)
        finally:
            consumer.close()
        return [record_of(message) for message in messages]

    def ids(self, *arguments: str) -> list[str]:
        return [letter["dead_letter_id"] for letter in self.desk.lines("dlq", "list", "--where", "connection=warehouse", *arguments)]


@pytest.fixture
def others(tmp_path: Path, kafka_settings: KafkaSettings, topic_name: Callable[[str], str]) -> Others:
    return Others(Desk(tmp_path, kafka_settings, topic_name("").strip(".")), topic_name("").strip("."))


def test_they_are_listed_shown_and_replayed_to_their_topic_once_and_come_back_when_they_fail_again(others: Others) -> None:
    desk = others.desk
    desk.send(others.failed(1), others.failed(2))
    (group,) = [group for group in desk.lines("dlq", "groups") if group["connection"] == "warehouse"]
    assert (2, "SQLException") == (group["letters"], group["error_class"])
    assert "every reader of that topic gets it again" in group["remedy"]
    one = others.ids()[0]
    shown = json.loads(desk.run("dlq", "show", one).stdout)
    assert ({"total": 1}, "connect-warehouse", others.orders) == (shown["record"], shown["group"], shown["topic"])
    planned = desk.run("dlq", "replay", "--where", "connection=warehouse", "--plan").stdout
    assert f"to connect-warehouse on {others.orders}" in planned
    assert ([], 2) == (others.again(), len(others.ids()))
    assert "replayed 2\n" == desk.run("dlq", "replay", "--where", "connection=warehouse").stdout
    sent = {record.key: record for record in others.again()}
    assert {(b"order/1", b'{"total": 1}', "e1"), (b"order/2", b'{"total": 1}', "e1")} == {
        (key, record.value, record.header("ce_id")) for key, record in sent.items()
    }
    assert ([], 2) == (others.ids(), len(others.ids("--all")))
    desk.send(others.failed(1, headers=list(sent[b"order/1"].headers)))
    assert 1 == len(others.ids())
    left = desk.run("dlq", "replay", "--where", "connection=warehouse", "--cap", "1")
    assert ("replayed 0\n", True) == (left.stdout, "raise --cap" in left.stderr)


@pytest.mark.parametrize(
    ("written", "group", "error_class", "reason"),
    [
        (of_spring, "billing", "IllegalStateException", "java.lang.IllegalStateException: Listener failed; no rate"),
        (of_connect, "connect-billing", "DataException", "Converting byte[] to Kafka Connect data failed (VALUE_CONVERTER of task 0)"),
    ],
)
def test_what_a_plain_producer_wrote_with_their_headers_comes_back_to_its_consumer_byte_for_byte(
    others: Others, written: Callable[[str, int], Headers], group: str, error_class: str, reason: str
) -> None:
    desk, consumer = others.desk, f"{others.orders}.billing"
    desk.send(Output(others.orders, KEY, VALUE, OWN))
    (failed,) = others.read_on(consumer, 1)
    desk.send(Output(others.dead, KEY, VALUE, [*OWN, *written(others.orders, failed.offset)]))
    (letter,) = desk.lines("dlq", "list", "--where", "connection=billing")
    assert (group, error_class, True) == (letter["group"], letter["error_class"], letter["reason"].endswith(reason))
    shown = desk.run("dlq", "show", letter["dead_letter_id"]).stdout
    assert all(told in shown for told in (others.orders, reason, "every reader of that topic gets it again"))
    assert "replayed 1\n" == desk.run("dlq", "replay", letter["dead_letter_id"]).stdout
    (again,) = others.read_on(consumer, 1)
    assert (KEY, VALUE, OWN) == (again.key, again.value, [header for header in again.headers if not header[0].startswith("towpath-")])
    assert (letter["dead_letter_id"], group) == (again.header("towpath-dead-letter"), again.header("towpath-group"))
    assert (2, []) == (len(others.again()), desk.lines("dlq", "list", "--where", "connection=billing"))


def test_one_is_mended_or_discarded_as_ours_are(others: Others) -> None:
    desk = others.desk
    desk.send(others.failed(1), others.failed(2))
    letters = {letter["business_key"]: letter["dead_letter_id"] for letter in desk.lines("dlq", "list", "--where", "connection=warehouse")}
    assert "replayed 1, mended" in desk.run("dlq", "edit", letters["order/1"], "--set", "total=2").stdout
    assert [{"total": 2}] == [json.loads(record.value or b"") for record in others.again()]
    assert "discarded 1" in desk.run("dlq", "discard", letters["order/2"], "--reason", "a test").stdout
    assert [] == others.ids()


def test_what_names_a_topic_of_towpaths_own_is_left_and_said_why(others: Others) -> None:
    desk = others.desk
    desk.send(others.failed(1, topic=f"deliver.{desk.erp}"), others.failed(2))
    replayed = desk.run("dlq", "replay", "--where", "connection=warehouse")
    assert ("replayed 1\n", True) == (replayed.stdout, "Towpath itself is the only reader" in replayed.stderr)
    assert [] == read_all(desk.config.kafka, [f"deliver.{desk.erp}"])
    (forged,) = others.ids()
    assert isinstance(desk.run("dlq", "edit", forged, "--set", "total=2").exception, ConfigError)


def test_a_topic_of_towpaths_own_is_not_named_as_somebody_elses(others: Others) -> None:
    desk = others.desk
    desk.file.write_text(desk.file.read_text(encoding="utf-8").replace(others.dead, f"dlq.{desk.erp}"), encoding="utf-8")
    assert "leave it out" in str(desk.run("dlq", "list").exception)


def test_what_was_read_of_a_topic_that_is_named_no_more_can_still_be_shown_and_replayed(others: Others) -> None:
    desk = others.desk
    desk.send(others.failed(1), others.failed(2, topic=f"deliver.{desk.erp}"))
    letters = {letter["business_key"]: letter["dead_letter_id"] for letter in desk.lines("dlq", "list", "--where", "connection=warehouse")}
    one, forged = letters["order/1"], letters["order/2"]
    desk.file.write_text(desk.file.read_text(encoding="utf-8").rpartition("index:")[0], encoding="utf-8")
    assert others.orders == json.loads(desk.run("dlq", "show", one).stdout)["topic"]
    assert "replayed 0\n" == desk.run("dlq", "replay", forged).stdout
    assert "replayed 1\n" == desk.run("dlq", "replay", one).stdout
    assert (1, [forged]) == (len(others.again()), others.ids())
