"""The commands of `towpath dlq` that do something: replay, edit, discard."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from towpath.cli._dlq_closing import closing, discarded, forget, mended_by_hand, require_here
from towpath.cli._dlq_told import all_the_same, tell, tell_followers, tell_left, tell_next
from towpath.cli._editing import Editing
from towpath.cli._index import ConfigOption, load
from towpath.cli._letters import LimitOption, SinceOption, WhereOption, chosen, counted, named

if TYPE_CHECKING:
    from towpath.config import Config
    from towpath.index.indexer import Indexer
    from towpath.index.queries import Letter
    from towpath.kafka import KafkaSettings
    from towpath.records import Output

INTERRUPTED = 130  # as a shell has it
IdArguments = Annotated[list[str] | None, typer.Argument(help="Ids, or their first 8 characters.")]
EveryOption = Annotated[bool, typer.Option("--all", help="Every open one.")]
CapOption = Annotated[int, typer.Option(min=1, help="Leave alone what was replayed or edited so many times already.")]
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
    cap: CapOption = 10,
    again: Annotated[bool, typer.Option("--again", help="Send also what was sent again within the last hour and is not answered yet.")] = False,
    plan: PlanOption = False,
) -> None:
    """Send dead letters again, oldest first, to the consumer that failed and to no other; what it closes is gone from `dlq list`.

    Nothing is deleted and no effect happens twice, so it may be interrupted and run again.
    """
    from towpath.index.asking import caught_up

    settings = load(config)
    with caught_up(settings) as indexer:
        found = opened(indexer, letter_ids, everything=everything, where=where, since=since)
        left = {letter.told["dead_letter_id"]: why for letter in found if (why := _why_left(settings, letter, cap, again=again))}
        wanted = [letter for letter in found if letter.told["dead_letter_id"] not in left][:limit]  # of those that can be sent
        outputs = _played(indexer, wanted, left, remap=remap)
        if plan:
            deque(outputs, 0)
        else:
            _send_again(settings.kafka, outputs, wanted)
    wanted = [letter for letter in wanted if letter.told["dead_letter_id"] not in left]
    if plan:
        tell(wanted, "to", remap=remap)
    tell_left(left)
    typer.echo(f"{'would replay' if plan else 'replayed'} {len(wanted)}")
    if not plan:
        tell_next(wanted)


def _played(indexer: Indexer, letters: Sequence[Letter], left: dict[str, str], *, remap: bool) -> Iterator[Output]:
    """Yield what plays these dead letters again; what of them cannot be played is noted in `left`, with why."""
    from towpath.delivery.deadletters import remapped_of, replay_of, why_not_sent
    from towpath.index.asking import originals
    from towpath.registry.lookup import in_time

    for original in originals(indexer, letters):
        if why := why_not_sent(original):
            left[original["dead_letter_id"]] = why
        else:
            yield in_time(partial(remapped_of, original, indexer.codec)) if remap else replay_of(original)


def _send_again(kafka: KafkaSettings, outputs: Iterable[Output], letters: Sequence[Letter]) -> None:
    """Send dead letters again; where Ctrl-C ends it, say how far it came."""
    sent: set[str] = set()
    try:
        _send(kafka, outputs, letters, sent)
    except KeyboardInterrupt:
        typer.echo(f"interrupted after {len(sent)} of {len(letters)}; the same command goes on with what is still open", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _send(kafka: KafkaSettings, outputs: Iterable[Output], letters: Sequence[Letter], sent: set[str]) -> None:
    """Send what plays these dead letters again, note in `sent` those that Kafka has, and close those of them that are none of ours.

    A record that its reader failed at twice, as after a restart, is sent once, which closes both.
    """
    from towpath.delivery.foreign import original_of
    from towpath.records import DEAD_LETTER
    from towpath.replaying import send_all

    told = {letter.told["dead_letter_id"]: letter.told for letter in letters}
    firsts: dict[object, str] = {}
    stands_for: dict[str, str] = {}

    def id_of(output: Output) -> str:
        return dict(output.headers)[DEAD_LETTER].decode()

    def once() -> Iterator[Output]:
        for output in outputs:
            one = id_of(output)
            content = hash((output.key, output.value))  # a topic that was made anew has another record at the same place
            stands_for[one] = firsts.setdefault((original_of(told[one]), content), one)
            if stands_for[one] == one:
                yield output

    try:
        send_all(kafka, once(), taken=lambda output: sent.add(id_of(output)))
    finally:
        if closed := _foreign_closed([letter for letter in letters if stands_for.get(letter.told["dead_letter_id"]) in sent]):
            send_all(kafka, closed)


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
    cap: Annotated[int, typer.Option(min=1, help="Mend none where one of them was replayed or edited so many times already.")] = 10,
    plan: PlanOption = False,
) -> None:
    """Mend the record of a dead letter (in your $EDITOR, or by --set or --file), or of several (by --set), and send it to the consumer that failed.

    The dead letter keeps the original, its trace who mended it. What was mended is checked first: what is wrong is named, and nothing is sent.
    """
    from towpath.delivery.mending import with_values
    from towpath.errors import ConfigError
    from towpath.index.asking import caught_up
    from towpath.replaying import send_all

    editing = Editing()

    def change(text: str) -> str | None:
        if file is not None:
            return file.read_text(encoding="utf-8")
        return with_values(text, values) if values else editing.ask(text)

    settings = load(config)
    if file is not None and values:
        raise ConfigError("dlq edit: give --file or --set, not both")
    with caught_up(settings) as indexer:
        found = opened(indexer, letter_ids, everything=everything, where=where, since=since, limit=limit)
        if len(found) > 1 and not (values or only_print):
            raise ConfigError(f"dlq edit: these are {len(found)} dead letters; mend them by --set, or name one")
        if only_print:
            _mended(indexer, found, typer.echo)
            return
        _require_sendable(settings, found, cap)
        with editing.kept():
            sent = _mended(indexer, found, change)
            mended = [letter for letter in found if letter.told["dead_letter_id"] in sent]
            if sent and not plan:
                # before: what fails again waits anew as it was mended, and the clock must not send the original behind it
                forget(settings, list(sent), "mended")
                send_all(settings.kafka, map(mended_by_hand, (letter.told for letter in mended)))
                _send(settings.kafka, sent.values(), mended, set())
    tell(mended, "to")
    typer.echo(f"{'would replay' if plan else 'replayed'} {len(sent)}, mended" if sent else "nothing was changed")
    if not plan:
        tell_next(mended)
    elif sent and (kept := editing.keep()):
        typer.echo(f"what you wrote is kept: give it by --file {kept}", err=True)


def _mended(indexer: Indexer, letters: Sequence[Letter], change: Callable[[str], str | None]) -> dict[str, Output]:
    """Return what sends each of these again with its text changed, by id, of those that it did change; ConfigError names the first that is wrong."""
    from towpath.delivery.deadletters import replay_of
    from towpath.delivery.mending import mended, text_of
    from towpath.errors import ConfigError, DataError
    from towpath.index.asking import originals
    from towpath.registry.lookup import in_time

    found = {}
    for original in originals(indexer, letters):
        try:
            before = in_time(partial(text_of, indexer.codec, original["value"]))
            after = change(before)
            if after is not None and after.strip() != before.strip():
                found[original["dead_letter_id"]] = replay_of({**original, "value": mended(indexer.codec, original["value"], after)})
        except (DataError, OSError, UnicodeError) as error:
            raise ConfigError(f"dlq edit {original['dead_letter_id']}: {error}") from error
    return found


def discard(
    letter_ids: IdArguments = None,
    reason: Annotated[str, typer.Option(help="Why it need not be done: `dlq show` and `list --all` tell it, with who discarded it.")] = "",
    config: ConfigOption = None,
    everything: EveryOption = False,
    where: WhereOption = None,
    since: SinceOption = "",
    limit: LimitOption = None,
    plan: PlanOption = False,
) -> None:
    """Close dead letters without doing what they ask for; the records stay, and `dlq list --all` still has them."""
    from towpath.delivery.deadletters import DISCARDED, PARKED
    from towpath.errors import ConfigError
    from towpath.index.asking import caught_up
    from towpath.index.queries import find_letters
    from towpath.replaying import send_all

    settings = load(config)
    if not reason.strip():
        raise ConfigError("dlq discard: give --reason; it is kept with who discarded it")
    with caught_up(settings) as indexer:
        found = opened(indexer, letter_ids, everything=everything, where=where, since=since, limit=limit)
        require_here(settings, found)
        if not plan:
            # first: what is closed must not be tried by itself any more
            forget(settings, [letter.told["dead_letter_id"] for letter in found], DISCARDED)
            send_all(settings.kafka, [discarded(letter.told, reason.strip()) for letter in found])
        with indexer.transaction() as connection:
            parked = find_letters(connection, where={"state": PARKED})
    tell(found, "of")
    tell_followers(found, parked)
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
    from towpath.index.asking import originals

    fitting = bool(everything or where or since)
    if bool(letter_ids) == fitting:
        raise ConfigError("name dead letters by their ids, or say which by --where or --since, or give --all")
    with indexer.transaction() as connection:
        found = chosen(connection, where, since, limit) if fitting else named(connection, letter_ids or (), limit)
    if closed := [letter for letter in found if not letter.told["open"]]:
        told, again = closed[0].told, all_the_same(originals(indexer, closed[:1]))
        raise ConfigError(f"dead letter {told['dead_letter_id']} is closed already: {told['outcome']}{again}")
    return found


def _why_left(config: Config, letter: Letter, cap: int | None = None, *, again: bool = True) -> str:
    """Return why a dead letter is not sent again, empty where it is; with `again` also what was sent and is not answered yet."""
    from datetime import UTC, datetime

    from towpath.delivery.foreign import FOREIGN, why_not_replayed
    from towpath.index.queries import is_under_way
    from towpath.topics import load_topics

    if not again and is_under_way(letter.told, datetime.now(UTC)):
        return "sent again within the last hour, and not answered yet; wait until `towpath dlq list` has the answer, or give --again"
    if cap is not None and letter.told["replays"] >= cap:
        return f"replayed {counted(letter.told['replays'], 'time')} already; mend what fails, or raise --cap"
    if letter.told["hop"] not in FOREIGN:
        return ""
    return why_not_replayed(letter.told, [spec.name for spec in load_topics().expand(config.connections) if set(spec.consumers) - {"analytics"}])


def _require_sendable(config: Config, letters: Sequence[Letter], cap: int) -> None:
    """Raise ConfigError for the first that could not be sent again once it is mended."""
    from towpath.errors import ConfigError

    for letter in letters:
        if why := _why_left(config, letter, cap):
            raise ConfigError(f"dlq edit {letter.told['dead_letter_id']}: {why}")


def _foreign_closed(letters: Sequence[Letter]) -> list[Output]:
    """Return what closes dead letters that are none of ours."""
    from towpath.delivery.foreign import FOREIGN, REPLAYED

    others = [letter.told for letter in letters if letter.told["hop"] in FOREIGN]
    return [closing(told, REPLAYED, "sent again to its original topic", told["last_at"]) for told in others]


def add_mending_to(commands: typer.Typer) -> None:
    """Add the commands."""
    for command in (replay, edit, discard):
        commands.command()(command)
