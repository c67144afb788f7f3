"""The commands of `towpath dlq` that do something: replay, edit, discard."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer

from towpath.cli._dlq_told import all_the_same, tell, tell_left, tell_next
from towpath.cli._index import ConfigOption, load
from towpath.cli._letters import LimitOption, SinceOption, WhereOption, chosen, counted, one

if TYPE_CHECKING:
    from datetime import datetime

    from towpath.config import Config
    from towpath.index.indexer import Indexer
    from towpath.index.queries import Letter
    from towpath.kafka import KafkaSettings
    from towpath.records import Output

INTERRUPTED = 130  # as a shell has it
IdArguments = Annotated[list[str] | None, typer.Argument(help="Ids, or their first characters.")]
EveryOption = Annotated[bool, typer.Option("--all", help="Every open one.")]
PlanOption = Annotated[bool, typer.Option("--plan", help="Say what would be done, and do nothing.")]


def replay(  # noqa: PLR0917 - one argument an option
    letter_ids: IdArguments = None,
    config: ConfigOption = None,
    everything: EveryOption = False,
    where: WhereOption = None,
    since: SinceOption = "",
    limit: LimitOption = None,
    remap: Annotated[
        bool, typer.Option("--remap", help="Make deliveries anew from their event, by the mapping as it is now, for their flow alone.")
    ] = False,
    cap: Annotated[int, typer.Option(min=1, help="Leave alone what was replayed so many times already.")] = 10,
    plan: PlanOption = False,
) -> None:
    """Send dead letters again, oldest first, to the consumer that failed and to no other; what it closes is gone from `dlq list`.

    Nothing is deleted and no effect happens twice, so it may be interrupted and run again.
    """
    from towpath.index.asking import caught_up

    settings = load(config)
    with caught_up(settings) as indexer:
        found = opened(indexer, letter_ids, everything=everything, where=where, since=since, limit=limit)
        left = {letter.told["dead_letter_id"]: why for letter in found if (why := _why_left(settings, letter, cap))}
        wanted = [letter for letter in found if letter.told["dead_letter_id"] not in left]
        if plan:
            tell(wanted, "to")
        else:
            _send_again(settings.kafka, indexer, wanted, remap=remap)
    tell_left(left)
    typer.echo(f"{'would replay' if plan else 'replayed'} {len(wanted)}")
    if not plan:
        tell_next(wanted)


def _send_again(kafka: KafkaSettings, indexer: Indexer, letters: Sequence[Letter], *, remap: bool) -> None:
    """Send dead letters again, and close those that are none of ours; where Ctrl-C ends it, say how far it came."""
    from towpath.delivery.deadletters import remapped_of, replay_of
    from towpath.index.asking import originals
    from towpath.replaying import send_all

    sent: set[str] = set()

    def each() -> Iterator[Output]:
        for original in originals(indexer, letters):
            yield remapped_of(original, indexer.codec) if remap else replay_of(original)
            sent.add(original["dead_letter_id"])

    try:
        send_all(kafka, each())
    except KeyboardInterrupt:
        typer.echo(f"interrupted after {len(sent)} of {len(letters)}; the same command goes on with what is still open", err=True)
        raise typer.Exit(INTERRUPTED) from None
    finally:
        send_all(kafka, _foreign_closed([letter for letter in letters if letter.told["dead_letter_id"] in sent]))


def edit(  # noqa: PLR0917 - one argument an option
    letter_ids: IdArguments = None,
    config: ConfigOption = None,
    values: Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Such as lines[0].sku=A-7; several may be given.")] = None,
    file: Annotated[Path | None, typer.Option(help="The record's new text, as `dlq edit ID --print` gives it.")] = None,
    only_print: Annotated[bool, typer.Option("--print", help="Print the text that can be changed, and do nothing.")] = False,
    everything: EveryOption = False,
    where: WhereOption = None,
    since: SinceOption = "",
    limit: LimitOption = None,
    plan: PlanOption = False,
) -> None:
    """Mend the record of a dead letter (in your $EDITOR, or by --set or --file), or of several (by --set), and send it to the consumer that failed.

    The dead letter keeps the original. What was mended is checked first: a field that is wrong is named, and nothing is sent.
    """
    from towpath.delivery.mending import with_values
    from towpath.errors import ConfigError
    from towpath.index.asking import caught_up
    from towpath.replaying import send_all

    def change(text: str) -> str | None:
        if file is not None:
            return file.read_text(encoding="utf-8")
        return with_values(text, values) if values else click.edit(text, extension=".json")

    settings = load(config)
    with caught_up(settings) as indexer:
        found = opened(indexer, letter_ids, everything=everything, where=where, since=since, limit=limit)
        if len(found) > 1 and not (values or only_print):
            raise ConfigError(f"dlq edit: these are {len(found)} dead letters; mend them by --set, or name one")
        for letter in found:
            if why := _why_left(settings, letter):
                raise ConfigError(f"dlq edit {letter.told['dead_letter_id']}: {why}")
        if only_print:
            _mended(indexer, found, typer.echo)
            return
        sent = _mended(indexer, found, change)
        mended = [letter for letter in found if letter.told["dead_letter_id"] in sent]
        if not plan:
            send_all(settings.kafka, [*sent.values(), *_foreign_closed(mended)])
    tell(mended, "to")
    typer.echo(f"{'would replay' if plan else 'replayed'} {len(sent)}, mended" if sent else "nothing was changed")
    if not plan:
        tell_next(mended)


def _mended(indexer: Indexer, letters: Sequence[Letter], change: Callable[[str], str | None]) -> dict[str, Output]:
    """Return what sends each of these again with its text changed, by id, of those that it did change; ConfigError names the first that is wrong."""
    from towpath.delivery.deadletters import replay_of
    from towpath.delivery.mending import mended, text_of
    from towpath.errors import ConfigError, DataError
    from towpath.index.asking import originals

    found = {}
    for original in originals(indexer, letters):
        try:
            before = text_of(indexer.codec, original["value"])
            after = change(before)
            if after is not None and after.strip() != before.strip():
                found[original["dead_letter_id"]] = replay_of({**original, "value": mended(indexer.codec, original["value"], after)})
        except (DataError, OSError) as error:
            raise ConfigError(f"dlq edit {original['dead_letter_id']}: {error}") from error
    return found


def discard(
    letter_ids: IdArguments = None,
    reason: Annotated[str, typer.Option(help="Why it need not be done: it stands in `towpath trace` for ever, with who discarded it.")] = "",
    config: ConfigOption = None,
    everything: EveryOption = False,
    where: WhereOption = None,
    since: SinceOption = "",
    limit: LimitOption = None,
    plan: PlanOption = False,
) -> None:
    """Close dead letters without doing what they ask for; the records stay, and `dlq list --all` still has them."""
    from towpath.errors import ConfigError
    from towpath.index.asking import caught_up
    from towpath.replaying import send_all

    settings = load(config)
    if not reason.strip():
        raise ConfigError("dlq discard: give --reason; it is kept with who discarded it")
    with caught_up(settings) as indexer:
        found = opened(indexer, letter_ids, everything=everything, where=where, since=since, limit=limit)
        if not plan:
            send_all(settings.kafka, [_discarded(letter.told, reason.strip()) for letter in found])
            _forget(settings, [letter.told["dead_letter_id"] for letter in found])
    tell(found, "of")
    typer.echo(f"{'would discard' if plan else 'discarded'} {len(found)}")


def opened(
    indexer: Indexer,
    letter_ids: Sequence[str] | None,
    *,
    everything: bool = False,
    where: Sequence[str] | None = None,
    since: str = "",
    limit: int | None = None,
) -> list[Letter]:
    """Return the open dead letters that are named or fit the options; ConfigError where none is named, or one is closed."""
    from towpath.errors import ConfigError

    fitting = bool(everything or where or since)
    if bool(letter_ids) == fitting:
        raise ConfigError("name dead letters by their ids, or say which by --where or --since, or give --all")
    with indexer.transaction() as connection:
        found = chosen(connection, where, since, limit) if fitting else [one(connection, letter_id) for letter_id in letter_ids or ()]
    if closed := [letter for letter in found if not letter.told["open"]]:
        told = closed[0].told
        raise ConfigError(f"dead letter {told['dead_letter_id']} is closed already: {told['outcome']}{all_the_same(told)}")
    return list({letter.told["dead_letter_id"]: letter for letter in found}.values())


def _why_left(config: Config, letter: Letter, cap: int | None = None) -> str:
    """Return why a dead letter is not sent again, empty where it is."""
    from towpath.delivery.foreign import FOREIGN, why_not_replayed
    from towpath.topics import load_topics

    if cap is not None and letter.told["replays"] >= cap:
        return f"replayed {counted(letter.told['replays'], 'time')} already; mend what fails, or raise --cap"
    if letter.told["hop"] not in FOREIGN:
        return ""
    return why_not_replayed(letter.told, [spec.name for spec in load_topics().expand(config.connections) if set(spec.consumers) - {"analytics"}])


def _foreign_closed(letters: Sequence[Letter]) -> list[Output]:
    """Return what closes dead letters that are none of ours, as of their failure: one that fails again after this is open again."""
    from towpath.delivery.foreign import FOREIGN, REPLAYED

    others = [letter.told for letter in letters if letter.told["hop"] in FOREIGN]
    return [closing(told, REPLAYED, "sent again to its original topic", told["last_at"]) for told in others]


def _discarded(told: Mapping[str, Any], reason: str) -> Output:
    from datetime import UTC, datetime

    from towpath.delivery.deadletters import DISCARDED

    return closing(told, DISCARDED, reason, datetime.now(UTC))


def closing(told: Mapping[str, Any], outcome: str, reason: str, at: datetime) -> Output:
    """Return the receipt that closes a dead letter, with who did it and why."""
    import getpass

    from towpath.codec import default_codec
    from towpath.delivery.deadletters import Registrar, Subject

    subject = Subject(told["connection"], told["business_key"], told["flow"], mapping_version=told["mapping_version"])
    registrar = Registrar(default_codec(), told["hop"], told["group"])
    who = f"{getpass.getuser()}: {reason}"
    return registrar.receipt(outcome, subject, at, reason=who, dead_letter_id=told["dead_letter_id"])


def _forget(config: Config, ids: Sequence[str]) -> None:
    """Have what was discarded not be tried again by itself."""
    import asyncio
    from datetime import timedelta

    from towpath.clock import SystemClock
    from towpath.delivery.database import open_engine
    from towpath.delivery.parking import Parking

    async def forget() -> None:
        parking = Parking(open_engine(config.database_url()), SystemClock(), timedelta(0))
        await parking.forget(ids)
        await parking.close()

    asyncio.run(forget())


def add_mending_to(commands: typer.Typer) -> None:
    """Add the commands."""
    for command in (replay, edit, discard):
        commands.command()(command)
