"""`towpath dlq`: what could not be processed or written, why, and how to play it again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from towpath.config import Config

ConfigOption = Annotated[Path | None, typer.Option("--config", help="The configuration file.")]
commands = typer.Typer(name="dlq", no_args_is_help=True, help="Dead letters: list, show, replay.")


def _load(path: Path | None) -> Config:
    from towpath.config import config_path, load_config

    return load_config(config_path(path), resolve=False)


def _plain(letter: Mapping[str, Any]) -> dict[str, Any]:
    """Return a dead letter as JSON can hold it: bytes as text where they are text, else as hex."""

    def text(value: object) -> object:
        if isinstance(value, bytes):
            return value.decode() if value.isascii() and value.decode().isprintable() else f"hex:{value.hex()}"
        return value

    headers = {header["name"]: text(header["value"]) for header in letter["headers"]}
    return {**{name: text(value) for name, value in letter.items()}, "headers": headers}


@commands.command("list")
def list_letters(
    config: ConfigOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are closed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the open dead letters and parked records, oldest first."""
    import orjson
    from rich.console import Console
    from rich.table import Table

    from towpath.workbench import letters

    found = [letter for letter in letters(_load(config)) if everything or letter["open"]]
    if as_json:
        for letter in found:
            typer.echo(orjson.dumps(_plain(letter)))
        return
    table = Table("id", "what", "state", "field", "reason", "attempts", "last (UTC)", title=f"{len(found)} dead letters")
    for letter in found:
        state = letter["state"] if letter["open"] else "closed"
        last = f"{letter['last_at']:%Y-%m-%d %H:%M:%S}"
        what = letter["business_key"] or f"{letter['topic']}@{letter['offset']}"
        table.add_row(letter["dead_letter_id"][:8], what, state, letter["field"], letter["reason"], str(letter["attempts"]), last)
    Console().print(table)


@commands.command()
def show(letter_id: Annotated[str, typer.Argument(help="The id, or its first characters.")], config: ConfigOption = None) -> None:
    """Show all that is known of one dead letter, its original record too."""
    import orjson

    letter = _one(_load(config), letter_id)
    typer.echo(orjson.dumps(_plain(letter), option=orjson.OPT_INDENT_2))


@commands.command()
def replay(
    letter_id: Annotated[str, typer.Argument(help="The id, or its first characters; none with --all.")] = "",
    config: ConfigOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Every open one.")] = False,
) -> None:
    """Send dead letters again, unchanged, to the consumer that failed; what it closes is gone from `dlq list`."""
    from towpath.delivery.deadletters import replay_of
    from towpath.errors import ConfigError
    from towpath.kafka import make_producer
    from towpath.workbench import letters

    settings = _load(config)
    if everything == bool(letter_id):
        raise ConfigError("dlq replay: name one dead letter, or give --all")
    chosen = [letter for letter in letters(settings) if letter["open"]] if everything else [_one(settings, letter_id)]
    producer = make_producer(settings.kafka)
    failed: list[str] = []
    for letter in chosen:
        if not letter["open"]:
            raise ConfigError(f"dead letter {letter['dead_letter_id']} is closed already: its effect stands")
        output = replay_of(letter)
        producer.produce(
            output.topic,
            output.value,
            output.key,
            headers=list(output.headers),
            on_delivery=lambda error, _: failed.append(str(error)) if error else None,
        )
    if producer.flush(30) or failed:
        raise ConfigError(f"dlq replay: Kafka did not take {len(failed) or 'all'} records: {failed[:1]}; run it again, nothing is done twice")
    typer.echo(f"replayed {len(chosen)}")


def _one(config: Config, letter_id: str) -> Mapping[str, Any]:
    from towpath.errors import ConfigError
    from towpath.workbench import letters

    found = [letter for letter in letters(config) if letter["dead_letter_id"].startswith(letter_id)]
    if len(found) != 1 or not letter_id:
        raise ConfigError(f"{len(found)} dead letters begin with {letter_id!r}; take an id from `towpath dlq list --all`")
    return found[0]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(commands)
