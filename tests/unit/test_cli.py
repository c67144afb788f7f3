from __future__ import annotations

import typer
from typer.core import TyperGroup
from typer.main import get_command

from towpath.cli.main import build_app


def parts(app: typer.Typer) -> list[tuple[str | None, int]]:
    """Return the groups of a command, each with how many commands it has."""
    return [
        (group.typer_instance.info.name, len(group.typer_instance.registered_commands)) for group in app.registered_groups if group.typer_instance
    ]


def test_a_command_that_is_made_again_has_no_more_parts_than_before() -> None:
    assert parts(build_app()) == parts(build_app())


def commands(asked: str = "") -> set[str]:
    """Return the names of what can be asked for of a command."""
    command = get_command(build_app(asked))
    assert isinstance(command, TyperGroup)
    return set(command.commands)


def test_the_command_made_for_one_that_is_asked_for_has_that_one_and_else_all() -> None:
    assert {"run", "up", "dlq", "trace"} < commands()
    assert [{name} for name in commands()] == [commands(name) for name in commands()]
    assert commands() == commands("nosuch")
