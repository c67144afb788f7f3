"""What a person writes in an editor, which no mistake in it may cost them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pathlib import Path


class Editing:
    """One text in the $EDITOR of whoever runs the command."""

    def __init__(self) -> None:
        self._written: bytes | None = None

    def ask(self, text: str) -> str | None:
        """Return the text as it was left, None where it was not saved; raises ConfigError where there is no editor, or it fails.

        Raises:
            UnicodeDecodeError: It was not saved in UTF-8.
        """
        import click

        from towpath.errors import ConfigError

        try:
            self._written = click.edit(text.encode(), extension=".json")
        except click.ClickException as error:
            raise ConfigError(f"dlq edit: {error.format_message()}; name another in EDITOR, or mend it by --set or --file") from error
        return None if self._written is None else self._written.decode("utf-8-sig")

    def keep(self) -> Path | None:
        """Keep what was written in a file and return it, None where nothing was."""
        import tempfile
        from pathlib import Path

        if self._written is None:
            return None
        with tempfile.NamedTemporaryFile(prefix="towpath-edit-", suffix=".json", delete=False) as file:  # readable by its owner alone
            file.write(self._written)
        return Path(file.name)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Have what was written kept in a file, and that told, where an error or Ctrl-C keeps it from being sent."""
        from towpath.errors import ConfigError, RetryableError

        try:
            yield
        except (ConfigError, RetryableError) as error:
            if (file := self.keep()) is None:
                raise
            raise ConfigError(f"{error}; what you wrote is kept: mend {file}, and give it by --file") from error
        except KeyboardInterrupt:
            if (file := self.keep()) is not None:
                typer.echo(f"what you wrote is kept: give it by --file {file}", err=True)
            raise
