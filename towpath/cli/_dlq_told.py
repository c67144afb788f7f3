"""What the commands that do something with dead letters say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from towpath.cli._letters import counted, name_of

if TYPE_CHECKING:
    from towpath.index.queries import Letter

NAMED = 5  # ids in a line about many


def all_the_same(told: Mapping[str, Any]) -> str:
    """Return how to have a record that is closed played all the same; empty where it is none of those that `towpath replay` plays."""
    from towpath.replaying import KINDS

    playable = told["business_key"] and told["topic"].startswith(KINDS)
    return f"; to have it done all the same, `towpath replay {told['topic']} --key {told['business_key']}`" if playable else ""


def tell(letters: Sequence[Letter], toward: str) -> None:
    """Say of each what it is, and to whom it goes (or of whom it is), with why it failed."""
    for told in (letter.told for letter in letters):
        times = f", replayed {counted(told['replays'], 'time')} before" if told["replays"] else ""
        typer.echo(f"{told['dead_letter_id'][:8]}  {name_of(told)}  {toward} {told['group']} on {told['topic']}{times}: {told['reason']}")


def tell_left(left: Mapping[str, str]) -> None:
    """Say which were left alone, in one line for each reason."""
    for why in dict.fromkeys(left.values()):
        ids = [letter_id[:8] for letter_id, reason in left.items() if reason == why]
        some = ", ".join([*ids[:NAMED], *(["…"] if len(ids) > NAMED else [])])
        typer.echo(f"left {len(ids)} ({some}): {why}", err=True)


def tell_next(sent: Sequence[Letter]) -> None:
    """Say where to look whether what was sent again arrives."""
    keys = {letter.told["business_key"] for letter in sent} - {""}
    if len(keys) == 1:
        typer.echo(f"`towpath trace {keys.pop()}` tells whether it arrives", err=True)
    elif sent:
        typer.echo("`towpath dlq groups` has what fails again", err=True)
