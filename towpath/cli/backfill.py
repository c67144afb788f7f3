"""`towpath backfill`: what a source holds already, read once more on an operator's word."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Annotated, Any

import typer

from towpath.cli._index import ConfigOption, load
from towpath.cli._letters import moment

SHOWN_EVERY = 1.0


def backfill(
    connection: Annotated[str, typer.Argument(help="From which connection.")],
    entity: Annotated[str, typer.Argument(help="What its list is of, such as order or product.")],
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="What changed since then, ISO 8601; UTC where it names no zone.")],
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="What changed before then; now if not said.")] = "",
    config: ConfigOption = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only what is not finished yet, such as open orders.")] = False,
) -> None:
    """Write what a source's list holds to the inbox, behind live traffic; said once more, it goes on where it ended, or changes nothing."""
    import asyncio
    import importlib
    from datetime import UTC

    from towpath.errors import ConfigError

    producers: Any = importlib.import_module("producers.backfill")
    settings = load(config)
    since, until = moment("--from", start), moment("--to", end)
    span = producers.Span(entity, since, until or datetime.now(UTC), only_open)
    if since is None or since >= span.end:
        raise ConfigError("--from must be a time before --to")
    shown = _Shown(entity)
    try:
        count = asyncio.run(producers.backfill(settings, connection, span, shown))
    except KeyboardInterrupt:
        until_then = f" --to {span.end.isoformat()}"
        typer.echo(f"interrupted; the same command{'' if end else ' with' + until_then} goes on from there", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"backfilled {count} of {entity} from {connection}")


class _Shown:
    """Shows how far a backfill is, once a second."""

    def __init__(self, entity: str) -> None:
        self._entity, self._at = entity, time.monotonic()

    def __call__(self, progress: Any) -> None:  # noqa: ANN401 - a producers.backfill.Progress
        if time.monotonic() - self._at < SHOWN_EVERY:
            return
        self._at = time.monotonic()
        waits = "; waits until nobody is behind" if progress.waits else ""
        typer.echo(f"{self._entity}: {progress.written:,} written, up to {progress.reached.isoformat(timespec='seconds')}{waits}", err=True)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(backfill)
