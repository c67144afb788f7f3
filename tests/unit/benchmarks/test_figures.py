from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import PAGE, exit_code
from benchmarks.facts import ROOT
from benchmarks.figures import Benchmark, Goal, Limit, Span, Taken, quantile
from benchmarks.page import goal_rows, lines_of, reached

GOAL = Goal("ours beside theirs", "ours", "theirs", "things_per_s", least=0.5)
LIMIT = Limit("p99", "ours", "p99_ms", 20)
FACTS = {
    "at": "2026-11-21T12:00:00+00:00",
    "commit": "abc1234",
    "uncommitted_changes": False,
    "cores": 2,
    "processor": "a processor",
    "memory_gb": 24.0,
    "system": "Linux",
    "python": "3.11.7",
    "kafka": "Apache Kafka",
    "packages": {"aiohttp": "3"},
    "load_before": 0.1,
}


def a_benchmark(*ours: float, theirs: float = 100.0, p99: float = 10.0) -> Benchmark:
    benchmark = Benchmark("things", "Things", "As they are done.", goals=[GOAL], limits=[LIMIT])
    for rate in ours:
        benchmark.add("theirs", Taken({"things_per_s": theirs}))
        benchmark.add("ours", Taken({"things_per_s": rate, "p99_ms": p99}))
    return benchmark


def test_contestants_run_in_turn() -> None:
    ran: list[str] = []

    def runs(name: str) -> Taken:
        ran.append(name)
        return Taken({})

    Benchmark("things", "", "").alternate({"a": lambda: runs("a"), "b": lambda: runs("b")}, 3)
    assert ["a", "b"] * 3 == ran


def test_a_ratio_is_taken_round_by_round() -> None:
    benchmark = Benchmark("things", "", "", goals=[GOAL])
    for ours, theirs in ((50.0, 100.0), (30.0, 50.0), (10.0, 40.0)):
        benchmark.add("ours", Taken({"things_per_s": ours}))
        benchmark.add("theirs", Taken({"things_per_s": theirs}))
    assert [0.5, 0.6, 0.25] == benchmark.ratios(GOAL)


def test_the_median_decides_whether_a_goal_is_reached() -> None:
    assert reached(a_benchmark(90, 50, 10), GOAL) is True
    assert reached(a_benchmark(90, 49, 10), GOAL) is False
    assert reached(a_benchmark(50, p99=20.1), LIMIT) is False
    assert reached(Benchmark("things", "", ""), GOAL) is None


def test_a_benchmark_is_read_back_as_it_was_written() -> None:
    benchmark = a_benchmark(50, 60)
    assert benchmark == Benchmark.of(benchmark.plain())


def test_a_wrong_output_is_told_and_ends_with_1_whatever_the_figures_say() -> None:
    benchmark = a_benchmark(100)
    assert 0 == exit_code({"benchmarks": [benchmark.plain()]})
    benchmark.add("ours", Taken({"things_per_s": 1000}, ["1 record is missing"]))
    assert ["ours: 1 record is missing"] == benchmark.problems
    assert 1 == exit_code({"benchmarks": [benchmark.plain()]})


def test_a_figure_below_its_goal_fails_nothing() -> None:
    assert 0 == exit_code({"benchmarks": [a_benchmark(1).plain()]})


def test_the_page_tells_goals_spans_and_what_does_not_hold() -> None:
    benchmark = a_benchmark(50, 60)
    benchmark.problems.append("ours: 1 record is missing")
    page = "\n".join(lines_of({"a-result.json": {"facts": FACTS, "benchmarks": [benchmark.plain()]}}))
    for told in (
        "a-result.json",
        "2 cores",
        "| ours beside theirs | ≥ 0.5 | 0.55 (0.50 to 0.60) |",
        "| ours | 2 | 55.0 (50.0 to 60.0) |",
        "- ours: 1 record is missing",
    ):
        assert told in page


def test_what_a_later_file_has_again_is_taken_from_there_and_said() -> None:
    others = Benchmark("others", "Others", "")
    first = {"facts": FACTS, "benchmarks": [a_benchmark(50).plain(), others.plain()]}
    again = {"facts": {**FACTS, "commit": "fedcba9"}, "benchmarks": [a_benchmark(70).plain()]}
    page = "\n".join(lines_of({"a.json": first, "b.json": again}))
    assert "--page a.json b.json" in page
    assert "| ours | 1 | 70.0 |" in page
    assert "| ours | 1 | 50.0 |" not in page
    assert page.count("commit fedcba9") == 1
    assert "## Others" in page


def test_what_was_not_measured_says_so() -> None:
    assert [(GOAL.name, "≥ 0.5", "not measured")] == list(goal_rows([Benchmark("things", "", "", goals=[GOAL])]))


def test_spans_and_quantiles() -> None:
    assert Span.of([3.0, 1.0, 2.0]) == Span(2.0, 1.0, 3.0)
    assert Span.of([]) is None
    assert quantile([float(number) for number in range(100)], 0.99) == 99.0
    assert quantile([], 0.99) == 0.0


@pytest.mark.parametrize("page", [PAGE] if PAGE.exists() else [])
def test_the_page_is_that_of_its_result_file(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    names = text.partition("--page ")[2].partition("`")[0].split()
    assert "\n".join(lines_of({name: json.loads((ROOT / name).read_text(encoding="utf-8")) for name in names})) + "\n" == text
