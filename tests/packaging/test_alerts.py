"""Prometheus takes the alert rules, and each fires when it should; they speak of metrics that there are."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from towpath.metrics import METRICS, Count

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
CASES = sorted(FOLDER.glob("*_test.yml"))
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="no promtool here (Debian's package prometheus has it)")


@needs_promtool
@pytest.mark.parametrize("arguments", ["check rules alerts.yml", "check config prometheus.yml", *(f"test rules {path.name}" for path in CASES)])
def test_promtool_finds_nothing_wrong(arguments: str) -> None:
    ran = subprocess.run([str(PROMTOOL), *arguments.split()], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_speaks_of_metrics_that_there_are_and_says_what_to_do(rule: dict[str, Any]) -> None:
    known = {"up", *(f"{metric.name}_total" if isinstance(metric, Count) else metric.name for metric in METRICS)}
    used = set(re.findall(r"\b(?:towpath_\w+|up)\b", re.sub(r'"[^"]*"', "", rule["expr"])))
    assert used
    assert used <= known
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["remedy"]


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    cases = [case for path in CASES for case in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]]
    fired = {one["alertname"] for case in cases for one in case["alert_rule_test"] if one["exp_alerts"]}
    assert {rule["alert"] for rule in RULES} == fired
