"""`towpath resync`: one entity of a source, read once more on an operator's word."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from towpath.cli._index import ConfigOption, load


def resync(
    entity: Annotated[str, typer.Argument(help="What it is, such as order or product.")],
    number: Annotated[str, typer.Argument(metavar="ID", help="Its id at the source.")],
    config: ConfigOption = None,
    connection: Annotated[str, typer.Option(help="From which connection; all that list such an entity if not said.")] = "",
) -> None:
    """Have one entity read again from its source, as if a webhook had named it."""
    import asyncio
    import importlib

    producers: Any = importlib.import_module("producers.backfill")
    settings = load(config)
    for name in producers.asking(settings, entity, connection):
        asyncio.run(producers.resync(settings, name, entity, number))
        typer.echo(f"{name} is asked for {entity} {number}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(resync)
