"""`towpath sandbox`: real HTTP servers that play the other systems."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from towpath.sandbox.kit.settings import Settings

sandbox = typer.Typer(no_args_is_help=True, help="Real HTTP servers that play the other systems, to try a flow against.")


def register(app: typer.Typer) -> None:
    """Add `towpath sandbox` to the command."""
    app.add_typer(sandbox, name="sandbox")


@sandbox.command("list")
def list_systems() -> None:
    """Print the systems that can be played, one a line."""
    from towpath.sandbox.kit.system import names

    for name in names():
        typer.echo(name)


@sandbox.command()
def run(
    system: Annotated[str, typer.Argument(help="Which system, as `towpath sandbox list` names it.")],
    port: Annotated[int, typer.Option(help="0: a free one.")] = 0,
    directory: Annotated[Path | None, typer.Option("--dir", help="Where its data are kept; data/sandbox/SYSTEM if not said.")] = None,
    settings: Annotated[Path | None, typer.Option(help="A JSON file with settings of the system.")] = None,
    with_parent: Annotated[bool, typer.Option("--with-parent", help="End when the process that started this one ends (Linux).")] = False,
) -> None:
    """Serve one system on 127.0.0.1 until SIGTERM; prints {"system", "port"} as JSON when ready."""
    from towpath.sandbox.kit.process import run as serve
    from towpath.sandbox.kit.system import load

    try:
        played = load(system)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    folder = directory or Path("data/sandbox") / system
    serve(played, port=port, folder=folder, settings=_read(played.settings, settings), with_parent=with_parent)


def _read(model: type[Settings], path: Path | None) -> Settings:
    from pydantic import ValidationError

    if path is None:
        return model()
    try:
        return model.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        msg = f"settings {path}: {error}"
        raise typer.BadParameter(msg) from error
