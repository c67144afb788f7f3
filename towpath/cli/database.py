"""`towpath database`: which release made the tables of the databases, and bringing them up to this one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from towpath.cli._index import ConfigOption, JsonOption, load

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

    from towpath.config import Config
    from towpath.migrations.chain import Chain

commands = typer.Typer(name="database", no_args_is_help=True, help="The databases: which revision they are at, and bringing them up to date.")


@commands.command()
def current(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the revision of each database and the one that this release needs; exits 1 where one is older or newer."""
    import orjson
    from rich.console import Console
    from rich.table import Column, Table

    rows = []
    for chain, url in _databases(load(config)):
        with _connected(chain, url) as connection:
            found = chain.current(connection)
        state = "up to date" if found == chain.head else "newer" if found > chain.head else "older"
        rows.append({"database": chain.name, "at": found, "needs": chain.head, "state": state, "url": str(url)})
    if as_json:
        for row in rows:
            typer.echo(orjson.dumps(row))
    else:
        table = Table(*(Column(title, overflow="fold") for title in rows[0]))
        for row in rows:
            table.add_row(*row.values())
        Console().print(table)
    if any(row["state"] != "up to date" for row in rows):
        raise typer.Exit(1)


@commands.command()
def upgrade(config: ConfigOption = None) -> None:
    """Bring each database up to this release; what stands in it stays. A role does the same when it starts."""
    for chain, url in _databases(load(config)):
        with _connected(chain, url) as connection:
            found = chain.bring_up(connection)
        typer.echo(f"{chain.name}: at {chain.head}" if found == chain.head else f"{chain.name}: {found or 'nothing'} to {chain.head}")


def _databases(config: Config) -> list[tuple[Chain, URL]]:
    from towpath.migrations.chain import DELIVERY, INDEX

    return [(DELIVERY, config.database_url()), (INDEX, config.index_url())]


@contextmanager
def _connected(chain: Chain, url: URL) -> Iterator[Connection]:
    """Give a transaction; ConfigError where the database does not answer, or is none."""
    from sqlalchemy.exc import SQLAlchemyError

    from towpath.delivery.database import open_engine, reason_of
    from towpath.errors import ConfigError

    engine = open_engine(url, patient=True)
    try:
        with engine.begin() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise ConfigError(f"the {chain.name} database {url}: {reason_of(error)}") from error
    finally:
        engine.dispose()


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(commands)
