"""A result file as a table on the screen, and as the page docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Benchmark, Goal, Limit, Span, plain_number

INTRODUCTION = """# Benchmarks

Made by `python -m benchmarks --page {files}`; `make bench` measures anew. Read the ratios: each
is taken between a contestant and its bare control in the same run and the same round, in turn, on the same machine. Absolute figures say as much
of the machine. A figure stands as its median, and from the lowest to the highest of its rounds where there are several.
"""


def lines_of(results: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the page of results by the path of their file, line by line: a benchmark that a later one has too takes the place of the earlier."""
    first, *later = results.values()
    yield from INTRODUCTION.format(files=" ".join(results)).splitlines()
    yield from ("", "## The machine", "", *_facts(first["facts"]))
    again = {plain["name"]: (plain, result["facts"]) for result in later for plain in result["benchmarks"]}
    found = [again.get(plain["name"], (plain, None)) for plain in first["benchmarks"]]
    benchmarks = [Benchmark.of(plain) for plain, _ in found]
    yield from ("", "## What it should reach", "", *_markdown(("", "should be", "is"), list(goal_rows(benchmarks))))
    for benchmark, (_, facts) in zip(benchmarks, found, strict=True):
        yield from ("", f"## {benchmark.title}", "", benchmark.method, "")
        if facts is not None:
            yield from (f"Measured again on the same machine: {facts['at']}, commit {facts['commit']}.", "")
        header, rows = figure_rows(benchmark)
        yield from _markdown(header, rows)
        if benchmark.problems:
            yield from ("", "**It does not hold:**", "", *(f"- {problem}" for problem in benchmark.problems))


def _facts(facts: Mapping[str, Any]) -> Iterator[str]:
    changed = " with changes that are not committed" if facts["uncommitted_changes"] else ""
    yield f"{facts['at']}, commit {facts['commit']}{changed}."
    yield f"{facts['cores']} cores ({facts['processor']}), {facts['memory_gb']} GB, {facts['system']}."
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    yield f"Python {facts['python']}; {facts['kafka']}; {packages}. Load before the run: {facts['load_before']}."


def goal_rows(benchmarks: Sequence[Benchmark]) -> Iterator[tuple[str, str, str]]:
    """Yield what each ratio and each bounded figure should be, and is."""
    for benchmark in benchmarks:
        for goal in benchmark.goals:
            yield goal.name, _wanted(goal), _is(benchmark.ratios(goal))
        for limit in benchmark.limits:
            yield f"{limit.name} ({unit_of(limit.figure)})", f"≤ {limit.most:g}", _is(benchmark.series(limit.contestant, limit.figure))


def reached(benchmark: Benchmark, goal: Goal | Limit) -> bool | None:
    """Tell whether the median is as it should be, None where nothing was measured or nothing is asked."""
    values = benchmark.ratios(goal) if isinstance(goal, Goal) else benchmark.series(goal.contestant, goal.figure)
    span, least = Span.of(values), goal.least if isinstance(goal, Goal) else None
    if span is None or (least is None and goal.most is None):
        return None
    return (least is None or span.median >= least) and (goal.most is None or span.median <= goal.most)


def _wanted(goal: Goal) -> str:
    return f"≥ {goal.least:g}" if goal.least is not None else f"≤ {goal.most:g}" if goal.most is not None else ""


def _is(values: Sequence[float]) -> str:
    span = Span.of(values)
    return span.text() if span is not None else "not measured"


def unit_of(figure: str) -> str:
    """Return what a figure's name ends with, as people write it."""
    endings = (("_per_s", "/s"), ("_ms", "ms"), ("_mb", "MB"), ("_s", "s"))
    return next((unit for ending, unit in endings if figure.endswith(ending)), "")


def figure_rows(benchmark: Benchmark) -> tuple[list[str], list[list[str]]]:
    """Return the header and a row for each contestant."""
    names = list(dict.fromkeys(name for rounds in benchmark.rounds.values() for figures in rounds for name in figures))
    rows = []
    for contestant, rounds in benchmark.rounds.items():
        spans = [Span.of(benchmark.series(contestant, name)) for name in names]
        rows.append([contestant, str(len(rounds)), *("" if span is None else span.text() for span in spans)])
    return ["", "rounds", *(name.replace("_", " ") for name in names)], rows


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in (header, ["---"] * len(header), *rows):
        yield "| " + " | ".join(row) + " |"


def show(console: Console, benchmark: Benchmark, seconds: float) -> None:
    """Print one benchmark as it stands."""
    header, rows = figure_rows(benchmark)
    table = Table(*header, title=f"{benchmark.title} ({plain_number(seconds)} s)", title_justify="left")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    marks = {True: "[green]reached[/green]", False: "[yellow]not reached[/yellow]", None: ""}
    goals: list[Goal | Limit] = [*benchmark.goals, *benchmark.limits]
    for (name, wanted, found), goal in zip(goal_rows([benchmark]), goals, strict=True):
        console.print(f"  {name}: {found} {wanted} {marks[reached(benchmark, goal)]}", highlight=False)
    for problem in benchmark.problems:
        console.print(f"  it does not hold: {problem}", style="red", markup=False, highlight=False)
