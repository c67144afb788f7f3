"""The `towpath` command."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import typer
from rich.console import Console

import towpath.cli
from towpath.errors import ConfigError, RetryableError
from towpath.plugging import plug_in

HELP = """Orders, stock and shipments between shops, ERPs and warehouses, over Kafka.

An order did not arrive? `towpath trace 1001` tells what happened to it, `towpath dlq groups` what failed, why, and what mends it.
"""


def build_app(asked: str = "") -> typer.Typer:
    """Return the command with every module of `towpath.cli` that has a `register(app)` function; with that of the one that is asked for, if any is.

    A module is called as its command is: a start of one spares itself the reading of all others.
    """
    app = typer.Typer(name="towpath", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=HELP)
    app.callback()(lambda: None)  # else a command that is alone would be no part of `towpath`, but all of it
    names = [info.name for info in pkgutil.iter_modules(towpath.cli.__path__)]
    for name in [asked] if asked in names else names:
        register = getattr(importlib.import_module(f"towpath.cli.{name}"), "register", None)
        if register is not None:
            register(app)
    return app


def main() -> None:
    """Run the command; a ConfigError prints its message alone and exits 2, what may pass by itself exits 1."""
    try:
        plug_in()
        build_app(*sys.argv[1:2])()
    except (ConfigError, RetryableError) as error:
        Console(stderr=True).print(f"towpath: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
