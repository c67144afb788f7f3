"""`towpath kafka`: the embedded broker as a command."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from towpath.broker import Broker

NOT_RUNNING = 3  # as service managers have it
Folder = Annotated[Path, typer.Option("--dir", help="The broker's folder: its data, ports and log.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

kafka = typer.Typer(no_args_is_help=True, help="An embedded Apache Kafka for one machine.")


def register(app: typer.Typer) -> None:
    """Add `towpath kafka` to the command."""
    app.add_typer(kafka, name="kafka")


@kafka.command()
def start(
    directory: Folder = Path("data/kafka"),
    port: Annotated[int, typer.Option(help="0: the one used before in this folder, else a free one.")] = 0,
    controller_port: Annotated[int, typer.Option(help="The same, for the broker's own use.")] = 0,
    foreground: Annotated[bool, typer.Option("--foreground/--background", help="Stay until Ctrl-C, then stop the broker.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start the broker of a folder and return when it answers."""
    from towpath.broker import Broker

    end = threading.Event()
    if foreground:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: end.set())
    broker = Broker.start(directory, port, controller_port, die_with_parent=foreground)
    _show(broker, directory, as_json=as_json)
    if foreground:
        while broker.running() and not end.wait(0.5):
            pass
        broker.stop()


@kafka.command()
def stop(directory: Folder = Path("data/kafka"), as_json: AsJson = False) -> None:
    """Stop the broker of a folder; no other process is touched."""
    from towpath.broker import Broker

    if broker := Broker.find(directory):
        broker.stop()
    _show(None, directory, as_json=as_json)


@kafka.command()
def warm() -> None:
    """Keep what a start of the broker costs most, once for this machine: later starts take half as long."""
    from towpath.broker.warm import warm

    typer.echo(f"kept in {warm()}")


@kafka.command()
def status(directory: Folder = Path("data/kafka"), as_json: AsJson = False) -> None:
    """Say whether the broker of a folder runs and answers; exit 3 where it does not."""
    from towpath.broker import Broker

    broker = Broker.find(directory)
    if not _show(broker, directory, as_json=as_json):
        raise typer.Exit(NOT_RUNNING)


def _show(broker: Broker | None, directory: Path, *, as_json: bool) -> bool:
    """Print where the broker is; return whether it answers."""
    answering = broker is not None and broker.answers()
    state = "stopped" if broker is None else "running" if answering else "not answering"
    facts = {"state": state, "bootstrap_servers": broker and broker.bootstrap_servers, "pid": broker and broker.pid, "dir": str(directory)}
    if as_json:
        typer.echo(json.dumps(facts))
    elif broker is None:
        typer.echo(f"no broker runs in {directory}")
    else:
        typer.echo(f"Apache Kafka {state} at {broker.bootstrap_servers} (process {broker.pid}, data in {directory})")
    return answering
