"""`towpath schemas`: the schemas of this version, and what a registry makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from towpath.cli._index import ConfigOption, load

if TYPE_CHECKING:
    from towpath.registry.client import RegistryClient

commands = typer.Typer(name="schemas", no_args_is_help=True, help="The schemas of this version, and what a registry makes of them.")


@commands.command()
def check(
    config: ConfigOption = None,
    offline: Annotated[bool, typer.Option("--offline", help="Check the files alone.")] = False,
) -> None:
    """Check that this version reads what every released one wrote and the other way round, and that the registry would take its schemas.

    Exit code 0: it holds; 1: it does not; 2: the configuration is wrong, or the registry does not answer.
    """
    from towpath.codec import default_codec
    from towpath.registry.history import breaks

    problems, texts = breaks(default_codec()), _texts()
    if not offline:
        with _registry(config) as client:
            problems += [f"{subject}: {reason}" for subject, text in texts.items() for reason in client.conflicts(subject, text)]
    for problem in problems:
        typer.echo(problem)
    if problems:
        typer.echo("nothing may be renamed or removed, nor change its type, and what is added needs a default")
        raise typer.Exit(1)
    typer.echo(f"{len(texts)} schemas: no problem found" + (" in the files" if offline else ""))


@commands.command()
def push(config: ConfigOption = None) -> None:
    """Register every schema of this version that the registry does not know; once more changes nothing.

    Exit code 0: the registry has them all; 1: it refuses some, and says why; 2: it does not answer, or refuses us.
    """
    from towpath.errors import DataError

    refused = 0
    with _registry(config) as client:
        for subject, text in _texts().items():
            known = client.look_up(subject, text)
            try:
                schema_id = client.register(subject, text)
            except DataError as error:
                refused += 1
                typer.echo(str(error))
            else:
                typer.echo(f"{subject}: {'registered' if known is None else 'was there'}, id {schema_id}")
    if refused:
        raise typer.Exit(1)


@commands.command()
def diff(config: ConfigOption = None) -> None:
    """Show how the newest schemas at the registry differ from those of this version.

    Exit code 0: they do not; 1: they do; 2: the registry does not answer, or refuses us.
    """
    differing = 0
    with _registry(config) as client:
        for subject, text in _texts().items():
            latest = client.latest(subject)
            lines = ["not registered"] if latest is None else _differences(latest.schema.schema_str or "", text, latest.version)
            for line in lines:
                typer.echo(f"{subject}: {line}")
            differing += bool(lines)
    if differing:
        raise typer.Exit(1)
    typer.echo("the registry has what this version has")


def _texts() -> Mapping[str, str]:
    """Return the JSON of the schema of each subject."""
    from towpath.codec import default_codec
    from towpath.registry.subjects import subjects
    from towpath.topics import load_topics

    codec = default_codec()
    return {subject: codec.by_name[name].text for subject, name in subjects(codec, load_topics()).items()}


@contextmanager
def _registry(config: ConfigOption) -> Iterator[RegistryClient]:
    from towpath.errors import ConfigError, RetryableError
    from towpath.registry.client import RegistryClient

    settings = load(config).schema_registry
    try:
        with closing(RegistryClient(settings)) as client:
            yield client
    except RetryableError as error:
        hint = "; does the registry role run?" if settings.is_own else ""
        raise ConfigError(f"{error}{hint}") from error


def _differences(theirs: str, ours: str, version: int | None) -> list[str]:
    """Return the lines that differ between two schemas, those of the registry with a `-`."""
    import difflib
    import json

    before, after = (json.dumps(json.loads(text), indent=1, sort_keys=True).splitlines() for text in (theirs, ours))
    lines = difflib.unified_diff(before, after, lineterm="", n=2)
    return [f"differs from version {version}", *list(lines)[2:]] if before != after else []


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(commands)
