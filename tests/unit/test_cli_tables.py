"""What a target or an operator wrote is printed as it was written: square brackets are no markup of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from towpath.cli.main import build_app
from towpath.index.queries import Step, Xref

SAID = "no route [/V1/orders] [red]"


@pytest.mark.parametrize("command", [("trace", "1001"), ("xref", "erp", "1001")], ids=["trace", "xref"])
def test_brackets_are_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    @contextmanager
    def caught_up(_config: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(transaction=nullcontext)

    long_ago = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("towpath.index.asking.caught_up", caught_up)
    monkeypatch.setattr("towpath.index.queries.trace", lambda *_: [Step(long_ago, "sink", "dead", SAID, "[/x]")])
    monkeypatch.setattr("towpath.index.queries.xrefs", lambda *_: [Xref("erp", "1", "create_order", SAID, "k", long_ago)])
    monkeypatch.setattr("towpath.index.queries.find_letters", lambda *_, **__: [])
    file = tmp_path / "towpath.yaml"
    connections = "{erp: {system: bng, url: 'http://127.0.0.1:1', credentials: {api_key: 'env:NONE'}}}"
    file.write_text(f"kafka: {{bootstrap_servers: '127.0.0.1:1'}}\nconnections: {connections}\n", encoding="utf-8")
    ended = CliRunner().invoke(build_app(), [*command, "--config", str(file)])
    assert (0, True, True) == (ended.exit_code, SAID in ended.stdout, "2026-01-02 03:04:05" in ended.stdout), ended.exception
