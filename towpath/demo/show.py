"""What the demonstration shows on a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from towpath.demo.pairs import ERP
from towpath.demo.play import FIRST_ORDER, Plan, figures, place
from towpath.demo.proof import Proof
from towpath.demo.stack import Stack

CALLED = {"bng": "BNG", "brightpearl": "Brightpearl"}


def erps(stack: Stack) -> str:
    """Return what the ERPs of a stack are called."""
    return " and ".join(dict.fromkeys(CALLED[pair.erp] for pair in stack.pairs))


class Screen:
    """Progress, live figures and the proof."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def step(self, what: str) -> AbstractContextManager[object]:
        """Show that something is under way."""
        return self._console.status(what)

    @contextmanager
    def progress(self, stack: Stack, orders: int) -> Iterator[Callable[[int, int], None]]:
        """Show a bar; what is yielded moves it."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console) as bar:
            wanted = orders * len(stack.pairs)
            task = bar.add_task(f"orders at {erps(stack)}", total=wanted)

            def tell(done: int, total: int) -> None:
                bar.update(task, completed=done, total=max(total, wanted))

            yield tell

    async def traffic(self, stack: Stack, plan: Plan) -> None:
        """Place orders all the time and show the figures, until interrupted; raises ConfigError where a process of the stack has ended."""
        places = "   ".join(f"{CALLED[system] if name == ERP else name} {stack.url(name)}" for name, system in stack.sandboxes.items())
        self._console.print(f"{places}   try: towpath trace {FIRST_ORDER} --config {stack.config_path}", soft_wrap=True)
        self._console.print("Ctrl-C ends it")
        first = FIRST_ORDER
        with Live(Table(), console=self._console, refresh_per_second=2) as live:
            while True:
                stack.require_running()
                for index, pair in enumerate(stack.pairs):
                    await place(stack, pair, orders=5, seed=plan.seed + index + first, first_id=first)
                first += 5
                live.update(_figures(stack, [await figures(stack, pair) for pair in stack.pairs]))
                await asyncio.sleep(1)

    def broke_off(self, error: Exception, log: str) -> None:
        """Say why there is no proof."""
        reason = str(error) or "a system of the sandbox did not answer in time"
        self._console.print(f"the demonstration broke off: {reason}\nthe end of the log:\n{log}", style="red", markup=False, soft_wrap=True)

    def proof(self, stack: Stack, result: Mapping[str, Any], wrong: Sequence[str]) -> None:
        """Show the figures and the verdict."""
        each: Mapping[str, Mapping[str, Any]] = result.get("pairs", {})
        table = Table("figure", "value", *each, title="The proof, from the systems' own stores")
        for name, value in result.items():
            if name != "pairs":
                table.add_row(name, str(value), *(str(one.get(name, "")) for one in each.values()))
        self._console.print(table)
        if wrong:
            self._console.print("\n".join(wrong), style="red", markup=False)
        else:
            whose = "Every order of the shop" if len(stack.pairs) == 1 else "Every order of every shop"
            self._console.print(f"{whose} is exactly one order at {erps(stack)}; its status, shipments and stock stand at both.", style="green")


def _figures(stack: Stack, proofs: Sequence[Proof]) -> Table:
    table = Table("figure", *(["value"] if len(proofs) == 1 else [pair.label for pair in stack.pairs]))
    table.add_row("orders placed at the shop", *(str(one.orders_placed) for one in proofs))
    table.add_row(f"orders at {erps(stack)}", *(str(one.orders_in_target) for one in proofs))
    table.add_row("duplicates", *(str(one.duplicates) for one in proofs))
    table.add_row("latency p50 / p99 (ms)", *(f"{one.latency_ms['p50']} / {one.latency_ms['p99']}" for one in proofs))
    for kind in proofs[0].faults:
        table.add_row(f"fault: {kind}", *(str(one.faults[kind]) for one in proofs))
    return table
