"""What the commands that do something with dead letters say of it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from towpath.cli._letters import counted, name_of

if TYPE_CHECKING:
    from towpath.index.queries import Letter

NAMED = 5  # ids in a line about many


def all_the_same(originals: Iterator[Mapping[str, Any]]) -> str:
    """Return how to have the record of a closed dead letter played all the same; empty where it is gone, or none that `towpath replay` plays."""
    from towpath.delivery.deadletters import played_by
    from towpath.errors import ConfigError
    from towpath.records import DEAD_LETTER, ORIGIN
    from towpath.replaying import KINDS

    try:
        original = next(originals)
    except ConfigError:
        return ""
    names = {header["name"] for header in original["headers"]}
    playable = original["topic"].startswith(KINDS) and (ORIGIN in names or DEAD_LETTER not in names)  # else it is a replay itself
    return f"; to have it done all the same, `{played_by(original)}`" if playable else ""


def tell(letters: Sequence[Letter], toward: str, *, remap: bool = False) -> None:
    """Say of each what it is, and to whom it goes (or of whom it is), with why it failed; with `remap` a delivery goes to the processor."""
    for told in (letter.told for letter in letters):
        times = f", replayed {counted(told['replays'], 'time')} before" if told["replays"] else ""
        is_mapped = remap and told["topic"].startswith("deliver.")
        whom = f"the processor, to be mapped anew for {told['flow']}" if is_mapped else f"{told['group']} on {told['topic']}"
        typer.echo(f"{told['dead_letter_id'][:8]}  {name_of(told)}  {toward} {whom}{times}: {told['reason']}")


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


def tell_followers(discarded: Sequence[Letter], parked: Sequence[Letter]) -> None:
    """Say which parked records are of the same orders as what is discarded: what they wait for may be just that, which then never comes."""
    ids, keys = ({letter.told[name] for letter in discarded} for name in ("dead_letter_id", "business_key"))
    left = [letter for letter in parked if letter.told["business_key"] in keys - {""} and letter.told["dead_letter_id"] not in ids]
    for key in list(dict.fromkeys(letter.told["business_key"] for letter in left))[:NAMED]:
        count = sum(letter.told["business_key"] == key for letter in left)
        those = f"`towpath dlq list --where {shlex.quote(f'business_key={key}')}`"
        typer.echo(f"{counted(count, 'record')} of {key} still parked: what waits for the discarded one waits for ever; see {those}", err=True)
