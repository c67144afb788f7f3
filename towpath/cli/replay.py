"""`towpath replay`: plays records again, through the normal path."""

from __future__ import annotations

from typing import Annotated

import typer

from towpath.cli._index import ConfigOption, load
from towpath.cli._letters import moment

Moment = Annotated[str, typer.Option(metavar="TIME", help="ISO 8601, such as 2026-11-21T09:00; UTC where it names no zone.")]


def replay(  # noqa: PLR0917 - one argument an option
    topics: Annotated[list[str] | None, typer.Argument(help="inbox.*, received.* or deliver.* topics.")] = None,
    config: ConfigOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Every received.* topic: all that ever arrived.")] = False,
    partition: Annotated[int | None, typer.Option(min=0, help="This partition only.")] = None,
    start: Annotated[int, typer.Option("--from", min=0, help="The first offset (of one partition).")] = 0,
    end: Annotated[int | None, typer.Option("--to", min=0, help="The offset to stop before.")] = None,
    since: Moment = "",
    until: Moment = "",
    key: Annotated[
        str, typer.Option(help="Records of this key, which `towpath trace ORDER` has in its title, or of this id (at the shop), or SKU.")
    ] = "",
    connection: Annotated[str, typer.Option(help="Records of this connection.")] = "",
    flow: Annotated[str, typer.Option(help="For this flow only.")] = "",
    rate: Annotated[float, typer.Option(min=0.1, help="At most so many records a second.")] = 200.0,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Have updates that stand compared with the target again, and put where it differs; creates are never done twice, but where the "
            "target may have one twice it is asked whether it does.",
        ),
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Say what would be replayed, and do nothing.")] = False,
) -> None:
    """Play records again through every hop; what stands at its target already is left as it is."""
    import uuid
    from collections import Counter

    from towpath.errors import ConfigError
    from towpath.records import EPOCH, Record, Replay
    from towpath.registry.codec import codec_of
    from towpath.replaying import Selection, again, send_all
    from towpath.topic_reader import TopicReader
    from towpath.topics import load_topics

    settings = load(config)
    known = [spec.name for spec in load_topics().expand(settings.connections)]
    if everything == bool(topics):
        raise ConfigError("replay: name topics, or give --all")
    wanted = tuple(topics or (topic for topic in known if topic.startswith("received.")))
    chosen = Selection(wanted, partition, start, end, moment("--since", since), moment("--until", until), key, connection, flow, codec_of(settings))
    chosen.check(known)
    if flow and flow not in settings.flows:
        raise ConfigError(f"--flow {flow}: there is no such flow; known: {', '.join(settings.flows)}")
    reader, mark, counted = TopicReader(settings.kafka), Replay("", 0, EPOCH, 0, "", flow, str(uuid.uuid4()), force), Counter[str]()

    def noted(record: Record) -> Record:
        counted[record.topic] += 1
        return record

    try:
        if plan:
            for record in chosen.records(reader):
                noted(record)
        else:
            send_all(settings.kafka, (again(noted(record), mark) for record in chosen.records(reader)), rate)
    finally:
        reader.close()
    for topic, count in sorted(counted.items()):
        typer.echo(f"{topic}: {count}")
    typer.echo(f"{'would replay' if plan else 'replayed'} {counted.total()} records" + ("" if plan else f" as {mark.replay_id}"))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(replay)
