"""`make bench`: runs the benchmarks one after the other, prints their tables, and writes a result file and a page.

    python -m benchmarks                       all of them, 25 to 35 minutes on two cores; writes benchmarks/results/ and docs/benchmarks.md
    python -m benchmarks --quick               small sizes and one round each, about 6 minutes; its figures are no results, and nothing is written
    python -m benchmarks --only receiver,sink  some of them
    python -m benchmarks --page FILE...        only makes docs/benchmarks.md from result files; what a later one has again is taken from there

Exit code 1: an output was not what it must be. A figure below what it should reach is told, and fails nothing.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.facts import ROOT, facts
from benchmarks.figures import Benchmark
from benchmarks.page import lines_of, show
from benchmarks.sizes import FULL, QUICK

NAMES = ("receiver", "sink", "processor", "latency", "burst", "recovery", "ledger", "redrive", "memory", "overload")
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"


def chosen(text: str) -> list[str]:
    """Return the benchmarks that the text names, with commas between; all for an empty one."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in NAMES]:
        raise argparse.ArgumentTypeError(f"no benchmark is called {', '.join(unknown)}; known: {', '.join(NAMES)}")
    return names or list(NAMES)


def measure(names: list[str], *, quick: bool, console: Console) -> dict[str, Any]:
    """Return the result of these benchmarks; one that breaks off is a problem of its own, and the next one runs."""
    result: dict[str, Any] = {"facts": facts(), "quick": quick, "benchmarks": []}
    for name in names:
        module, began = importlib.import_module(f"benchmarks.{name}"), time.monotonic()
        console.print(f"{name} …", style="dim")
        with tempfile.TemporaryDirectory(prefix=f"towpath-bench-{name}-", ignore_cleanup_errors=True) as folder:
            try:
                benchmark = module.run(Path(folder), QUICK if quick else FULL)
            except Exception as error:  # noqa: BLE001 - told as what it is, and the others go on
                benchmark = Benchmark(name, module.TITLE, module.METHOD, problems=[f"broke off: {type(error).__name__}: {error}"])
        show(console, benchmark, time.monotonic() - began)
        result["benchmarks"].append(benchmark.plain())
    return result


def write(result: dict[str, Any]) -> Path:
    """Write a result file, named after its time and commit, and return its path."""
    RESULTS.mkdir(exist_ok=True)
    moment, commit = result["facts"]["at"], result["facts"]["commit"]
    path = RESULTS / f"{moment[:10]}-{moment[11:16].replace(':', '')}-{commit}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return path


def write_page(paths: Sequence[Path]) -> None:
    """Write docs/benchmarks.md from result files, the whole run first."""
    results = {path.resolve().relative_to(ROOT).as_posix(): json.loads(path.read_text(encoding="utf-8")) for path in paths}
    PAGE.write_text("\n".join(lines_of(results)) + "\n", encoding="utf-8")


def main() -> int:
    """Do what the command line asks; return the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", type=chosen, default=list(NAMES), metavar="NAMES")
    parser.add_argument("--page", type=Path, nargs="+", metavar="FILE")
    given = parser.parse_args()
    if given.page is not None:
        write_page(given.page)
        return 0
    console = Console(width=None if sys.stdout.isatty() else 200)
    result = measure(given.only, quick=given.quick, console=console)
    if not given.quick:
        path = write(result)
        console.print(f"written: {path.relative_to(ROOT)}", highlight=False)
        if given.only == list(NAMES):
            write_page([path])
            console.print(f"written: {PAGE.relative_to(ROOT)}", highlight=False)
    return exit_code(result)


def exit_code(result: dict[str, Any]) -> int:
    """Return 1 where an output was not what it must be, whatever the figures say."""
    return 1 if any(benchmark["problems"] for benchmark in result["benchmarks"]) else 0


if __name__ == "__main__":
    sys.exit(main())
