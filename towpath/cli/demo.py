"""`towpath demo`: the whole of it on this machine, with nothing to set up."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from towpath.demo.play import Plan
    from towpath.demo.stack import Stack


INTERRUPTED = 130  # as a shell has it


def demo(
    pair: Annotated[str, typer.Option(help="Which pair of systems; all: every pair at once, with the same ids in each.")] = "bng-nopcommerce",
    orders: Annotated[int, typer.Option(min=1, help="How many orders a bounded run places at each shop.")] = 200,
    faults: Annotated[str, typer.Option(help="none or mild.")] = "mild",
    seed: Annotated[int, typer.Option(help="Decides the traffic and the faults.")] = 7,
    directory: Annotated[Path | None, typer.Option("--dir", help="An empty folder to run in; a temporary one by default.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Play a bounded run, print a proof, end; else play until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object, as the last line.")] = False,
) -> None:
    """Start Kafka, a sandbox shop and ERP (of each pair) and every role; play traffic with faults; prove that each order arrived once.

    Exit code 0: it holds, or Ctrl-C ended the live play; 1: it does not hold, or never settled; 130: Ctrl-C before the proof.
    """
    import asyncio
    import tempfile

    from rich.console import Console

    from towpath.demo.pairs import find_pairs
    from towpath.demo.play import Plan, fault_settings
    from towpath.demo.stack import Stack
    from towpath.errors import ConfigError

    if faults not in ("none", "mild"):
        raise ConfigError(f"--faults: {faults!r} is none of none, mild")
    plan, console = Plan(pair, orders, seed, faults), Console(stderr=as_json)
    with tempfile.TemporaryDirectory(prefix="towpath-demo-") if directory is None else _kept(directory) as folder:
        first, *others = find_pairs(pair)
        dialled = fault_settings(plan)
        stack = Stack(Path(folder), first, dialled, dialled, threepl_faults=dialled, beside=others)
        stack.write()
        try:
            code = asyncio.run(_play(stack, plan, console, once=once, as_json=as_json))
        except (KeyboardInterrupt, asyncio.CancelledError):
            code = INTERRUPTED if once else 0
    raise typer.Exit(code)


def _kept(folder: Path) -> AbstractContextManager[str]:
    from contextlib import nullcontext

    return nullcontext(str(folder))


async def _play(stack: Stack, plan: Plan, console: Console, *, once: bool, as_json: bool) -> int:
    import asyncio
    import signal

    import aiohttp
    import orjson

    from towpath.demo.pairs import RATES
    from towpath.demo.play import play
    from towpath.demo.report import report, verdict
    from towpath.demo.show import Screen, erps
    from towpath.errors import RetryableError

    screen, task = Screen(console), asyncio.current_task()
    assert task is not None  # noqa: S101 - run by asyncio
    for one in (signal.SIGINT, signal.SIGTERM):  # also where whoever started it had SIGINT ignored, as shells do for what runs in the background
        asyncio.get_running_loop().add_signal_handler(one, task.cancel)
    try:
        with screen.step(f"starting Kafka, the sandbox and every role in {stack.directory}"):
            await stack.start()
        console.print(f"{erps(stack)}'s limit is raised for the demo to {RATES['requests_per_minute']} calls a minute, burst {RATES['burst']}")
        if not once:
            await screen.traffic(stack, plan)
            return 0
        with screen.progress(stack, plan.orders) as tell:
            await play(stack, plan, tell)
        result: dict[str, Any] = await report(stack, plan)
    except (aiohttp.ClientError, TimeoutError, RetryableError) as error:
        screen.broke_off(error, stack.log_tail("up"))
        return 1
    finally:
        with screen.step("stopping everything"):
            await stack.stop()
    wrong = verdict(result, plan.faults)
    screen.proof(stack, result, wrong)
    if as_json:
        typer.echo(orjson.dumps(result))
    return 1 if wrong else 0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)
