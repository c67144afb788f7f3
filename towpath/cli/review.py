"""`towpath review`: customers who may be there already, and what somebody decides of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from towpath.cli._dlq_closing import closing
from towpath.cli._dlq_mending import PlanOption, opened
from towpath.cli._index import ConfigOption, JsonOption, load

if TYPE_CHECKING:
    from towpath.index.indexer import Indexer
    from towpath.index.queries import Letter

commands = typer.Typer(name="review", no_args_is_help=True, help="Customers who may be there already: list them, and say whether they are.")
IdArgument = Annotated[str, typer.Argument(help="The question's id, or its first 8 characters.")]
ReasonOption = Annotated[str, typer.Option(help="Why; it is kept with who decided.")]


@commands.command("list")
def list_questions(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the customers who are like one who is there, but not surely the same, oldest first, with who that may be."""
    import orjson
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    from towpath.delivery.reviewing import DUPLICATE
    from towpath.index.asking import caught_up
    from towpath.index.queries import find_letters

    with caught_up(load(config)) as indexer:
        with indexer.transaction() as connection:
            letters = find_letters(connection, where={"field": DUPLICATE})
        found = [{**letter.told, "candidates": _candidates(indexer, letter)} for letter in letters]
    if as_json:
        for question in found:
            typer.echo(orjson.dumps(question))
        return
    names = ("id", "who", "at", "may be", "why it is asked", "last (UTC)")
    table = Table(*(Column(name, overflow="fold") for name in names), title=f"{len(found)} to be reviewed")
    for question in found:
        last = f"{question['last_at']:%Y-%m-%d %H:%M:%S}"
        who = (question["dead_letter_id"][:8], question["business_key"], question["connection"])
        table.add_row(*map(escape, (*who, ", ".join(question["candidates"]), question["reason"], last)))
    Console().print(table)


@commands.command()
def merge(
    letter_id: IdArgument,
    config: ConfigOption = None,
    into: Annotated[str, typer.Option(help="Which of the candidates it is, where there are several.")] = "",
    reason: ReasonOption = "",
    plan: PlanOption = False,
) -> None:
    """Say that a customer is the one who is there: they are one from now on, and what was told of it is written there.

    Where the other side asks whether that one may be this customer, it is answered, too: else each would be given what the other had.
    """
    from towpath.delivery.reviewing import MERGED
    from towpath.errors import ConfigError
    from towpath.index.asking import caught_up

    settings = load(config)
    with caught_up(settings) as indexer:
        letter = _question(indexer, letter_id)
        candidates = _candidates(indexer, letter)
        one = into or (candidates[0] if len(candidates) == 1 else "")
        if one not in candidates:
            raise ConfigError(f"review merge {letter_id}: give --into, one of {', '.join(candidates)}")
        _decide(indexer, letter, one, MERGED, f"into {one}", reason, plan=plan)
        _close_mirrored(indexer, letter, one, plan=plan)


@commands.command()
def reject(letter_id: IdArgument, config: ConfigOption = None, reason: ReasonOption = "", plan: PlanOption = False) -> None:
    """Say that a customer is none of those who are there: a new one is made."""
    from towpath.delivery.reviewing import REJECTED
    from towpath.index.asking import caught_up

    settings = load(config)
    with caught_up(settings) as indexer:
        _decide(indexer, _question(indexer, letter_id), "", REJECTED, "a new one is made", reason, plan=plan)


def _question(indexer: Indexer, letter_id: str) -> Letter:
    from towpath.delivery.reviewing import DUPLICATE
    from towpath.errors import ConfigError

    (letter,) = opened(indexer, [letter_id])
    if letter.told["field"] != DUPLICATE:
        raise ConfigError(f"dead letter {letter_id} asks about no customer; take an id from `towpath review list`")
    return letter


def _candidates(indexer: Indexer, letter: Letter) -> list[str]:
    return [one for one in str(_original(indexer, letter)["field_value"]).split(",") if one]


def _original(indexer: Indexer, letter: Letter) -> Mapping[str, Any]:
    from towpath.index.asking import originals

    (original,) = originals(indexer, [letter])
    return original


def _decide(indexer: Indexer, letter: Letter, candidate: str, outcome: str, what: str, reason: str, *, plan: bool) -> None:
    """Send the delivery again with the answer in it, and the receipt that says who gave it; should it fail again, the question is open again."""
    from datetime import UTC, datetime

    from towpath.delivery.deadletters import replay_of
    from towpath.delivery.reviewing import decided
    from towpath.errors import ConfigError, DataError
    from towpath.replaying import send_all

    original = _original(indexer, letter)
    try:
        value = decided(indexer.codec, original["value"], candidate, () if candidate else _candidates(indexer, letter))
    except DataError as error:
        raise ConfigError(f"dead letter {letter.told['dead_letter_id']}: {error}") from error
    told = ": ".join(filter(None, (what, reason.strip())))
    if not plan:
        answered = closing(letter.told, outcome, told, datetime.now(UTC))
        send_all(indexer.kafka, [replay_of({**original, "value": value})])
        send_all(indexer.kafka, [answered])  # not before that: a question that is closed is not asked again, whatever ends this in between
    typer.echo(f"{'would be ' if plan else ''}{outcome}: {letter.told['business_key']} at {letter.told['connection']}, {what}")


def _close_mirrored(indexer: Indexer, letter: Letter, one: str, *, plan: bool) -> None:
    """Close the other side's question about the same two customers, with nothing sent again."""
    from datetime import UTC, datetime

    from towpath.delivery.reviewing import DUPLICATE, MERGED
    from towpath.index.queries import find_letters
    from towpath.replaying import send_all

    source, _, number = letter.told["business_key"].partition("/customer/")
    about = {"field": DUPLICATE, "connection": source, "business_key": f"{letter.told['connection']}/customer/{one}"}
    with indexer.transaction() as connection:
        asked = find_letters(connection, where=about)
    for other in asked:
        if number in _candidates(indexer, other):
            if not plan:
                send_all(indexer.kafka, [closing(other.told, MERGED, f"as {letter.told['dead_letter_id']}", datetime.now(UTC))])
            typer.echo(f"{'would be ' if plan else ''}answered by it: {other.told['business_key']} at {source}, may be {number}")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(commands)
