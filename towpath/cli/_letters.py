"""How the dead letters that a command is about are named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from towpath.index.queries import Letter

AllOption = Annotated[bool, typer.Option("--all", help="Also those that are closed.")]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FIELD=VALUE",
        help="Only those with this in a field, such as order=1001 (its number), connection=erp, state=parked, field=SKU, reason=timeout or "
        "fingerprint=3ed9525d; several must all hold.",
    ),
]
SinceOption = Annotated[
    str, typer.Option(metavar="TIME", help="Only those that failed since: ISO 8601, UTC where it names no zone; or 90m, 24h, 7d.")
]
LimitOption = Annotated[int | None, typer.Option(min=1, help="At most so many, the oldest first.")]
AnywayOption = Annotated[
    bool, typer.Option("--plan", help="Taken so that a choice can be tried with any of these commands: this one does nothing to what it shows.")
]
UNITS = {"m": 60, "h": 3600, "d": 86400}
SHOWN = 8
"""So many characters of an id are printed, and have to be given: the number of an order may be the beginning of another one's id."""
NAMES = ("state", "hop", "connection", "group", "flow", "error_class")
"""Fields in which a value that none has is a slip."""


def chosen(connection: Connection, where: Sequence[str] | None, since: str, limit: int | None, *, everything: bool = False) -> list[Letter]:
    """Return the dead letters that fit the options; ConfigError names the option that is wrong."""
    from towpath.config.connections import near
    from towpath.errors import ConfigError
    from towpath.index.queries import ORDER, PARTS, TEXTS, find_letters

    known = (ORDER, *TEXTS)
    conditions: dict[str, str] = {}
    for condition in where or ():
        name, equals, text = condition.partition("=")
        if name not in known or not equals:
            raise ConfigError(f"--where {condition}: write field=value; {near(name, known)}")
        if not text and name in PARTS:
            raise ConfigError(f"--where {condition}: an empty {name} would be in every dead letter; say which")
        if name in conditions:
            raise ConfigError(f"--where {condition}: {name} was given already, and no dead letter has two")
        conditions[name] = text
    found = find_letters(connection, everything=everything, where=conditions, since=moment("--since", since), limit=limit)
    if not found:
        _tell_slips(connection, conditions)
    return found


def _tell_slips(connection: Connection, conditions: Mapping[str, str]) -> None:
    """Say of each condition that no dead letter ever met, open or closed, what was meant perhaps."""
    from towpath.config.connections import near
    from towpath.index.queries import values_of

    for name, text in conditions.items():
        if name in NAMES and text not in (known := values_of(connection, name)):
            typer.echo(f"no dead letter has {name}={text}; {near(text, known)}", err=True)


def one(connection: Connection, letter_id: str) -> Letter:
    """Return the one dead letter whose id begins so; ConfigError where there are none or several, or so little may be an order's number."""
    import shlex

    from towpath.errors import ConfigError
    from towpath.index.queries import find_letters

    other = f", or name an order by --where {shlex.quote(f'order={letter_id}')}" if letter_id else ""
    if len(letter_id) < SHOWN:
        raise ConfigError(f"{letter_id!r} is too little of an id; take {SHOWN} characters, as `towpath dlq list` prints them{other}")
    found = find_letters(connection, everything=True, begins=letter_id)
    if len(found) != 1:
        raise ConfigError(f"{len(found)} dead letters begin with {letter_id!r}; take an id from `towpath dlq list --all`{other}")
    return found[0]


def named(connection: Connection, letter_ids: Sequence[str], limit: int | None) -> list[Letter]:
    """Return those whose ids begin so, each once, the oldest failure first as `chosen` has them; ConfigError where one is not found."""
    found = {letter.told["dead_letter_id"]: letter for letter in (one(connection, letter_id) for letter_id in letter_ids)}
    return sorted(found.values(), key=lambda letter: (letter.told["last_at"], letter.told["dead_letter_id"]))[:limit]


def moment(option: str, text: str) -> datetime | None:
    """Return a time, or that of so long ago, as an aware time; None for an empty text, ConfigError for what is neither."""
    from datetime import timedelta

    from towpath.errors import ConfigError

    if not text:
        return None
    try:
        if text[-1] in UNITS and text[:-1].isascii() and text[:-1].isdigit():
            return datetime.now(UTC) - timedelta(seconds=int(text[:-1]) * UNITS[text[-1]])
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigError(f"{option} {text}: write a time such as 2026-11-21T09:00, or 90m, 24h, 7d") from None


def name_of(told: Mapping[str, Any]) -> str:
    """Return what a dead letter is about: its business key, or where its record stood."""
    key: str = told["business_key"]
    return key or f"{told['topic']}@{told['offset']}"


def counted(number: int, word: str = "dead letter") -> str:
    """Return a number of things, such as "1 dead letter"."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
