"""What the commands that ask the index share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from towpath.config import Config

ConfigOption = Annotated[Path | None, typer.Option("--config", help="The configuration file; TOWPATH_CONFIG or towpath.yaml by default.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


def load(path: Path | None) -> Config:
    """Return the configuration, its secrets unread; what is logged from here on goes to stderr."""
    import logging

    from towpath import logs
    from towpath.config import config_path, load_config

    logs.configure("operator")
    logging.getLogger("towpath.kafka.client").setLevel(logging.CRITICAL)  # what ends a command is told once, by its error
    return load_config(config_path(path), resolve=False)
