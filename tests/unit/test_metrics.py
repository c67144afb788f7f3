from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from towpath.metrics import CALL_SECONDS, DEAD_LETTERS, IN_FLIGHT, METRICS, Metrics, reference

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


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


def test_a_label_that_is_not_declared_is_refused() -> None:
    with pytest.raises(ValueError, match="Incorrect label names"):
        Metrics().add(DEAD_LETTERS, connexion="erp")


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_is_named_and_explained(metric: object) -> None:
    name, explained = getattr(metric, "name", ""), getattr(metric, "help", "")
    assert name.startswith("towpath_")
    assert explained.endswith(".")
