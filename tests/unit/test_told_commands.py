"""Every `towpath` command that a page, a message or an alert tells somebody to run is one that there is, with options that it takes."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer import BadParameter
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from towpath.cli.main import build_app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "towpath.example.yaml", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
ALERTS = [path for path in (ROOT / "deploy").rglob("*") if path.suffix in {".md", ".yaml", ".yml"}]
SOURCES = [path for package in ("towpath", "producers", "processors", "sinks", "schemas") for path in (ROOT / package).rglob("*.py")]
SAID = re.compile(r"`((?:towpath|dlq) [a-z][^`{}\n]*)`|^ {4,}(?:[A-Z_]+='[^']*' )?(towpath [a-z].*)$", re.MULTILINE)
"""What stands between backticks, or alone in a line that is indented: a command to be typed; those of `dlq` are also told without `towpath`."""
ROLE = "<role>"


@cache
def whole() -> Any:  # noqa: ANN401 - the class of Typer's commands is its own affair
    """Return the command with all its parts."""
    return get_command(build_app())


def told(path: Path) -> list[str]:
    """Return the commands that a file tells of."""
    return [spans or line for spans, line in SAID.findall(path.read_text(encoding="utf-8"))]


def problem(said: str) -> str:
    """Return why the command would be refused; "" where it is there and takes what is given. What it needs beyond that may be left out."""
    command = whole()
    words = shlex.split(said.removeprefix("towpath ").replace(ROLE, "sink"), comments=True)
    while isinstance(command, TyperGroup) and words:
        if words[0] not in command.commands:
            return f"there is no {words[0]}"
        command = command.commands[words.pop(0)]
    try:
        command.make_context("towpath", words, resilient_parsing=isinstance(command, TyperGroup))
    except TyperException as error:
        why = error.format_message()
        return "" if isinstance(error, BadParameter) and why.startswith("Missing") else why
    return ""


@pytest.mark.parametrize("path", [path for path in [*PAGES, *ALERTS, *SOURCES] if told(path)], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_command_that_somebody_is_told_to_run_is_one_that_there_is(path: Path) -> None:
    assert {} == {said: why for said in told(path) if (why := problem(said))}


def test_what_is_not_there_is_noticed() -> None:
    assert ["there is no dql", "there is no mend", "No such option: --sicne (Possible options: --json, --since)"] == [
        problem(said) for said in ("towpath dql list", "towpath dlq mend 1", "towpath dlq list --sicne 1h")
    ]
    assert "" == problem("towpath dlq list --where connection=erp  # a remark")
