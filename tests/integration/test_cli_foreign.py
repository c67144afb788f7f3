"""Dead letters of Kafka Connect and Spring on the same desk: listed, shown, replayed to their original topic, discarded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from towpath.config import load_config
from towpath.errors import ConfigError
from towpath.kafka import KafkaSettings
from towpath.records import Output, Record
from towpath.testing.desk import Desk
from towpath.testing.reading import read_all
from towpath.topic_setup import ensure
from towpath.topics import TopicSpec


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
