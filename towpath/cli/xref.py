"""`towpath xref`: what a thing is called elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from towpath.cli._index import ConfigOption, JsonOption, load


def xref(
    connection: Annotated[str, typer.Argument(metavar="SYSTEM", help="A connection's name, or a system's for all of its connections.")],
    identity: Annotated[
        str, typer.Argument(metavar="ID", help="An id there, a key such as shop/order/1001, an order's number, or its id at its shop.")
    ],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a thing is called, both ways: from a target's id to the key at its source, and from a source's id to those at the targets.

    Newest first: a target that lost a record and got it again has two ids for it. Exits 1 where nothing is known.
    """
    import orjson
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    from towpath.config.connections import near
    from towpath.errors import ConfigError
    from towpath.index import queries
    from towpath.index.asking import caught_up

    settings = load(config)
    names = [name for name, one in settings.connections.items() if connection in (name, one.system)]
    if connection in settings.connections:
        names = [connection]
    if not names:
        known = list(dict.fromkeys([*settings.connections, *(one.system for one in settings.connections.values())]))
        raise ConfigError(f'xref: no connection is called "{connection}", and none is of such a system; {near(connection, known)}')
    with caught_up(settings) as indexer, indexer.transaction() as database:
        found = queries.xrefs(database, names, identity, settings.connections)
    if as_json:
        for one in found:
            typer.echo(orjson.dumps(one._asdict()))
    elif found:
        table = Table(*(Column(name, overflow="fold") for name in ("connection", "its id", "what", "key", "since (UTC)")))
        for one in found:
            key = one.effect_key if one.effect_key == one.business_key else f"{one.effect_key} of {one.business_key}"
            table.add_row(*map(escape, (one.connection, one.external_id, one.operation, key, f"{one.at:%Y-%m-%d %H:%M:%S}")))
        Console().print(table)
    else:
        Console().print(f"nothing is known of {identity} at {connection}", markup=False)
    if not found:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(xref)
