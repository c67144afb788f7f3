"""What a person wrote is not lost to a slip in it, and an editor that fails is told."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from towpath.cli._editing import Editing
from towpath.errors import ConfigError, RetryableError


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("VISUAL", raising=False)


def with_editor(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Have the editor be a script that is given the file to be edited."""
    program = folder / "editor"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(stat.S_IRWXU)
    monkeypatch.setenv("EDITOR", str(program))


def test_what_was_written_is_kept_where_it_cannot_be_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_editor(tmp_path, monkeypatch, 'printf \'{"sku": "Zoë"\' > "$1"; touch -d "+2 seconds" "$1"')
    editing = Editing()
    assert '{"sku": "Zoë"' == editing.ask('{"sku": "Zoe"}')
    with pytest.raises(ConfigError, match="no JSON; what you wrote is kept") as caught, editing.kept():
        raise ConfigError("no JSON")
    (kept,) = re.findall(r"mend (\S+), and give it by --file", str(caught.value))
    assert ('{"sku": "Zoë"', 0o600) == (Path(kept).read_text(encoding="utf-8"), stat.S_IMODE(Path(kept).stat().st_mode))


@pytest.mark.parametrize("error", [RetryableError("database: locked"), ConfigError("no JSON")])
def test_what_was_written_is_kept_whatever_keeps_it_from_being_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    with_editor(tmp_path, monkeypatch, 'printf "Zo\\353" > "$1"; touch -d "+2 seconds" "$1"')
    editing = Editing()
    with pytest.raises(UnicodeDecodeError):
        editing.ask("Zoe")
    with pytest.raises(ConfigError, match="what you wrote is kept") as caught, editing.kept():
        raise error
    (kept,) = re.findall(r"mend (\S+), and give it by --file", str(caught.value))
    assert b"Zo\xeb" == Path(kept).read_bytes()


def test_what_was_written_is_kept_at_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with_editor(tmp_path, monkeypatch, 'printf "{}" > "$1"; touch -d "+2 seconds" "$1"')
    editing = Editing()
    editing.ask("Zoe")
    with pytest.raises(KeyboardInterrupt), editing.kept():
        raise KeyboardInterrupt
    (kept,) = re.findall(r"kept: give it by --file (\S+)", capsys.readouterr().err)
    assert b"{}" == Path(kept).read_bytes()


def test_nothing_is_kept_where_nothing_was_written() -> None:
    with pytest.raises(ConfigError, match=r"^refused$"), Editing().kept():
        raise ConfigError("refused")


@pytest.mark.parametrize("editor", ["false", "/there/is/none"])
def test_an_editor_that_fails_is_told_with_what_else_there_is(monkeypatch: pytest.MonkeyPatch, editor: str) -> None:
    monkeypatch.setenv("EDITOR", editor)
    with pytest.raises(ConfigError, match=r"Editing failed.*--set or --file"):
        Editing().ask("{}")
