"""What was mended is not tried again as it was."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from towpath.cli import _dlq_mending
from towpath.cli._dlq_closing import closing
from towpath.codec import default_codec
from towpath.errors import ConfigError
from towpath.index.queries import Letter
from towpath.records import Output
from towpath.topic_reader import Place

LETTER = Letter(Place("parked.erp", 0), 7, {"dead_letter_id": "letter-1", "hop": "sink", "replays": 0})
MENDED = Output("deliver.erp", b"k", b"mended")


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Give what `edit` forgets and sends of LETTER, without Kafka or an index."""
    done: list[Any] = []
    monkeypatch.setattr("towpath.index.asking.caught_up", lambda _settings: nullcontext())
    monkeypatch.setattr("towpath.replaying.send_all", lambda *_: 0)
    fakes: dict[str, Any] = {
        "load": lambda _config: SimpleNamespace(kafka=None),
        "opened": lambda *_, **__: [LETTER],
        "_send": lambda _kafka, outputs, *_: done.append(("sends", [one.value for one in outputs])),
        "forget": lambda _settings, ids, _done: done.append(("forgets", ids)),
        "tell": lambda *_: None,
        "tell_next": lambda *_: None,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(_dlq_mending, name, fake)
    return done


@pytest.mark.parametrize(("plan", "sent", "expected"), [
    (False, {"letter-1": MENDED}, [("forgets", ["letter-1"]), ("sends", [b"mended"])]),
    (False, {}, []),
    (True, {"letter-1": MENDED}, []),
])  # fmt: skip
def test_the_clock_does_not_send_the_original_behind_what_was_mended(
    done: list[Any], monkeypatch: pytest.MonkeyPatch, sent: dict[str, Output], expected: list[Any], *, plan: bool
) -> None:
    monkeypatch.setattr(_dlq_mending, "_mended", lambda *_: sent)
    _dlq_mending.edit(["letter-1"], values=["sku=A-8"], plan=plan)
    assert expected == done


def test_what_was_replayed_or_mended_too_often_is_mended_where_its_cap_is_raised(done: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_dlq_mending, "opened", lambda *_, **__: [LETTER._replace(told={**LETTER.told, "replays": 10})])
    monkeypatch.setattr(_dlq_mending, "_mended", lambda *_: {"letter-1": MENDED})
    with pytest.raises(ConfigError, match=r"^dlq edit letter-1: replayed 10 times already; .*raise --cap"):
        _dlq_mending.edit(["letter-1"], values=["sku=A-8"])
    assert [] == done
    _dlq_mending.edit(["letter-1"], only_print=True)
    _dlq_mending.edit(["letter-1"], values=["sku=A-8"], cap=11)
    assert [("forgets", ["letter-1"]), ("sends", [b"mended"])] == done


@pytest.mark.parametrize("written", ['{"sku": "A-8"}', '{"sku": "A-7"}'])
def test_a_plan_keeps_what_was_written_and_tells_how_to_send_it(
    done: list[Any], written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = '{"sku": "A-7"}'
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("click.edit", lambda _text, **_: written.encode())
    monkeypatch.setattr(_dlq_mending, "_mended", lambda _indexer, _letters, change: {"letter-1": MENDED} if change(before) != before else {})
    _dlq_mending.edit(["letter-1"], plan=True)
    kept = re.findall(r"what you wrote is kept: give it by --file (\S+)\n", capsys.readouterr().err)
    assert ([] if written == before else [written], []) == ([Path(file).read_text(encoding="utf-8") for file in kept], done)


def test_a_record_that_its_reader_failed_at_twice_is_sent_once_which_closes_both(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {**dict.fromkeys(("connection", "business_key", "flow", "mapping_version"), ""), "hop": "connect", "group": "connect-a"}
    told |= {"topic": "orders", "partition": 0, "last_at": datetime(2026, 11, 20, tzinfo=UTC)}
    failures = [
        ("one", 7, b"a"),
        ("twin", 7, b"a"),
        ("of a topic made anew", 7, b"b"),
        ("next", 8, b"a"),
        ("refused", 9, b"c"),
        ("its twin", 9, b"c"),
    ]
    letters = [Letter(Place("dlq", 0), place, {**told, "dead_letter_id": name, "offset": at}) for place, (name, at, _) in enumerate(failures)]
    sent: list[Output] = []

    def send_all(_kafka: object, outputs: Iterable[Output], taken: Callable[[Output], None] = lambda _: None) -> None:
        for output in outputs:
            sent.append(output)
            if output.value != b"c":
                taken(output)

    monkeypatch.setattr("towpath.replaying.send_all", send_all)
    outputs = [Output("orders", b"k", value, [("towpath-dead-letter", name.encode())]) for name, _, value in failures]
    _dlq_mending._send(SimpleNamespace(), outputs, letters, set())  # type: ignore[arg-type]  # nothing of Kafka is asked
    closed = [default_codec().decode_as("Receipt", one.value)["dead_letter_id"] for one in sent if one.topic == "receipts"]
    assert [b"a", b"b", b"a", b"c"] == [one.value for one in sent if one.topic == "orders"]
    assert ["one", "twin", "of a topic made anew", "next"] == closed


@pytest.mark.parametrize("behind", [timedelta(0), timedelta(minutes=6)])
def test_what_an_operator_closes_is_closed_whatever_the_clock_there_says(behind: timedelta) -> None:
    failed = datetime(2026, 11, 20, 12, tzinfo=UTC)
    texts = dict.fromkeys(("connection", "business_key", "flow", "mapping_version", "hop", "group", "dead_letter_id"), "x")
    receipt = closing({**texts, "last_at": failed}, "discarded", "not wanted", failed - behind)
    assert default_codec().decode_as("Receipt", receipt.value)["at"] >= failed
