"""`towpath dlq`: what could not be processed or written, why, and how to play it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from towpath.cli._dlq_mending import add_mending_to
from towpath.cli._index import ConfigOption, JsonOption, load
from towpath.cli._letters import AllOption, LimitOption, SinceOption, WhereOption, chosen, one

if TYPE_CHECKING:
    from towpath.codec import Codec

commands = typer.Typer(name="dlq", no_args_is_help=True, help="Dead letters: find, understand, mend and play them again.")


@commands.command("list")
def list_letters(
    config: ConfigOption = None,
    everything: AllOption = False,
    where: WhereOption = None,
    since: SinceOption = "",
    limit: LimitOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the open dead letters and parked records, oldest first."""
    import orjson
    from rich.console import Console
    from rich.table import Column, Table

    from towpath.index.asking import caught_up

    with caught_up(load(config)) as indexer, indexer.transaction() as connection:
        found = [letter.told for letter in chosen(connection, where, since, limit, everything=everything)]
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


@commands.command()
def groups(config: ConfigOption = None, where: WhereOption = None, since: SinceOption = "", as_json: JsonOption = False) -> None:
    """Group the open dead letters by cause, the largest group first, each with what it means and what mends it."""
    import orjson
    from rich.console import Console

    from towpath.index.asking import caught_up
    from towpath.index.groups import grouped

    with caught_up(load(config)) as indexer, indexer.transaction() as connection:
        found = grouped(letter.told for letter in chosen(connection, where, since, None))
    console = Console(soft_wrap=True, highlight=False)
    for group in found:
        if as_json:
            typer.echo(orjson.dumps(group._asdict()))
            continue
        field = f", field {group.field}" if group.field else ""
        span = f"{group.first_at:%Y-%m-%d %H:%M} to {group.last_at:%Y-%m-%d %H:%M} UTC"
        about = f"{group.letters} of {group.connection or '-'}, {group.hop}, {group.error_class}{field}; {span}"
        console.print(f"[bold]{group.fingerprint}[/bold]  {about}")
        for name in ("reason", "meaning", "remedy"):
            console.print(f"  {name:8} {getattr(group, name)}", markup=False)
    if not as_json:
        console.print(f"{sum(group.letters for group in found)} dead letters in {len(found)} groups; --where fingerprint=… takes one group elsewhere")


@commands.command()
def show(letter_id: str = typer.Argument(help="The id, or its first characters."), config: ConfigOption = None) -> None:
    """Show all that is known of one dead letter: its original record, what it means and what mends it."""
    import orjson

    from towpath.index.asking import caught_up, originals

    with caught_up(load(config)) as indexer:
        with indexer.transaction() as connection:
            letter = one(connection, letter_id)
        (original,) = originals(indexer, [letter])
    typer.echo(orjson.dumps(_whole(indexer.codec, original, letter.told), option=orjson.OPT_INDENT_2))


@commands.command()
def export(
    config: ConfigOption = None, everything: AllOption = False, where: WhereOption = None, since: SinceOption = "", limit: LimitOption = None
) -> None:
    """Print dead letters whole, one JSON object a line: the record with its key, value and headers, and all that is told of it."""
    import orjson

    from towpath.index.asking import caught_up, originals

    with caught_up(load(config)) as indexer:
        with indexer.transaction() as connection:
            found = {letter.told["dead_letter_id"]: letter for letter in chosen(connection, where, since, limit, everything=everything)}
        for original in originals(indexer, list(found.values())):
            typer.echo(orjson.dumps(_whole(indexer.codec, original, found[original["dead_letter_id"]].told)))


def _whole(codec: Codec, original: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return a dead letter as JSON can hold it: bytes as text where they are text, else as hex; the record decoded where it can be."""
    from towpath.delivery.mending import readable
    from towpath.index.groups import remedy

    def text(value: object) -> object:
        if isinstance(value, bytes):
            return value.decode() if value.isascii() and value.decode().isprintable() else f"hex:{value.hex()}"
        return value

    headers = {header["name"]: text(header["value"]) for header in original["headers"]}
    found = readable(codec, original["value"])
    return {**{name: text(part) for name, part in original.items()}, "headers": headers, "record": found, **told, **remedy(told)._asdict()}


add_mending_to(commands)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(commands)
