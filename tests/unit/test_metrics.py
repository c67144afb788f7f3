from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

import towpath.metrics
from towpath.metrics import CALL_SECONDS, CIRCUIT_OPEN, DEAD_LETTERS, IN_FLIGHT, LAG, METRICS, Metric, Metrics, reference

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "metrics.md"
DECLARED = {name: value for name, value in vars(towpath.metrics).items() if isinstance(value, Metric)}
SETTERS = {"add", "set", "observe", "during", "follow", "Counted"}


def test_the_reference_page_is_what_the_declarations_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "run: python -m towpath.metrics > docs/metrics.md"


def test_two_processes_figures_do_not_meet() -> None:
    one, other = Metrics(), Metrics()
    one.add(DEAD_LETTERS, connection="erp", state="dead", error_class="data")
    assert 'towpath_dead_letters_total{connection="erp",error_class="data",state="dead"} 1.0' in one.exposition().decode()
    assert 'state="dead"' not in other.exposition().decode()


def test_nothing_is_registered_at_import() -> None:
    assert [family.name for family in REGISTRY.collect() if family.name.startswith("towpath")] == []


def test_levels_and_spreads_are_exposed() -> None:
    metrics = Metrics()
    metrics.set(IN_FLIGHT, 3, connection="erp")
    metrics.observe(CALL_SECONDS, 0.2, connection="erp", answer="2xx")
    text = metrics.exposition().decode()
    assert 'towpath_in_flight{connection="erp"} 3.0' in text
    assert 'towpath_call_seconds_bucket{answer="2xx",connection="erp",le="0.25"} 1.0' in text


def test_a_level_of_what_is_gone_is_exposed_no_more() -> None:
    metrics = Metrics()
    for partition in ("0", "1"):
        metrics.set(LAG, 7, topic="deliver.erp", partition=partition)
    metrics.forget(LAG, topic="deliver.erp", partition="0")
    metrics.forget(LAG, topic="deliver.erp", partition="9")
    assert [{"topic": "deliver.erp", "partition": "1"}] == [sample.labels for family in metrics.registry.collect() for sample in family.samples]


def test_a_level_that_was_forgotten_is_exposed_again_once_it_is_set() -> None:
    metrics = Metrics()
    metrics.set(LAG, 7, topic="deliver.erp", partition="0")
    metrics.forget(LAG, partition="0", topic="deliver.erp")
    metrics.set(LAG, 3, topic="deliver.erp", partition="0")
    assert 3 == metrics.registry.get_sample_value("towpath_lag_records", {"topic": "deliver.erp", "partition": "0"})


def test_a_level_may_follow_what_it_tells_of() -> None:
    metrics, faults = Metrics(), [0.0]
    metrics.follow(CIRCUIT_OPEN, faults.pop, connection="erp")
    faults.append(1.0)
    assert 1 == metrics.registry.get_sample_value("towpath_circuit_open", {"connection": "erp"})


def set_in(package: str) -> Iterator[str]:
    """Yield the name of every metric that a package's code sets: the first argument of whatever sets one."""
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Name):
                setter = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if setter in SETTERS and node.args[0].id in DECLARED:
                    yield node.args[0].id


def test_every_metric_is_listed_and_set_by_the_product() -> None:
    assert set(METRICS) == set(DECLARED.values())
    assert set(DECLARED) == {name for package in ("towpath", "producers", "processors", "sinks") for name in set_in(package)}


def test_a_label_that_is_not_declared_is_refused() -> None:
    with pytest.raises(ValueError, match="Incorrect label names"):
        Metrics().add(DEAD_LETTERS, connexion="erp")


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_is_named_and_explained(metric: object) -> None:
    name, explained = getattr(metric, "name", ""), getattr(metric, "help", "")
    assert name.startswith("towpath_")
    assert explained.endswith(".")
