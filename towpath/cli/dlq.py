"""`towpath dlq`: what could not be processed or written, why, and how to play it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from towpath.cli._dlq_mending import add_mending_to
from towpath.cli._index import ConfigOption, JsonOption, load
from towpath.cli._letters import AllOption, AnywayOption, LimitOption, SinceOption, WhereOption, chosen, counted, name_of, named

if TYPE_CHECKING:
    from towpath.codec import Codec

HELP = """Dead letters, such as an order that was refused: find, understand, mend and play them again.

`groups` tells what failed, why, and what mends it; `show` tells all of one. `edit` mends a record and sends it, `replay` sends it as it is, `discard`
closes it. Then `towpath trace ORDER` tells whether it arrived.
"""
JsonAnywayOption = Annotated[bool, typer.Option("--json", help="Taken as `list` takes it: this is JSON in any case.")]
commands = typer.Typer(name="dlq", no_args_is_help=True, help=HELP)


@commands.command("list")
def list_letters(
    config: ConfigOption = None,
    everything: AllOption = False,
    where: WhereOption = None,
    since: SinceOption = "",
    limit: LimitOption = None,
    as_json: JsonOption = False,
    _plan: AnywayOption = False,
) -> None:
    """List the open dead letters and parked records, oldest first."""
    import orjson
    from rich.console import Console

    from towpath.index.asking import caught_up

    with caught_up(load(config)) as indexer, indexer.transaction() as connection:
        found = [letter.told for letter in chosen(connection, where, since, limit, everything=everything)]
    if as_json:
        for letter in found:
            typer.echo(orjson.dumps(letter))
        return
    console = Console(soft_wrap=True, highlight=False)
    for letter in found:
        state = letter["state"] if letter["open"] else f"closed: {letter['outcome']}"
        field = f", field {letter['field']}" if letter["field"] else ""
        tries = f", {letter['attempts']} attempts" if letter["attempts"] > 1 else ""
        sent_at = letter["replay_sent_at"]
        tries += f", sent again {sent_at:%Y-%m-%d %H:%M:%S} UTC and not answered yet" if sent_at else ""
        console.print(letter["dead_letter_id"][:8], style="bold", end="  ")
        console.print(f"{name_of(letter)}  {state}{field}; {letter['last_at']:%Y-%m-%d %H:%M:%S} UTC{tries}", markup=False)
        console.print(f"  {letter['reason']}", markup=False)
        if letter["closed_reason"]:
            console.print(f"  {letter['outcome']}: {letter['closed_reason']}", markup=False)
    ending = "`towpath dlq show ID` tells what mends one" if found else "none that fits; `--all` has those that are closed too"
    console.print(f"{counted(len(found))}; {ending}", markup=False)


@commands.command()
def groups(
    config: ConfigOption = None,
    where: WhereOption = None,
    since: SinceOption = "",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many groups.")] = None,
    as_json: JsonOption = False,
    _plan: AnywayOption = False,
) -> None:
    """Group the open dead letters by cause, the largest group first, each with what it means and what mends it."""
    import orjson
    from rich.console import Console

    from towpath.index.asking import caught_up
    from towpath.index.groups import grouped

    with caught_up(load(config)) as indexer, indexer.transaction() as connection:
        found = grouped(letter.told for letter in chosen(connection, where, since, None))[:limit]
    console = Console(soft_wrap=True, highlight=False)
    for group in found:
        if as_json:
            typer.echo(orjson.dumps(group._asdict()))
            continue
        field = f", field {group.field}" if group.field else ""
        span = f"{group.first_at:%Y-%m-%d %H:%M} to {group.last_at:%Y-%m-%d %H:%M} UTC"
        about = f"{group.letters} of {group.connection or '-'}, {group.hop}, {group.error_class}{field}; {span}"
        console.print(group.fingerprint, style="bold", end="  ")
        console.print(about, markup=False)
        for name in ("reason", "meaning", "remedy"):
            console.print(f"  {name:8} {getattr(group, name)}", markup=False)
    if not as_json:
        console.print(f"{counted(sum(group.letters for group in found))} in {counted(len(found), 'group')}")


@commands.command()
def show(
    letter_ids: Annotated[list[str] | None, typer.Argument(help="Ids, or their first 8 characters.")] = None,
    config: ConfigOption = None,
    where: WhereOption = None,
    since: SinceOption = "",
    limit: LimitOption = None,
    _json: JsonAnywayOption = False,
    _plan: AnywayOption = False,
) -> None:
    """Show all that is known of dead letters: the original record, what it means and what mends it.

    A record that can be read is shown as it reads; `dlq export` has its bytes.
    """
    import orjson

    from towpath.errors import ConfigError
    from towpath.index.asking import caught_up, originals

    if bool(letter_ids) == bool(where or since) and (letter_ids or not limit):
        raise ConfigError("dlq show: name dead letters by their ids, or say which by --where, --since or --limit")
    with caught_up(load(config)) as indexer:
        with indexer.transaction() as connection:
            letters = named(connection, letter_ids, limit) if letter_ids else chosen(connection, where, since, limit)
        found = {letter.told["dead_letter_id"]: letter for letter in letters}
        for original in originals(indexer, list(found.values())):
            whole = _whole(indexer.codec, original, found[original["dead_letter_id"]].told)
            if whole["record"] is not None:
                del whole["value"]
            typer.echo(orjson.dumps(whole, option=orjson.OPT_INDENT_2))


@commands.command()
def export(
    config: ConfigOption = None,
    everything: AllOption = False,
    where: WhereOption = None,
    since: SinceOption = "",
    limit: LimitOption = None,
    _json: JsonAnywayOption = False,
    _plan: AnywayOption = False,
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
    import orjson

    from towpath.delivery.mending import readable
    from towpath.errors import RetryableError
    from towpath.index.groups import remedy

    def text(value: object) -> object:
        if isinstance(value, bytes):
            return value.decode() if value.isascii() and value.decode().isprintable() else f"hex:{value.hex()}"
        return value

    headers = {header["name"]: text(header["value"]) for header in original["headers"]}
    try:
        found = readable(codec, original["value"])
        orjson.dumps(found)
    except (RetryableError, orjson.JSONEncodeError):  # its schema is not known so far, or it holds what JSON of ours cannot: its bytes tell
        found = None
    what = remedy(told, told["dead_letter_id"][:8])
    return {**{name: text(part) for name, part in original.items()}, "headers": headers, "record": found, **told, **what._asdict()}


add_mending_to(commands)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(commands)
