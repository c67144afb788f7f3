"""`towpath flows`: what moves, between whom, and by which mapping."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from towpath.cli._index import JsonOption


def flows(
    config: Annotated[Path | None, typer.Option("--config", help="The configuration file; without one, what Towpath knows.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show every flow: source, target, event, mapping with its version, and whether it is running, configured or only known.

    `running` is a configured flow where adapter, processor and sink run on this machine. The configuration is --config, or what TOWPATH_CONFIG or
    towpath.yaml say where there is one; docs/flows.md tells what each flow does.
    """
    import os

    import orjson
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    from towpath.cli._index import load
    from towpath.config import config_path
    from towpath.flows import lines

    given = config is not None or "TOWPATH_CONFIG" in os.environ or config_path(None).exists()
    found = lines(load(config) if given else None)
    if as_json:
        for line in found:
            typer.echo(orjson.dumps(line._asdict()))
        return
    table = Table(Column("flow", max_width=16), Column("event, from, to"), Column("mapping, its version", overflow="fold"), "state")
    for line in found:
        version = line.version or "its file is missing"
        table.add_row(
            *map(escape, (f"{line.id} {line.name}", f"{line.event}\n{line.source} to {line.target}", f"{line.mapping}\n{version}", line.state))
        )
    Console().print(table)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(flows)
