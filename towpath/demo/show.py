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

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import Plan, figures, place
from towpath.demo.proof import Proof
from towpath.demo.stack import Stack


class Screen:
    """Progress, live figures and the proof."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def step(self, what: str) -> AbstractContextManager[object]:
        """Show that something is under way."""
        return self._console.status(what)

    @contextmanager
    def progress(self, orders: int) -> Iterator[Callable[[str, int, int], None]]:
        """Show a bar; what is yielded moves it."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console) as bar:
            task = bar.add_task("orders at BNG", total=orders)

            def tell(what: str, done: int, total: int) -> None:
                bar.update(task, description=what, completed=done, total=max(total, orders))

            yield tell

    async def traffic(self, stack: Stack, plan: Plan) -> None:
        """Place orders all the time and show the figures, until interrupted; raises ConfigError where a process of the stack has ended."""
        self._console.print(f"shop {stack.url(SHOP)}   BNG {stack.url(ERP)}   try: towpath trace 1001 --config {stack.config_path}", soft_wrap=True)
        self._console.print("Ctrl-C ends it")
        first = 1001
        with Live(Table(), console=self._console, refresh_per_second=2) as live:
            while True:
                stack.require_running()
                await place(stack, orders=5, seed=plan.seed + first, first_id=first)
                first += 5
                live.update(_figures(await figures(stack)))
                await asyncio.sleep(1)

    def broke_off(self, error: Exception, log: str) -> None:
        """Say why there is no proof."""
        reason = str(error) or "a system of the sandbox did not answer in time"
        self._console.print(f"the demonstration broke off: {reason}\nthe end of the log:\n{log}", style="red", markup=False, soft_wrap=True)

    def proof(self, result: Mapping[str, Any], wrong: Sequence[str]) -> None:
        """Show the figures and the verdict."""
        table = Table("figure", "value", title="The proof, from the systems' own stores")
        for name, value in result.items():
            table.add_row(name, str(value))
        self._console.print(table)
        if wrong:
            self._console.print("\n".join(wrong), style="red", markup=False)
        else:
            self._console.print("Every order of the shop is exactly one order at BNG; its status, shipments and stock stand at both.", style="green")


def _figures(proof: Proof) -> Table:
    table = Table("figure", "value")
    table.add_row("orders placed at the shop", str(proof.orders_placed))
    table.add_row("orders at BNG", str(proof.orders_in_target))
    table.add_row("duplicates", str(proof.duplicates))
    table.add_row("latency p50 / p99 (ms)", f"{proof.latency_ms['p50']} / {proof.latency_ms['p99']}")
    for kind, count in proof.faults.items():
        table.add_row(f"fault: {kind}", str(count))
    return table
