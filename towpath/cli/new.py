"""`towpath new`: what a new system begins with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

new = typer.Typer(no_args_is_help=True, help="Begin something new: a system that Towpath cannot talk to yet.")


def register(app: typer.Typer) -> None:
    """Add `towpath new` to the command."""
    app.add_typer(new, name="new")


@new.callback()
def _group() -> None:
    pass


@new.command()
def system(
    name: Annotated[str, typer.Argument(help="Small letters, digits and _, such as acme.")],
    directory: Annotated[Path | None, typer.Option("--dir", help="The folder to write; NAME here if not said.")] = None,
) -> None:
    """Write the folder of a new system; its contract suites say what to fill in."""
    from towpath.scaffold import write_system

    folder = directory or Path(name)
    for path in write_system(name, folder):
        typer.echo(str(path))
    typer.echo(f"next: pytest {folder}/tests  (it lists what to fill in; docs/add-a-system.md is the guide)")
    typer.echo(f"then: TOWPATH_PLUGINS={folder} towpath sandbox run {name}")
