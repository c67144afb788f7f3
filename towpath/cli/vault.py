"""`towpath vault`: secrets in one sealed file, which the configuration refers to as vault:NAME."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from towpath.cli._index import ConfigOption, JsonOption

if TYPE_CHECKING:
    from towpath.vault import Vault

commands = typer.Typer(name="vault", no_args_is_help=True, help="Secrets in one sealed file: make it, fill it, change its key, check it.")
NameArgument = Annotated[str, typer.Argument(help="The entry's name; the configuration refers to it as vault:NAME.")]
WHATEVER = {"allow_extra_args": True, "ignore_unknown_options": True}


@commands.command()
def init(config: ConfigOption = None) -> None:
    """Make the vault that the configuration names, empty, and its key file where there is none."""
    vault, _ = _load(config)
    vault.make()
    typer.echo(f"made a vault in {vault.folder}; its key is at {vault.place}: keep a copy of the key apart from those of the vault")


@commands.command("set", context_settings=WHATEVER)
def set_entry(
    context: typer.Context,
    name: NameArgument,
    config: ConfigOption = None,
    keep_old_hours: Annotated[float, typer.Option(min=0, max=8760, help="How long a webhook secret's old value is accepted beside the new one.")] = 0,
) -> None:
    """Put a secret in, typed unseen or read from stdin; roles that run take it within seconds. It is never shown again."""
    from datetime import timedelta

    from towpath.errors import ConfigError

    if context.args:
        raise ConfigError(
            f"vault set {name}: the secret is never taken from the command line, where history and others on this machine can read it: "
            "leave it out and type it when asked, or pipe it in; what stood there is no secret any more"
        )
    vault, used = _load(config)
    vault.set(name, _read_secret(name), datetime.now(UTC), keep_old=timedelta(hours=keep_old_hours))
    typer.echo(f"set {name}" + ("" if name in used else f"; nothing refers to it yet: write vault:{name} where the configuration takes a secret"))


@commands.command("list")
def list_entries(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the entries: their names, when each was set, and which settings refer to it; never a value."""
    import orjson
    from rich.console import Console
    from rich.table import Column, Table

    vault, used = _load(config)
    rows = [{"name": name, "set_at": set_at, "used_by": used.get(name, [])} for name, set_at in vault.names().items()]
    if as_json:
        for row in rows:
            typer.echo(orjson.dumps(row))
        return
    table = Table(*(Column(title, overflow="fold") for title in ("name", "set (UTC)", "used by")), title=f"{len(rows)} entries")
    for row in rows:
        table.add_row(str(row["name"]), str(row["set_at"]) or "missing", ", ".join(row["used_by"]) or "nothing")
    Console().print(table)


@commands.command()
def remove(name: NameArgument, config: ConfigOption = None) -> None:
    """Take an entry out; refused while a setting refers to it."""
    from towpath.errors import ConfigError

    vault, used = _load(config)
    if name in used:
        raise ConfigError(f"vault remove {name}: {', '.join(used[name])} refers to it; change the configuration first")
    vault.remove(name)
    typer.echo(f"removed {name}")


@commands.command()
def rotate(
    config: ConfigOption = None,
    keep_key: Annotated[bool, typer.Option("--keep-key", help="Make no new key: seal with the first of those that are there.")] = False,
) -> None:
    """Give the vault a new key and every secret a new data key, while everything runs; killed half-way, it opens, and this finishes it."""
    from towpath.failpoints import Failpoints

    vault, _ = _load(config)
    count = vault.rotate(datetime.now(UTC), Failpoints.from_environment(), keep_key=keep_key)
    typer.echo(f"sealed {count} entries anew; make new copies of the vault and of its key, and destroy the old ones")


@commands.command()
def verify(config: ConfigOption = None) -> None:
    """Open every entry, and look for those that the configuration refers to; exits 1 where something is wrong, and says what to do."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    vault, used = _load(config)
    troubles, notes = vault.verify()
    for name in used:
        if name not in troubles:
            troubles[name] = f"there is no such entry, and {', '.join(used[name])} refers to it; set it with `towpath vault set {name}`"
    table = Table(*(Column(title, overflow="fold") for title in ("name", "state")))
    for name, trouble in sorted(troubles.items()):
        table.add_row(escape(name), escape(trouble or "whole"))
    console = Console()
    console.print(table)
    for note in notes:
        console.print(note, markup=False, highlight=False)
    if notes or any(troubles.values()):
        raise typer.Exit(1)


def _load(config: Path | None) -> tuple[Vault, dict[str, list[str]]]:
    from towpath.config import config_path
    from towpath.config.vault import load_vault

    return load_vault(config_path(config))


def _read_secret(name: str) -> str:
    import sys

    from towpath.errors import ConfigError

    if sys.stdin.isatty():
        return str(typer.prompt(f"The secret for {name}", hide_input=True, confirmation_prompt="Once more"))
    raw = sys.stdin.buffer.read(1_048_576)
    try:
        return raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigError(f"vault set {name}: what came on stdin is no UTF-8 text; nothing was changed") from None


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(commands)
