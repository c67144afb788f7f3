"""What Kafka Connect and Spring say of a failed record is read as they write it, and rubbish in it harms nobody."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.codec import default_codec
from towpath.delivery.deadletters import replay_of
from towpath.delivery.foreign import foreign_letter, why_not_replayed
from towpath.index.rows import Rows
from towpath.records import Headers, Record

AT = 1_763_640_000.0
CONNECT = [
    ("__connect.errors.topic", b"orders"),
    ("__connect.errors.partition", b"2"),
    ("__connect.errors.offset", b"4711"),
    ("__connect.errors.connector.name", b"warehouse-sink"),
    ("__connect.errors.task.id", b"0"),
    ("__connect.errors.stage", b"VALUE_CONVERTER"),
    ("__connect.errors.class.name", b"org.apache.kafka.connect.json.JsonConverter"),
    ("__connect.errors.exception.class.name", b"org.apache.kafka.connect.errors.DataException"),
    ("__connect.errors.exception.message", b"Converting byte[] to Kafka Connect data failed"),
    ("__connect.errors.exception.stacktrace", b"..."),
]
SPRING = [
    ("kafka_dlt-original-topic", b"orders"),
    ("kafka_dlt-original-partition", struct.pack(">i", 2)),
    ("kafka_dlt-original-offset", struct.pack(">q", 4711)),
    ("kafka_dlt-original-timestamp", struct.pack(">q", 1)),
    ("kafka_dlt-original-consumer-group", b"billing"),
    ("kafka_dlt-exception-fqcn", b"org.springframework.kafka.listener.ListenerExecutionFailedException"),
    ("kafka_dlt-exception-cause-fqcn", b"com.example.Billing$NoRateException"),
    ("kafka_dlt-exception-message", b"no rate"),
]
OWN = [("ce_id", b"e1")]


def a_record(*headers: tuple[str, bytes], offset: int = 5) -> Record:
    return Record("orders-sink.dlq", 1, offset, AT, b"shop/order/1001", b'{"total": 1}', [*OWN, *headers])


@pytest.mark.parametrize(
    ("headers", "hop", "group", "error_class", "reason"),
    [
        (CONNECT, "connect", "connect-warehouse-sink", "DataException", "Converting byte[] to Kafka Connect data failed (VALUE_CONVERTER of task 0)"),
        (SPRING, "spring", "billing", "NoRateException", "no rate"),
    ],
)
def test_what_failed_where_and_why_is_told(headers: Headers, hop: str, group: str, error_class: str, reason: str) -> None:
    letter = foreign_letter(a_record(*headers))
    assert (hop, group, error_class) == (letter["hop"], letter["group"], letter["error_class"])
    assert letter["reason"].endswith(reason)
    assert ("orders", 2, 4711) == (letter["topic"], letter["partition"], letter["offset"])
    assert ([{"name": "ce_id", "value": b"e1"}], "shop/order/1001") == (letter["headers"], letter["business_key"])
    assert datetime.fromtimestamp(AT, UTC) == letter["first_at"] == letter["last_at"]


@pytest.mark.parametrize("headers", [CONNECT, SPRING])
def test_the_same_record_keeps_its_count_when_it_fails_again_after_a_replay(headers: Headers) -> None:
    first = foreign_letter(a_record(*headers))
    topic, key, value, sent = replay_of(first)
    assert ("orders", b"shop/order/1001", b'{"total": 1}') == (topic, key, value)
    again = foreign_letter(Record("orders-sink.dlq", 0, 9, AT + 60, key, value, [*sent, *headers]))
    assert first["dead_letter_id"] != again["dead_letter_id"]
    assert (2, 1) == (again["attempts"], again["replays"])
    assert first["first_at"] == again["first_at"] < again["last_at"]
    assert [name for name, _ in sent if name.startswith(("__connect", "kafka_dlt"))] == []


def test_another_consumer_of_the_same_record_has_a_dead_letter_of_its_own() -> None:
    assert foreign_letter(a_record(*CONNECT))["dead_letter_id"] != foreign_letter(a_record(*SPRING))["dead_letter_id"]


def test_another_consumer_that_fails_at_what_was_replayed_counts_for_itself() -> None:
    first = foreign_letter(a_record(*CONNECT))
    _, key, value, sent = replay_of(first)
    other = [(name, b"archive" if name.endswith("connector.name") else told) for name, told in CONNECT]
    again, others = (foreign_letter(Record("dlq", 0, 9, AT + 60, key, value, [*sent, *headers])) for headers in (CONNECT, other))
    assert ("connect-warehouse-sink", 1, 2) == (again["group"], again["replays"], again["attempts"])
    assert ("connect-archive", 0, 1) == (others["group"], others["replays"], others["attempts"])


def test_of_a_record_that_went_through_retry_topics_the_first_one_counts() -> None:
    later = [("kafka_dlt-original-topic", b"orders-retry-0"), ("kafka_dlt-original-offset", struct.pack(">q", 1))]
    letter = foreign_letter(a_record(*SPRING, *later))
    assert ("orders", 4711) == (letter["topic"], letter["offset"])


def test_what_springs_retry_topics_counted_is_left_out_of_a_replay_which_counts_anew() -> None:
    counted = [("retry_topic-attempts", struct.pack(">i", 4)), ("retry_topic-original-timestamp", struct.pack(">q", 1))]
    sent = replay_of(foreign_letter(a_record(*counted, *SPRING)))
    assert [] == [name for name, _ in sent.headers if name.startswith("retry_topic")]
    assert OWN == [header for header in sent.headers if header in OWN]


def test_one_of_a_spring_that_does_not_tell_its_group_is_listed_by_its_topic_and_keeps_its_count() -> None:
    old = [header for header in SPRING if "group" not in header[0] and "cause" not in header[0]]
    first = foreign_letter(a_record(*old))
    assert ("orders-sink.dlq", "", "ListenerExecutionFailedException") == (first["connection"], first["group"], first["error_class"])
    again = foreign_letter(a_record(*replay_of(first).headers, *old, offset=9))
    assert 2 == again["attempts"]


def test_a_record_that_says_nothing_is_listed_and_cannot_be_replayed() -> None:
    letter = foreign_letter(a_record())
    assert ("other", "") == (letter["hop"], letter["topic"])
    assert "context.headers.enable" in why_not_replayed(letter, ())
    assert letter["dead_letter_id"] != foreign_letter(a_record(offset=6))["dead_letter_id"]


def test_a_topic_that_only_towpath_reads_is_never_written_to_on_a_strangers_word() -> None:
    letter = foreign_letter(a_record(("__connect.errors.topic", b"deliver.erp")))
    assert "deliver.erp" in why_not_replayed(letter, ["deliver.erp"])
    assert "" == why_not_replayed(letter, ["deliver.shop"])


@given(st.lists(st.tuples(st.sampled_from([name for name, _ in (*CONNECT, *SPRING)]), st.none() | st.binary(max_size=40))), st.none() | st.binary())
def test_rubbish_in_any_header_makes_a_row_and_no_error(headers: list[tuple[str, bytes]], key: bytes | None) -> None:
    rows = Rows(foreign=frozenset({"t"}))
    rows.add(Record("t", 0, 1, AT, key, None, headers), default_codec())
    assert (1, 1) == (len(rows.steps), len(rows.letters))
