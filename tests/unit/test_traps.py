"""docs/traps.md names a test for each trap; the table is kept honest here."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRAPS = 16
ROWS = re.findall(r"^\| (\d+) \| .* \| `([^`]+)::(test_\w+)` \|$", (ROOT / "docs" / "traps.md").read_text(encoding="utf-8"), re.MULTILINE)
DIFFERENCES = ("AdjustInventory", "stock-correction", "inventorySetOnHandQuantities", "inventoryAdjustQuantities")
"""Calls that tell a target how its stock changes: one whose answer is lost cannot be repeated."""


@cache
def named_in(path: str) -> frozenset[str]:
    """Return the names of a file's tests."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_trap_has_a_row_and_every_row_is_read() -> None:
    lines = [line for line in (ROOT / "docs" / "traps.md").read_text(encoding="utf-8").splitlines() if re.match(r"\| \d", line)]
    assert len(lines) == len(ROWS)
    assert [str(number) for number in range(1, TRAPS + 1)] == list(dict.fromkeys(number for number, _, _ in ROWS))


@pytest.mark.parametrize(("number", "path", "name"), ROWS, ids=[f"{number}-{name}" for number, _, name in ROWS])
def test_a_test_that_the_table_names_exists(number: str, path: str, name: str) -> None:
    assert name in named_in(path), f"trap {number}: {path} has no {name}; name the test that took its place in docs/traps.md"


@pytest.mark.parametrize("path", [*ROOT.glob("sinks/**/*.py"), *ROOT.glob("examples/*/sinks/**/*.py")], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_sink_tells_a_difference_of_stock(path: Path) -> None:
    said = {node.value for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Constant)}
    assert [] == [call for call in DIFFERENCES for text in said if call in str(text)]
