"""`towpath run`: one role in this process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from towpath.errors import ConfigError


def run(
    role: Annotated[str, typer.Argument(help="receiver, poller, adapter, processor, sink, indexer or registry")],
    config: Annotated[Path | None, typer.Option(help="The configuration file; TOWPATH_CONFIG or towpath.yaml by default.")] = None,
) -> None:
    """Run one role until SIGTERM or Ctrl-C."""
    from towpath.config import config_path, load_config
    from towpath.runtime.guardian import ERROR_FILE_VARIABLE, die_with_parent
    from towpath.runtime.role import find_role, run_role

    die_with_parent()
    try:
        build = find_role(role)
        raise typer.Exit(run_role(role, load_config(config_path(config)), build))
    except ConfigError as error:
        told = os.environ.get(ERROR_FILE_VARIABLE)
        if told is None:
            raise
        Path(told).write_text(str(error), encoding="utf-8")  # the supervisor prints it
        raise typer.Exit(2) from None


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(run)
