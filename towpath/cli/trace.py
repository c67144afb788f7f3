"""`towpath trace`: what happened to an order, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from towpath.cli._index import ConfigOption, JsonOption, load


def trace(
    order: Annotated[str, typer.Argument(help="Order number, order id, business key such as shop/order/1001, or the target's id of it.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what happened to an order at every hop; exits 1 where nothing is known of it."""
    from datetime import UTC, datetime

    import orjson
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    from towpath.index import queries
    from towpath.index.asking import caught_up

    settings = load(config)
    with caught_up(settings) as indexer, indexer.transaction() as connection:
        steps = queries.trace(connection, order, settings.connections)
        keys = list(dict.fromkeys(step.key for step in steps if step.key))
        left = [letter.told for key in keys for letter in queries.find_letters(connection, where={"business_key": key})]
    console = Console()
    if as_json:
        for step in steps:
            typer.echo(orjson.dumps(step._asdict()))
    elif steps:
        table = Table("time (UTC)", "hop", "what", Column("details", overflow="fold"), title=escape(", ".join(keys)))
        is_of_today = {step.at.date() for step in steps} == {datetime.now(UTC).date()}
        for step in steps:
            at = step.at.strftime("%H:%M:%S.%f" if is_of_today else "%Y-%m-%d %H:%M:%S.%f")[:-3]
            table.add_row(*map(escape, (at, step.hop, step.what, step.detail)))
        console.print(table)
        for told in left:
            since, show = f"{told['last_at']:%Y-%m-%d %H:%M}", f"`towpath dlq show {told['dead_letter_id'][:8]}`"
            console.print(f"{told['state']} since {since}: {show} tells what mends it", markup=False, soft_wrap=True)
    else:
        console.print(f"nothing is known of order {order}; is the number right, and has the shop's webhook arrived?", markup=False)
    if not steps:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(trace)
