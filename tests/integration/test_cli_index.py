"""What an operator's commands say of a real Kafka's topics, with no indexer running."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from towpath.delivery.deadletters import PARKED
from towpath.errors import ConfigError
from towpath.kafka import KafkaSettings
from towpath.testing.desk import BINARY, NOON, Desk
from towpath.testing.reading import read_all


@pytest.fixture
def desk(tmp_path: Path, kafka_settings: KafkaSettings, topic_name: Callable[[str], str]) -> Desk:
    return Desk(tmp_path, kafka_settings, topic_name("").strip("."))


def keys(letters: Iterable[dict[str, Any]]) -> list[str]:
    return [letter["business_key"] for letter in letters]


def test_open_dead_letters_are_listed_by_connection_state_and_number(desk: Desk) -> None:
    (closed, first), (_, second), (_, third) = desk.failure(1), desk.failure(2), desk.failure(3, state=PARKED)
    desk.send(first, second, third, desk.registrar.receipt("applied", desk.subject(1), NOON + timedelta(hours=1), dead_letter_id=closed))
    of_erp = ("dlq", "list", "--where", f"connection={desk.erp}")
    assert [desk.key(2), desk.key(3)] == keys(desk.lines(*of_erp))
    assert [desk.key(1), desk.key(2), desk.key(3)] == keys(desk.lines(*of_erp, "--all"))
    assert [desk.key(3)] == keys(desk.lines(*of_erp, "--where", "state=parked"))
    assert [desk.key(2)] == keys(desk.lines(*of_erp, "--limit", "1"))


def test_a_condition_on_no_field_is_refused_with_the_nearest_one(desk: Desk) -> None:
    failed = desk.run("dlq", "list", "--where", "conection=erp")
    assert isinstance(failed.exception, ConfigError)
    assert 'did you mean "connection"?' in str(failed.exception)


def test_a_dead_letter_is_shown_whole_from_its_topic(desk: Desk) -> None:
    letter_id, letter = desk.failure(1)
    desk.send(desk.failure(7)[1], letter)
    shown = json.loads(desk.run("dlq", "show", letter_id[:12]).stdout)
    expected = {"dead_letter_id": letter_id, "value": f"hex:{BINARY.hex()}", "headers": {"ce_id": "e1"}, "topic": f"deliver.{desk.erp}", "open": True}
    assert expected == {name: shown[name] for name in expected}
    assert not [path for path in desk.config.data_dir.iterdir() if BINARY in path.read_bytes()]


def test_replaying_sends_the_original_again_untouched_to_the_group_that_failed(desk: Desk) -> None:
    letters = [desk.failure(number) for number in (1, 2, 3)]
    desk.send(*(letter for _, letter in letters))
    replayed = desk.run("dlq", "replay", letters[1][0])
    assert "replayed 1\n" == replayed.stdout
    (sent,) = read_all(desk.config.kafka, [f"deliver.{desk.erp}"])
    assert (BINARY, desk.key(2).encode(), "e1") == (sent.value, sent.key, sent.header("ce_id"))
    assert sent.replay is not None
    assert (letters[1][0], 1, f"sink.{desk.erp}") == (sent.replay.dead_letter_id, sent.replay.replays, sent.replay.group)


def test_a_closed_dead_letter_is_not_replayed(desk: Desk) -> None:
    letter_id, letter = desk.failure(1)
    desk.send(letter, desk.registrar.receipt("applied", desk.subject(1), NOON + timedelta(hours=1), dead_letter_id=letter_id))
    failed = desk.run("dlq", "replay", letter_id)
    assert "is closed already" in str(failed.exception)
    assert [] == read_all(desk.config.kafka, [f"deliver.{desk.erp}"])


def test_an_order_is_traced_by_the_id_it_has_at_the_erp_and_told_on_80_columns(desk: Desk) -> None:
    external_id = f"SO-{desk.erp}"
    desk.send(desk.failure(1)[1], desk.registrar.receipt("applied", desk.subject(1), NOON, external_id=external_id))
    steps = desk.lines("trace", external_id)
    assert [("sink", "dead"), ("sink", "applied")] == sorted(((step["hop"], step["what"]) for step in steps), reverse=True)
    printed = desk.run("trace", external_id).stdout
    assert desk.key(1) in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_what_is_not_known_ends_with_1(desk: Desk) -> None:
    assert (1, 1) == (desk.run("trace", "no such order").exit_code, desk.run("xref", desk.erp, "SO-0").exit_code)


def test_cross_references_are_told_both_ways(desk: Desk) -> None:
    desk.send(desk.registrar.receipt("applied", desk.subject(1), NOON, external_id="SO-1"))
    assert [desk.key(1)] == keys(desk.lines("xref", desk.erp, "SO-1"))
    assert ["SO-1"] == [one["external_id"] for one in desk.lines("xref", desk.shop, "1")]
    assert [desk.erp] == [one["connection"] for one in desk.lines("xref", "bng", "1")]


def test_a_connection_that_is_not_there_is_refused(desk: Desk) -> None:
    assert 'no connection is called "nowhere", and none is of such a system' in str(desk.run("xref", "nowhere", "1").exception)


def test_a_kafka_that_is_down_is_told_and_not_waited_for(desk: Desk) -> None:
    desk.file.write_text(desk.file.read_text(encoding="utf-8").replace(desk.config.kafka.bootstrap_servers, "127.0.0.1:1"), encoding="utf-8")
    failed = desk.run("trace", "1001")
    assert isinstance(failed.exception, ConfigError)
    assert "127.0.0.1:1 does not answer" in str(failed.exception)
