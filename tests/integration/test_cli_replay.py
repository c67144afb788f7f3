"""What `towpath replay` sends again on a real Kafka: what its options name, in order, marked, and never its own replays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from towpath.cli.main import build_app
from towpath.errors import ConfigError
from towpath.kafka import KafkaSettings, make_producer
from towpath.records import Record
from towpath.testing.reading import read_all
from towpath.topic_setup import ensure
from towpath.topics import load_topics


class Desk:
    """One operator at a shop that no other test has: six records on its inbox, of two orders in turn."""

    def __init__(self, folder: Path, kafka: KafkaSettings, word: str) -> None:
        self.kafka, self.topic, self.file = kafka, f"inbox.shop-{word}", folder / "towpath.yaml"
        shop = f"  shop-{word}: {{system: bng, url: 'http://127.0.0.1:1', credentials: {{api_key: 'env:NONE'}}}}"
        self.file.write_text(f"kafka: {{bootstrap_servers: '{kafka.bootstrap_servers}'}}\nconnections:\n{shop}\n", encoding="utf-8")
        ensure(kafka, [spec for spec in load_topics().expand([f"shop-{word}"]) if spec.name == self.topic])
        producer = make_producer(kafka)
        for number in range(6):
            producer.produce(self.topic, str(number), f"order/{1001 + number % 2}", headers=[("webhook-id", b"w")])
            producer.flush(10)

    def replay(self, *arguments: str) -> str:
        result = CliRunner().invoke(build_app(), ["replay", *arguments, "--config", str(self.file)])
        if isinstance(result.exception, ConfigError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout

    def replayed(self) -> list[Record]:
        return [record for record in read_all(self.kafka, [self.topic]) if record.replay is not None]


@pytest.fixture
def desk(tmp_path: Path, kafka_settings: KafkaSettings, topic_name: Callable[[str], str]) -> Desk:
    return Desk(tmp_path, kafka_settings, topic_name("").strip("."))


def test_all_of_a_topic_is_sent_again_as_it_was_and_marked(desk: Desk) -> None:
    told = desk.replay(desk.topic)
    found = desk.replayed()
    assert "replayed 6 records" in told
    assert sorted(f"{number}".encode() for number in range(6)) == sorted(record.value or b"" for record in found)
    assert {("w", "")} == {(record.header("webhook-id") or "", record.replay.dead_letter_id if record.replay else "?") for record in found}
    firsts = {record.value: record.offset for record in read_all(desk.kafka, [desk.topic]) if record.replay is None}
    assert firsts == {record.value: record.origin for record in found}


def test_a_second_replay_does_not_send_the_first_again(desk: Desk) -> None:
    desk.replay(desk.topic)
    assert "replayed 6 records" in desk.replay(desk.topic)


def test_a_key_or_the_number_in_it_chooses_records_in_their_order(desk: Desk) -> None:
    desk.replay(desk.topic, "--key", "1001", "--force")
    found = desk.replayed()
    assert [b"0", b"2", b"4"] == [record.value for record in found]
    assert all(record.replay is not None and record.replay.force for record in found)


def test_a_plan_sends_nothing(desk: Desk) -> None:
    assert "would replay 6 records" in desk.replay(desk.topic, "--plan")
    assert [] == desk.replayed()


def test_offsets_choose_a_part_of_one_partition(desk: Desk) -> None:
    records = [record for record in read_all(desk.kafka, [desk.topic]) if record.key == b"order/1001"]
    one = records[1]
    desk.replay(desk.topic, "--partition", str(one.partition), "--from", str(one.offset), "--to", str(one.offset + 1))
    assert [one.value] == [record.value for record in desk.replayed()]


def test_times_choose_records(desk: Desk) -> None:
    assert "would replay 0 records" in desk.replay(desk.topic, "--plan", "--since", "2999-01-01")
    assert "would replay 6 records" in desk.replay(desk.topic, "--plan", "--since", "2020-01-01T00:00+02:00", "--until", "2999-01-01")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("inbox.nobody",), "inbox.nobody is no topic that can be replayed"),
        (("receipts",), "receipts is no topic that can be replayed"),
        ((), "name topics, or give --all"),
        (("--all", "--from", "3"), "offsets of one partition"),
        (("--all", "--since", "yesterday"), "--since yesterday: write a time"),
        (("--all", "--flow", "nothing"), "--flow nothing: there is no such flow"),
    ],
)
def test_what_cannot_be_replayed_is_refused_with_the_remedy(desk: Desk, arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        desk.replay(*arguments)
