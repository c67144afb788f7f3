"""`towpath dlq`: what could not be processed or written, why, and how to play it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from towpath.cli._index import ConfigOption, JsonOption, load

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from towpath.index.queries import Letter

commands = typer.Typer(name="dlq", no_args_is_help=True, help="Dead letters: list, show, replay.")


@commands.command("list")
def list_letters(
    config: ConfigOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are closed.")] = False,
    where: Annotated[list[str] | None, typer.Option(help="Only those with this in a field, such as connection=erp or state=parked.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the open dead letters and parked records, oldest first."""
    import orjson
    from rich.console import Console
    from rich.table import Column, Table

    from towpath.index.asking import caught_up
    from towpath.index.queries import find_letters

    conditions = _conditions(where or [])
    with caught_up(load(config)) as indexer, indexer.transaction() as connection:
        found = [letter.told for letter in find_letters(connection, everything=everything, where=conditions, limit=limit)]
    if as_json:
        for letter in found:
            typer.echo(orjson.dumps(letter))
        return
    names = ("id", "what", "state", "field", "reason", "attempts", "last (UTC)")
    table = Table(*(Column(name, overflow="fold") for name in names), title=f"{len(found)} dead letters")
    for letter in found:
        state = letter["state"] if letter["open"] else "closed"
        last = f"{letter['last_at']:%Y-%m-%d %H:%M:%S}"
        what = letter["business_key"] or f"{letter['topic']}@{letter['offset']}"
        table.add_row(letter["dead_letter_id"][:8], what, state, letter["field"], letter["reason"], str(letter["attempts"]), last)
    Console().print(table)


def _conditions(where: Sequence[str]) -> dict[str, str]:
    from towpath.config.connections import near
    from towpath.errors import ConfigError
    from towpath.index.queries import TEXTS

    found = dict(condition.partition("=")[::2] for condition in where)
    if wrong := [name for name in found if name not in TEXTS]:
        raise ConfigError(f"--where {wrong[0]}: write field=value; {near(wrong[0], list(TEXTS))}")
    return found


@commands.command()
def show(letter_id: Annotated[str, typer.Argument(help="The id, or its first characters.")], config: ConfigOption = None) -> None:
    """Show all that is known of one dead letter, its original record too."""
    import orjson

    from towpath.index.asking import caught_up, originals

    with caught_up(load(config)) as indexer:
        with indexer.transaction() as connection:
            letter = _one(connection, letter_id)
        (original,) = originals(indexer, [letter])
    told = {**_plain(original), **letter.told}
    typer.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2))


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a dead letter as JSON can hold it: bytes as text where they are text, else as hex."""

    def text(value: object) -> object:
        if isinstance(value, bytes):
            return value.decode() if value.isascii() and value.decode().isprintable() else f"hex:{value.hex()}"
        return value

    headers = {header["name"]: text(header["value"]) for header in value["headers"]}
    return {**{name: text(part) for name, part in value.items()}, "headers": headers}


@commands.command()
def replay(
    letter_id: Annotated[str, typer.Argument(help="The id, or its first characters; none with --all.")] = "",
    config: ConfigOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Every open one.")] = False,
) -> None:
    """Send dead letters again, unchanged, to the consumer that failed; what it closes is gone from `dlq list`."""
    from towpath.delivery.deadletters import replay_of
    from towpath.errors import ConfigError
    from towpath.index.asking import caught_up, originals
    from towpath.index.queries import find_letters
    from towpath.replaying import send_all

    settings = load(config)
    if everything == bool(letter_id):
        raise ConfigError("dlq replay: name one dead letter, or give --all")
    with caught_up(settings) as indexer:
        with indexer.transaction() as connection:
            chosen = find_letters(connection) if everything else [_one(connection, letter_id)]
        if closed := [letter for letter in chosen if not letter.told["open"]]:
            raise ConfigError(f"dead letter {closed[0].told['dead_letter_id']} is closed already: its effect stands")
        send_all(settings.kafka, map(replay_of, originals(indexer, chosen)))
    typer.echo(f"replayed {len(chosen)}")


def _one(connection: Connection, letter_id: str) -> Letter:
    from towpath.errors import ConfigError
    from towpath.index.queries import find_letters

    found = find_letters(connection, everything=True, begins=letter_id)
    if len(found) != 1 or not letter_id:
        raise ConfigError(f"{len(found)} dead letters begin with {letter_id!r}; take an id from `towpath dlq list --all`")
    return found[0]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(commands)
