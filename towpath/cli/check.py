"""`towpath check`: is the configuration right, and what does it say?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from towpath.config import Config


def check(
    config: Annotated[Path | None, typer.Option(help="The configuration file; TOWPATH_CONFIG or towpath.yaml by default.")] = None,
    connect: Annotated[
        bool, typer.Option("--connect", help="Also ask each system whether it accepts our credentials; exit code 1 where one does not.")
    ] = False,
) -> None:
    """Check the configuration: print what it sets up, or every problem with what to change (exit code 2)."""
    from rich.console import Console

    from towpath.config import config_path, load_config

    path = config_path(config)
    settings = load_config(path)
    console = Console()
    for table in (_places(settings), _connections(settings), _flows(settings)):
        console.print(table)
    if connect and not _connected(settings, console):
        raise typer.Exit(1)
    console.print(f"{path}: no problem found", markup=False, highlight=False, style="green")


def _connected(config: Config, console: Console) -> bool:
    """Print what each system says to our credentials, and return whether none refuses them."""
    import asyncio

    from rich.markup import escape

    from towpath import logs
    from towpath.trying import tried

    logs.configure("operator")
    states = {True: "accepted", False: "not accepted", None: "not tried"}
    table, found = _table("Credentials", "Connection", "State", "Reason"), asyncio.run(tried(config))
    for one in found:
        table.add_row(one.connection, states[one.accepted], escape(one.reason))
    console.print(table)
    return all(one.accepted is not False for one in found)


def _table(title: str, *columns: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _places(config: Config) -> Table:
    table = _table("Where", "What", "Setting")
    health = ", ".join(f"{role} {config.health.port(role) or 'any free port'}" for role in type(config.health).model_fields if role != "host")
    rows = {
        "Kafka": f"{config.kafka.bootstrap_servers} ({config.kafka.security_protocol})",
        "database": str(config.database_url()),  # hides the password
        "index": str(config.index_url()),
        "schemas": config.schema_registry.address + (", the registry role" if config.schema_registry.is_own else ""),
        "vault": "none" if config.vault is None else f"{config.vault.dir} (its key: {config.vault.key})",
        "data_dir": str(config.data_dir),
        "site": config.site or "none",
        "engine": config.engine,
        "receiver": f"{config.receiver.host}:{config.receiver.port}",
        "health": f"{config.health.host}: {health}",
    }
    for what, setting in rows.items():
        table.add_row(what, setting)
    return table


def _connections(config: Config) -> Table:
    table = _table("Connections", "Name", "System", "Address", "Site", "Secrets found", "Calls a minute")
    for name, connection in config.connections.items():
        found = [connection.webhook_secret, *connection.credentials.values()]
        secrets = ", ".join(str(value) for value in found if value is not None and not isinstance(value, str))
        table.add_row(
            name,
            connection.system,
            connection.url,
            connection.site or "none",
            secrets or "none",
            str(connection.limits.requests_per_minute or "no limit"),
        )
    return table


def _flows(config: Config) -> Table:
    table = _table("Flows", "Name", "Event", "From", "To", "Mapping", "Prefix")
    for name, flow in config.flows.items():
        table.add_row(name, flow.event, flow.source, flow.target, flow.mapping, flow.reference_prefix or "none")
    return table


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(check)
