"""`towpath chaos`: faults injected into the real processes, and what must hold all the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from towpath.chaos.fault import Fault, Outcome, Run

INTERRUPTED = 130  # as a shell has it
LEAST_EVENTS = 60


def chaos(
    faults: Annotated[str, typer.Option(help="Which, with commas between: F2,F7; all by default.")] = "",
    events: Annotated[
        int, typer.Option(min=LEAST_EVENTS, help="How much traffic each fault meets; 5000 injects as often as docs/guarantees.md says.")
    ] = 600,
    seed: Annotated[int, typer.Option(help="Decides the traffic and the moments of the faults.")] = 7,
    controls: Annotated[
        bool, typer.Option("--controls", help="Run the negative controls instead: each breaks a promise on purpose, and must be caught.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, as each fault ends.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="Print the faults, or the controls, and end.")] = False,
    directory: Annotated[Path | None, typer.Option("--dir", help="Keep each run's folder in this one; temporary by default.")] = None,
) -> None:
    """Inject faults into every role on an embedded Kafka, with the sandbox at both ends; check that nothing is lost, repeated or overtaken.

    Each fault has a stack of its own. Exit code 0: all hold; 1: a promise is broken, a fault was never injected, a control was not caught, or every
    fault was skipped; 2: it could not be set up; 130: interrupted.
    """
    import asyncio

    from rich.console import Console

    from towpath.chaos.controls import all_controls
    from towpath.chaos.fault import Run
    from towpath.chaos.faults import all_faults

    known = all_controls() if controls else all_faults()
    chosen = _chosen(faults, known)
    if listed:
        for one in chosen:
            typer.echo(f"{one.name}  {one.what}")
        return
    console = Console(stderr=True, soft_wrap=True)
    try:
        outcomes = asyncio.run(_strike_all(chosen, Run(events, seed), directory, console, as_json=as_json))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(INTERRUPTED) from None
    if all(outcome.skipped for outcome in outcomes):
        console.print("towpath: nothing was injected, so nothing is shown", style="red", markup=False, highlight=False)
        raise typer.Exit(1)
    raise typer.Exit(0 if all(outcome.holds for outcome in outcomes) else 1)


def _chosen(names: str, known: dict[str, Fault]) -> list[Fault]:
    from towpath.errors import ConfigError

    wanted = list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ConfigError(f"--faults: {', '.join(unknown)} is none of {', '.join(known)}")
    return [known[name] for name in wanted] or list(known.values())


async def _strike_all(chosen: Sequence[Fault], run: Run, directory: Path | None, console: Console, *, as_json: bool) -> list[Outcome]:
    import asyncio
    import signal

    import orjson

    task, outcomes = asyncio.current_task(), []
    assert task is not None  # noqa: S101 - run by asyncio
    for one in (signal.SIGINT, signal.SIGTERM):  # also where whoever started it had SIGINT ignored
        asyncio.get_running_loop().add_signal_handler(one, task.cancel)
    for fault in chosen:
        with console.status(f"{fault.name}: {fault.what}"):
            outcome = await _strike(fault, run, directory)
        outcomes.append(outcome)
        if as_json:
            typer.echo(orjson.dumps(outcome.told()))
        else:
            _show(outcome)
    return outcomes


async def _strike(fault: Fault, run: Run, directory: Path | None) -> Outcome:
    import tempfile
    from contextlib import nullcontext

    from towpath.chaos.arena import arena
    from towpath.chaos.fault import Outcome
    from towpath.chaos.strike import strike

    if fault.impossible is not None and (why := fault.impossible()):
        return Outcome.none(fault, run.seed, why)
    with tempfile.TemporaryDirectory(prefix="towpath-chaos-") if directory is None else nullcontext(str(directory / fault.name)) as folder:
        async with arena(Path(folder), run, fault.needs) as made:
            return await strike(made, fault)


def _show(outcome: Outcome) -> None:
    """Print what a fault did, and what it broke, for people."""
    told = outcome.told()
    if outcome.skipped:
        typer.echo(f"{outcome.fault.name:4} skipped: {outcome.fault.what}; {outcome.skipped}")
        return
    verdict = ("caught" if outcome.holds else "NOT CAUGHT") if outcome.fault.breaks else ("holds" if outcome.holds else "BROKEN")
    recovery = "never recovered" if outcome.recovery_s is None else f"recovered in {outcome.recovery_s} s"
    typer.echo(f"{outcome.fault.name:4} {verdict}: {outcome.fault.what}; {outcome.injected} injected, {recovery}")
    for line in told["why"]:
        typer.echo(f"     {line}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(chaos)
