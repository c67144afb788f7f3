from __future__ import annotations

import typer

from towpath.cli.main import build_app


def parts(app: typer.Typer) -> list[tuple[str | None, int]]:
    """Return the groups of a command, each with how many commands it has."""
    return [
        (group.typer_instance.info.name, len(group.typer_instance.registered_commands)) for group in app.registered_groups if group.typer_instance
    ]


def test_a_command_that_is_made_again_has_no_more_parts_than_before() -> None:
    assert parts(build_app()) == parts(build_app())
