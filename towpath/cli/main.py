"""The `towpath` command."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import typer
from rich.console import Console

import towpath.cli
from towpath.errors import ConfigError
from towpath.plugging import plug_in


def build_app() -> typer.Typer:
    """Return the command with every module of `towpath.cli` that has a `register(app)` function."""
    app = typer.Typer(name="towpath", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
    for info in pkgutil.iter_modules(towpath.cli.__path__):
        register = getattr(importlib.import_module(f"towpath.cli.{info.name}"), "register", None)
        if register is not None:
            register(app)
    return app


def main() -> None:
    """Run the command; a ConfigError prints its message alone and exits 2."""
    try:
        plug_in()
        build_app()()
    except ConfigError as error:
        Console(stderr=True).print(f"towpath: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
