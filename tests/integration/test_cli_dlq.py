"""The workbench for dead letters over a real Kafka: they are grouped, mended, sent again and discarded, and nothing is lost of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from towpath.codec import default_codec
from towpath.delivery import deadletters
from towpath.delivery.deadletters import Failure
from towpath.errors import ConfigError
from towpath.kafka import KafkaSettings
from towpath.records import Output, Record
from towpath.testing.desk import BINARY, NOON, Desk
from towpath.testing.events import an_order
from towpath.testing.reading import read_all

DOCUMENT = {"ExternalOrderID": "SHOP-1", "Total": "34.56", "Lines": [{"LineNo": 1, "SKU": "A-7", "Quantity": 2}]}


@pytest.fixture
def desk(tmp_path: Path, kafka_settings: KafkaSettings, topic_name: Callable[[str], str]) -> Desk:
    return Desk(tmp_path, kafka_settings, topic_name("").strip("."))


def a_delivery(desk: Desk, number: int) -> bytes:
    order = an_order(number, connection=desk.shop)
    texts = ("delivery_id", "event_id", "trace_id", "mapping", "mapping_version")
    return default_codec().encode(
        "Delivery",
        {
            **dict.fromkeys(texts, "x"),
            "flow": "orders",
            "source": desk.shop,
            "target": desk.erp,
            "operation": "create_order",
            "effect_key": desk.key(number),
            "version": {"major": 1, "minor": 0},
            "event_type": "OrderPlaced",
            "key": desk.key(number),
            "occurred_at": NOON,
            "received_at": NOON,
            "document": json.dumps(DOCUMENT),
            "related": {"customer c": '{"Email": "zoe@shop.example"}'},
            "event": default_codec().encode("OrderPlaced", order),
        },
    )


def delivered(desk: Desk) -> list[Record]:
    return read_all(desk.config.kafka, [f"deliver.{desk.erp}"])


def ids(desk: Desk, *arguments: str) -> list[str]:
    return [letter["dead_letter_id"] for letter in desk.lines("dlq", "list", "--where", f"connection={desk.erp}", *arguments)]


def test_failures_of_one_cause_are_one_group_with_what_mends_it(desk: Desk) -> None:
    desk.send(*(desk.failure(number, field=f"Lines[{number}].SKU")[1] for number in (1, 2, 3)), desk.failure(4, field="Total")[1])
    large, small = desk.lines("dlq", "groups", "--where", f"connection={desk.erp}")
    assert ("Lines[].SKU", 3, "Total", 1) == (large["field"], large["letters"], small["field"], small["letters"])
    assert desk.erp in large["meaning"]
    assert f"towpath dlq replay --where fingerprint={large['fingerprint']}" in large["remedy"]
    assert 3 == len(ids(desk, "--where", f"fingerprint={large['fingerprint']}")) == len(ids(desk, "--where", "field=SKU"))
    printed = desk.run("dlq", "groups", "--where", f"connection={desk.erp}").stdout
    assert large["fingerprint"] in printed
    assert "4 dead letters in 2 groups" in printed


def test_dead_letters_are_chosen_by_when_they_failed(desk: Desk) -> None:
    letters = [desk.failure(number) for number in (1, 30)]
    desk.send(*(letter for _, letter in letters))
    since = (NOON + timedelta(minutes=10)).isoformat()
    assert [letters[1][0]] == ids(desk, "--since", since)
    assert isinstance(desk.run("dlq", "list", "--since", "soon").exception, ConfigError)


def test_a_plan_says_what_would_be_done_and_does_nothing(desk: Desk) -> None:
    desk.send(*(desk.failure(number)[1] for number in (1, 2)))
    for command in (("replay",), ("discard", "--reason", "old")):
        planned = desk.run("dlq", *command, "--where", f"connection={desk.erp}", "--plan")
        assert (0, True) == (planned.exit_code, f"sink.{desk.erp}" in planned.stdout)
        assert "2" in planned.stdout.splitlines()[-1]
    assert ([], 2) == (delivered(desk), len(ids(desk)))


def test_what_fits_is_replayed_and_what_was_tried_too_often_is_left_alone(desk: Desk) -> None:
    desk.send(*(desk.failure(number)[1] for number in (1, 2, 3)))
    where = ("--where", f"connection={desk.erp}")
    assert "replayed 2" in desk.run("dlq", "replay", *where, "--limit", "2").stdout
    assert 2 == len(delivered(desk))
    for record in delivered(desk):  # they fail again, each for the second time
        again = Record(record.topic, record.partition, record.offset, 0.0, record.key, record.value, record.headers)
        desk.send(desk.registrar.dead_letter(again, _refused(), desk.subject(1), NOON + timedelta(hours=1))[1])
    left = desk.run("dlq", "replay", *where, "--cap", "1")
    assert "replayed 1\n" in left.stdout
    assert "left 2 (" in left.stderr
    assert 1 == left.stderr.count("raise --cap")


def test_what_was_sent_and_is_not_answered_is_told_left_alone_and_counted(desk: Desk) -> None:
    desk.send(desk.failure(1)[1])
    those = ("--where", f"connection={desk.erp}")
    assert "replayed 1\n" == desk.run("dlq", "replay", *those).stdout
    (before,) = desk.lines("dlq", "list", *those)
    assert (1, True) == (before["replays"], before["replay_sent_at"] is not None)
    assert "UTC and not answered yet\n" in desk.run("dlq", "list", *those).stdout
    left = desk.run("dlq", "replay", *those)
    assert ("replayed 0\n", 1) == (left.stdout, left.stderr.count("give --again"))
    for _ in range(2):
        desk.run("dlq", "replay", *those, "--again")
    assert [1, 2, 3] == [record.replay.replays for record in delivered(desk) if record.replay is not None]
    capped = desk.run("dlq", "replay", *those, "--again", "--cap", "3")
    assert ("replayed 0\n", True) == (capped.stdout, "replayed 3 times already" in capped.stderr)
    Path(str(desk.config.index_url().database)).unlink()
    (after,) = desk.lines("dlq", "list", *those)
    assert (3, True) == (after["replays"], after["replay_sent_at"] >= before["replay_sent_at"]), "built anew, the index says the same"


def test_what_was_too_large_to_be_stored_is_played_from_where_it_stands_and_never_without_its_value(desk: Desk) -> None:
    desk.send(Output(f"deliver.{desk.erp}", desk.key(1).encode(), b"large"))
    (record,) = delivered(desk)
    failure = Failure("unknown SKU (its value stands there)", whole=False)
    letters = [desk.registrar.dead_letter(record, failure, desk.subject(1), NOON), desk.failure(2)]
    desk.send(*(letter for _, letter in letters))
    those = ("dlq", "replay", "--where", f"connection={desk.erp}")
    planned, done = desk.run(*those, "--plan"), desk.run(*those)
    assert (["would replay 1"], "replayed 1\n") == (planned.stdout.splitlines()[1:], done.stdout)
    (command,) = {found for told in (planned, done) for found in re.findall(r"left 1 \(.*`towpath (replay .*)` plays it", told.stderr)}
    assert {b"large", BINARY} == {one.value for one in delivered(desk)}
    desk.run(*command.split())
    assert [b"large", b"large"] == [one.value for one in delivered(desk) if one.key == record.key]


def test_a_replay_that_is_interrupted_says_so_and_the_same_command_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    letters = [desk.failure(number) for number in range(1, 6)]
    desk.send(*(letter for _, letter in letters))
    replay_of, made = deadletters.replay_of, []

    def interrupted(letter: Mapping[str, Any]) -> Output:
        made.append(letter)
        if len(made) == 4:
            raise KeyboardInterrupt
        return replay_of(letter)

    monkeypatch.setattr(deadletters, "replay_of", interrupted)
    those = ("dlq", "replay", "--where", f"connection={desk.erp}")
    ended = desk.run(*those)
    assert (130, "", True) == (ended.exit_code, ended.stdout, "interrupted after 3 of 5; the same command goes on" in ended.stderr)
    assert (3, 5) == (len(delivered(desk)), len(ids(desk)))
    done = {record.replay.dead_letter_id for record in delivered(desk) if record.replay is not None}
    subjects = {letter_id: desk.subject(number) for number, (letter_id, _) in enumerate(letters, start=1)}
    desk.send(*(desk.registrar.receipt("applied", subjects[one], NOON + timedelta(hours=1), dead_letter_id=one) for one in done))
    monkeypatch.undo()
    assert "replayed 2\n" == desk.run(*those).stdout
    assert sorted(subjects) == sorted(record.replay.dead_letter_id for record in delivered(desk) if record.replay is not None)


def _refused() -> Failure:
    return Failure("unknown SKU", field="SKU")


def test_a_delivery_is_mended_in_its_document_and_the_dead_letter_keeps_the_original(desk: Desk) -> None:
    letter_id, letter = desk.failure(1, value=a_delivery(desk, 1))
    desk.send(letter)
    mended = desk.run("dlq", "edit", letter_id[:10], "--set", "document.Lines[0].SKU=A-8", "--set", "document.Lines[0].Quantity=3")
    assert "replayed 1, mended" in mended.stdout
    (sent,) = delivered(desk)
    delivery = default_codec().decode_as("Delivery", sent.value)
    assert [{"LineNo": 1, "SKU": "A-8", "Quantity": 3}] == json.loads(delivery["document"])["Lines"]
    assert sent.replay is not None
    assert letter_id == sent.replay.dead_letter_id
    shown = json.loads(desk.run("dlq", "show", letter_id).stdout)
    assert ("A-7", "34.56") == (shown["record"]["document"]["Lines"][0]["SKU"], shown["record"]["event"]["total"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("--set", "document.Lines[7].SKU=A-8"), "there is no document.Lines[7].SKU"),
        (("--set", "effect_key=other"), "effect_key of a delivery cannot be mended"),
        (("--set", "event.total=1.00"), "event of a delivery cannot be mended"),
        (("--set", "document.Total"), "write path=value"),
    ],
)
def test_what_cannot_be_mended_is_named_and_nothing_is_sent(desk: Desk, change: tuple[str, str], told: str) -> None:
    letter_id, letter = desk.failure(1, value=a_delivery(desk, 1))
    desk.send(letter)
    refused = desk.run("dlq", "edit", letter_id, *change)
    assert isinstance(refused.exception, ConfigError)
    assert told in str(refused.exception)
    assert [] == delivered(desk)


def test_those_of_one_cause_are_mended_together_or_not_at_all(desk: Desk) -> None:
    letters = dict(desk.failure(number, value=a_delivery(desk, number)) for number in (1, 2, 3))
    desk.send(*letters.values())
    those = ("--where", f"connection={desk.erp}")
    assert "these are 3 dead letters" in str(desk.run("dlq", "edit", *those).exception)
    assert "there is no document.Nothing" in str(desk.run("dlq", "edit", *those, "--set", "document.Nothing=1").exception)
    assert "would replay 2, mended" in desk.run("dlq", "edit", *those, "--limit", "2", "--set", "document.Lines[0].SKU=A-8", "--plan").stdout
    assert [] == delivered(desk)
    assert "replayed 3, mended" in desk.run("dlq", "edit", *those, "--set", "document.Lines[0].SKU=A-8").stdout
    assert set(letters) == {record.replay.dead_letter_id for record in delivered(desk) if record.replay is not None}


def test_several_are_shown_as_they_are_chosen(desk: Desk) -> None:
    letters = dict(desk.failure(number) for number in (1, 2, 3))
    desk.send(*letters.values())
    assert 2 == desk.run("dlq", "show", *letters, "--limit", "2").stdout.count('"dead_letter_id"')
    shown = desk.run("dlq", "show", "--where", f"connection={desk.erp}", "--limit", "2").stdout
    assert 2 == shown.count('"dead_letter_id"')
    assert 1 == len(desk.lines("dlq", "groups", "--where", f"connection={desk.erp}", "--limit", "1"))
    assert "would discard 1\n" in desk.run("dlq", "discard", *letters, "--reason", "a test", "--limit", "1", "--plan").stdout
    assert "name dead letters by their ids" in str(desk.run("dlq", "show").exception)


def test_rubbish_cannot_be_mended_but_discarded_with_who_and_why(desk: Desk) -> None:
    letter_id, letter = desk.failure(1)
    desk.send(letter)
    assert "neither Avro nor JSON" in str(desk.run("dlq", "edit", letter_id, "--print").exception)
    assert "give --reason" in str(desk.run("dlq", "discard", letter_id).exception)
    assert "discarded 1" in desk.run("dlq", "discard", letter_id, "--reason", "a test of the plugin").stdout
    assert ([], [letter_id]) == (ids(desk), ids(desk, "--all"))
    assert any("a test of the plugin" in step["detail"] for step in desk.lines("trace", desk.key(1)))
    again = str(desk.run("dlq", "replay", letter_id).exception)
    told = f"`towpath replay deliver.{desk.erp} --partition 0 --from 1 --to 2`"
    assert again.endswith(f"is closed already: discarded; to have it done all the same, {told}")
    listed = desk.run("dlq", "list", "--all", "--where", "business_key=1", "--where", f"connection={desk.erp}").stdout
    assert f"{letter_id[:8]}  {desk.key(1)}  closed: discarded, field SKU; 2026-11-20 12:01:00 UTC\n  unknown SKU\n  discarded: " in listed
    assert ": a test of the plugin\n1 dead letter; " in listed
    assert json.loads(desk.run("dlq", "show", letter_id).stdout)["closed_reason"].endswith(": a test of the plugin")


def test_a_delivery_is_mapped_anew_from_its_event_for_its_flow_and_by_the_processor_alone(desk: Desk) -> None:
    letter_id, letter = desk.failure(1, value=a_delivery(desk, 1))
    desk.send(letter)
    assert "replayed 1" in desk.run("dlq", "replay", letter_id, "--remap").stdout
    (sent,) = [record for record in read_all(desk.config.kafka, ["received.orders"]) if record.key == desk.key(1).encode()]
    assert sent.replay is not None
    assert (letter_id, "processor", "orders") == (sent.replay.dead_letter_id, sent.replay.group, sent.replay.flow)
    assert ("OrderPlaced", an_order(1, connection=desk.shop)) == default_codec().decode(sent.value)
    assert [] == delivered(desk)


def test_dead_letters_are_exported_whole_one_a_line(desk: Desk) -> None:
    desk.send(desk.failure(1, value=a_delivery(desk, 1))[1], desk.failure(2)[1])
    exported = [json.loads(line) for line in desk.run("dlq", "export", "--where", f"connection={desk.erp}").stdout.splitlines()]
    assert [(desk.key(1), True), (desk.key(2), False)] == sorted((one["business_key"], one["record"] is not None) for one in exported)


def test_nothing_is_done_where_nothing_was_named(desk: Desk) -> None:
    for command in (["replay"], ["replay", "x", "--all"], ["discard", "--reason", "r"]):
        assert "name dead letters" in str(desk.run("dlq", *command).exception)


def test_every_command_takes_a_plan_and_those_that_show_show_the_same(desk: Desk) -> None:
    desk.send(desk.failure(1)[1])
    for command in ("list", "groups", "show", "export"):
        those = ("dlq", command, "--where", f"connection={desk.erp}")
        assert desk.run(*those).stdout == desk.run(*those, "--plan").stdout != ""


@pytest.mark.parametrize(
    ("where", "told"),
    [
        (["connection"], "write field=value"),
        (["state=dead", "state=parked"], "state was given already"),
        (["colour=1"], "known: order, dead_letter_id"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(desk: Desk, where: list[str], told: str) -> None:
    options = [part for condition in where for part in ("--where", condition)]
    assert told in str(desk.run("dlq", "list", *options).exception)
