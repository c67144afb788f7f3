"""What is discarded is closed and tried by itself no more: both, or neither where something does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from towpath.cli import _dlq_mending
from towpath.cli.main import build_app
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.config import Config, load_config
from towpath.delivery.database import open_engine
from towpath.delivery.deadletters import Failure
from towpath.delivery.parking import Parked, Parking
from towpath.errors import ConfigError
from towpath.index.indexer import Indexer
from towpath.index.queries import Letter
from towpath.records import Output
from towpath.topic_reader import Place

SOON = datetime.now(UTC) + timedelta(hours=1)
"""When something failed by the clock of a machine that is an hour ahead of this one."""


class Desk:
    """An operator whose index has these parked records, and whose receipts are kept."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, ids: Sequence[str]) -> None:
        self.file, self.sent = folder / "towpath.yaml", list[Output]()
        connection = "{system: bng, url: 'http://127.0.0.1:1', credentials: {api_key: 'env:NONE'}}"
        lines = ["kafka: {bootstrap_servers: '127.0.0.1:1'}", f"data_dir: {folder}", f"connections: {{shop: {connection}}}"]
        self.file.write_text("\n".join(lines), encoding="utf-8")
        self.database = load_config(self.file, resolve=False).database_url()
        letters = [self.parked(one) for one in ids]
        monkeypatch.setattr("towpath.index.asking.caught_up", self.caught_up)
        monkeypatch.setattr(_dlq_mending, "opened", lambda *_, **__: letters)
        monkeypatch.setattr("towpath.replaying.send_all", lambda _kafka, outputs: self.sent.extend(outputs))

    @contextmanager
    def caught_up(self, config: Config) -> Iterator[Indexer]:
        with Indexer(config) as indexer:
            yield indexer

    def parked(self, dead_letter_id: str) -> Letter:
        texts = dict.fromkeys(("connection", "business_key", "flow", "mapping_version", "group", "topic", "reason"), "shop")
        told: dict[str, Any] = {**texts, "hop": "sink", "dead_letter_id": dead_letter_id, "last_at": SOON, "replays": 0, "offset": 0}
        return Letter(Place("parked.shop", 0), 0, told)

    def discard(self) -> Result:
        return CliRunner().invoke(build_app(), ["dlq", "discard", "--all", "--reason", "a test", "--config", str(self.file)])

    def receipts(self) -> list[dict[str, Any]]:
        return [default_codec().decode_as("Receipt", output.value) for output in self.sent]

    async def count(self, *kept: str) -> int:
        """Note that these are parked, and return how many are."""
        parking = Parking(open_engine(self.database), SystemClock(), timedelta(0))
        for number, one in enumerate(kept):
            await parking.keep("shop", Parked(one, "parked.shop", 0, number), Failure("because", state="parked"))
        found = await parking.count("shop")
        await parking.close()
        return found


def test_more_than_a_statement_takes_at_once_are_forgotten_and_closed_for_all_that_the_role_is_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [str(number) for number in range(5)]
    desk = Desk(tmp_path, monkeypatch, ids)
    monkeypatch.setattr("towpath.delivery.parking.AT_ONCE", 2)
    assert 5 == asyncio.run(desk.count(*ids))
    assert "discarded 5" in desk.discard().stdout
    assert (0, [(one, SOON) for one in ids]) == (asyncio.run(desk.count()), [(one["dead_letter_id"], one["at"]) for one in desk.receipts()])


def test_nothing_is_closed_that_would_still_be_tried_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path, monkeypatch, ["one"])
    Path(str(desk.database.database)).write_text("no database", encoding="utf-8")
    ended = desk.discard()
    assert isinstance(ended.exception, ConfigError)
    assert ("nothing was discarded" in str(ended.exception), []) == (True, desk.sent)


def test_who_has_no_name_is_told_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", nobody)
    desk = Desk(tmp_path, monkeypatch, ["one"])
    desk.discard()
    assert [(True, True)] == [(one["reason"].startswith("user "), one["reason"].endswith(": a test")) for one in desk.receipts()]


def test_what_another_site_tries_again_is_discarded_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path, monkeypatch, ["one"])
    desk.file.write_text(desk.file.read_text(encoding="utf-8").replace("{system: bng,", "{system: bng, site: works,"), encoding="utf-8")
    assert (True, []) == ("discard it there" in str(desk.discard().exception), desk.sent)
