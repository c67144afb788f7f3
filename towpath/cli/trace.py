"""`towpath trace`: what happened to an order, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def trace(
    order: Annotated[str, typer.Argument(help="Order number, order id, or business key such as shop/order/1001.")],
    config: Annotated[Path | None, typer.Option(help="The configuration file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show what happened to an order at every hop; exits 1 where nothing is known of it."""
    import orjson
    from rich.console import Console
    from rich.table import Table

    from towpath.config import config_path, load_config
    from towpath.workbench import trace as find

    steps = find(load_config(config_path(config), resolve=False), order)
    console = Console()
    if as_json:
        for step in steps:
            typer.echo(orjson.dumps(step._asdict()))
    elif steps:
        table = Table("time (UTC)", "hop", "what", "details", title=f"order {order}")
        for step in steps:
            table.add_row(step.at.strftime("%H:%M:%S.%f")[:-3], step.hop, step.what, step.detail)
        console.print(table)
    else:
        console.print(f"nothing is known of order {order}; is the number right, and has the shop's webhook arrived?", markup=False)
    if not steps:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(trace)
