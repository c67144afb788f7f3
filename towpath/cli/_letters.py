"""How the dead letters that a command is about are named."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from towpath.index.queries import Letter

AllOption = Annotated[bool, typer.Option("--all", help="Also those that are closed.")]
WhereOption = Annotated[list[str] | None, typer.Option(help="Only those with this in a field, such as connection=erp, state=parked or field=SKU.")]
SinceOption = Annotated[
    str, typer.Option(metavar="TIME", help="Only those that failed since: ISO 8601, UTC where it names no zone; or 90m, 24h, 7d.")
]
LimitOption = Annotated[int | None, typer.Option(min=1, help="At most so many, the oldest first.")]
UNITS = {"m": 60, "h": 3600, "d": 86400}


def chosen(connection: Connection, where: Sequence[str] | None, since: str, limit: int | None, *, everything: bool = False) -> list[Letter]:
    """Return the dead letters that fit the options; ConfigError names the option that is wrong."""
    from towpath.config.connections import near
    from towpath.errors import ConfigError
    from towpath.index.queries import TEXTS, find_letters

    conditions = dict(condition.partition("=")[::2] for condition in where or ())
    if wrong := [name for name in conditions if name not in TEXTS]:
        raise ConfigError(f"--where {wrong[0]}: write field=value; {near(wrong[0], list(TEXTS))}")
    return find_letters(connection, everything=everything, where=conditions, since=moment("--since", since), limit=limit)


def one(connection: Connection, letter_id: str) -> Letter:
    """Return the one dead letter whose id begins so; ConfigError where there are none or several."""
    from towpath.errors import ConfigError
    from towpath.index.queries import find_letters

    found = find_letters(connection, everything=True, begins=letter_id)
    if len(found) != 1 or not letter_id:
        raise ConfigError(f"{len(found)} dead letters begin with {letter_id!r}; take an id from `towpath dlq list --all`")
    return found[0]


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
